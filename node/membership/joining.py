"""A node's way in with a token: keys, preflight, the request, and the admission once it is there.

Holds:    the token, which has a key of its own, as `keys/invitation.key` until this node is admitted.
Refuses:  a token that somebody else has used, a gateway that is none, an admission of another federation than
          the token names. A step that was refused can be taken again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import grpc

from elsewhere.canonical import canonical_json
from elsewhere.clock import Clock
from elsewhere.enrolment import Admission, JoinRequest, open_request, sign_request
from elsewhere.errors import ElsewhereError, EnrolmentRefused, GatewayUnreachable, KeyFileMissing
from elsewhere.fields import format_instant
from elsewhere.invitation import (
    STATES,
    AgencyTaken,
    Token,
    TokenExpired,
    TokenUnknown,
    TokenUsed,
)
from elsewhere.keyfiles import destroy_secret, read_secret, replace_file, write_secret
from elsewhere.random import RandomBytes
from elsewhere.wire.channel import CLIENT_OPTIONS, client_credentials
from elsewhere.wire.tls import make_request
from elsewhere.wire.v1 import enrolment_pb2, enrolment_pb2_grpc
from node.config import FILE_NAME, load_config
from node.errors import FingerprintDiffers
from node.keys.ring import read_signing
from node.links.calls import CallBroke, breaking
from node.membership.enrol import Applicant, accept, init
from node.membership.hop import KEY, ShownHop
from node.membership.preflight import check_clock, check_machine, check_way
from node.membership.trust import read_anchor

TOKEN: Final = Path("keys") / "invitation.key"
REQUEST: Final = "join-request.json"
CALL_TIMEOUT_S: Final = 10.0
_Found = enrolment_pb2.StandingResponse
_Call = Callable[["enrolment_pb2_grpc.EnrolmentServiceAsyncStub"], Awaitable[_Found]]
_WORDS: Final[Mapping[type[ElsewhereError], str]] = {
    TokenUsed: "somebody has used this token with other keys. If that was not you, call the gateway's"
    " operator now: an admission in your name may be asked for",
    TokenExpired: "the token's day is over; ask the gateway's operator for another one",
    TokenUnknown: "the gateway knows no such invitation; ask its operator for another token",
    AgencyTaken: "another key stands for this agency id already; call the gateway's operator: the id is"
    " another agency's, or somebody has asked in your name",
    EnrolmentRefused: "the gateway does not take the request; start again in a new folder, with a new token",
}


@dataclass(frozen=True, slots=True)
class Contacts:
    """Whom others may call at the agency."""

    in_hours: str
    out_of_hours: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What has become of a request, or what a member is."""

    agency_id: str
    state: str  # one of elsewhere.invitation.STATES
    reason: str = ""  # with rejected
    admission: Admission | None = None  # just taken in


def prepare(directory: Path, text: str, contacts: Contacts, *, now: datetime, random: RandomBytes) -> str:
    """Make the keys and the request, or go on with those of this folder; give the fingerprint.

    Args:
        directory: a new folder; one in which this was begun; or a member's whose certificate has run out.
        text: the token.
        contacts: whom others may call.
        now: aware UTC time.
        random: returns n random bytes.

    Raises:
        TokenInvalid, TokenExpired: nothing was made.
        EnrolmentRefused: the folder is another agency's, or the request made with this token says otherwise.
        As `node.membership.enrol.init`.
    """
    token = Token.from_text(text)
    request = directory / REQUEST
    if not request.exists() and now >= token.expires_utc:
        raise TokenExpired(f"it was good until {format_instant(token.expires_utc)}: {_WORDS[TokenExpired]}")
    who = Applicant(token.agency_id, token.name, token.sector, contacts.in_hours, contacts.out_of_hours)
    if not (directory / FILE_NAME).exists():
        file, _ = init(directory, who, random=random)
        replace_file(request, file)
    elif load_config(directory).agency != token.agency_id:
        raise EnrolmentRefused(f"expected a folder of {token.agency_id}; this one is another agency's")
    elif not request.exists() or _is_another(directory, token):
        replace_file(request, _request_again(directory, who))
    elif (made := open_request(request.read_bytes())).contact_in_hours != contacts.in_hours or (
        made.contact_out_of_hours != contacts.out_of_hours
    ):
        raise EnrolmentRefused(
            "expected the contacts of the request that was made with this token; with a further token, once"
            " the operator has turned that request down, others can be given"
        )
    destroy_secret(directory / TOKEN)
    write_secret(directory / TOKEN, token.to_text().encode())
    return open_request(request.read_bytes()).fingerprint


def _is_another(directory: Path, token: Token) -> bool:
    """Whether a token is another than the one that the request of this folder was made with."""
    try:
        return read_secret(directory / TOKEN) != token.to_text().encode()
    except KeyFileMissing:
        return True


def _request_again(directory: Path, who: Applicant) -> bytes:
    """A request as it is meant now, under the keys that this node has."""
    key = read_signing(directory)
    return sign_request(
        key,
        JoinRequest(
            agency_id=who.agency_id,
            name=who.name,
            sector=who.sector,
            contact_in_hours=who.contact_in_hours,
            contact_out_of_hours=who.contact_out_of_hours,
            signing_key=key.public,
            csr_pem=make_request(read_secret(directory / KEY), who.agency_id),
        ),
    )


async def ask(directory: Path, environment: Mapping[str, str], clock: Clock) -> Standing:
    """Hand the request in if that is still to be done, and learn what has become of it; join once admitted.

    Args:
        directory: as `prepare` left it, or a member's.
        environment: the process's variables, for proxies.
        clock: aware UTC time.

    Raises:
        Intercepted, ClockApart, MatchKeysWrong: preflight failed; the message says what to do.
        GatewayUnreachable: no gateway could be asked.
        TokenUsed, TokenUnknown, TokenExpired, AgencyTaken, EnrolmentRefused: the gateway says so.
        FingerprintDiffers: it is not the federation that the token names. Nothing of it was taken.
    """
    config = load_config(directory)
    try:
        token = Token.from_text(read_secret(directory / TOKEN).decode())
    except KeyFileMissing:
        shown = ShownHop(directory, read_anchor(directory).tls_ca_pem).credentials
        found = await _first(config.gateways, shown, _standing)
        return Standing(config.agency, _state(found.state))
    await asyncio.to_thread(check_machine, config)
    for address in token.gateways:
        await asyncio.to_thread(check_way, address, token.ca_pem, environment)
    shown = client_credentials(ca_pem=token.ca_pem, key_pem=token.key_pem, cert_pem=token.cert_pem)
    file = (directory / REQUEST).read_bytes()
    found = await _first(token.gateways, shown, lambda stub: _hand_in(stub, file, clock))
    if found.request_digest and found.request_digest != hashlib.sha256(file).digest():
        raise TokenUsed(_WORDS[TokenUsed])
    admission = _take(directory, token, found.admission, clock()) if found.admission else None
    return Standing(config.agency, _state(found.state), found.reason, admission)


def _take(directory: Path, token: Token, file: bytes, now: datetime) -> Admission:
    """Believe an admission of the federation that the token names, and let the token go."""
    found = Admission.from_bytes(file)
    if hashlib.sha256(canonical_json(found.anchor.to_json())).digest() != token.anchor:
        raise FingerprintDiffers(
            f"expected the federation {token.federation} as the token names it; what admits has another"
            f" fingerprint, {found.anchor.fingerprint}. Call the gateway's operator"
        )
    accept(directory, file, now=now)
    destroy_secret(directory / TOKEN)
    (directory / REQUEST).unlink(missing_ok=True)
    return found


async def _hand_in(
    stub: enrolment_pb2_grpc.EnrolmentServiceAsyncStub, file: bytes, clock: Clock
) -> enrolment_pb2.StandingResponse:
    """Look at the clocks, and hand the request in unless that is done."""
    found = await _standing(stub)
    check_clock(found.sent_ms, clock())
    if found.state == "invited":
        await stub.Join(enrolment_pb2.JoinRequest(request=file), timeout=CALL_TIMEOUT_S)
        found = await _standing(stub)
    return found


async def _standing(stub: enrolment_pb2_grpc.EnrolmentServiceAsyncStub) -> enrolment_pb2.StandingResponse:
    return await stub.Standing(enrolment_pb2.StandingRequest(), timeout=CALL_TIMEOUT_S)


async def _first(addresses: Sequence[str], shown: grpc.ChannelCredentials, call: _Call) -> _Found:
    """Ask one gateway after the other until one answers; what it refuses is raised in our own words."""
    code = ""
    for address in addresses:
        async with grpc.aio.secure_channel(address, shown, options=CLIENT_OPTIONS) as channel:
            try:
                with breaking():
                    return await call(enrolment_pb2_grpc.EnrolmentServiceStub(channel))
            except CallBroke as err:
                code = err.code
    for kind, words in _WORDS.items():
        if kind.code == code:
            raise kind(words)
    raise GatewayUnreachable(f"expected an answer of {', '.join(addresses)}; none came ({code})")


def _state(word: str) -> str:
    """A state that this version knows."""
    return word if word in STATES else "unknown"
