"""Invitations and the requests that came in on them, as files in the gateway's folder.

Holds:    of each invitation, whom it is for and a digest of its certificate; requests to join, which are
          public keys and duty numbers. No key of an invitation is kept.
Refuses:  an invitation that this folder did not make, one whose day is over, a second request on one, a
          request for another agency or under a key that is not the one known for its id.

`invitations/ID.json` says what an invitation is and what became of it, `requests/AGENCY.json` is the request
as it came, for `elsewhere gateway` to act on. What the roster says of an agency counts more than either.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from elsewhere.agreement.vocabulary import vocabulary
from elsewhere.canonical import canonical_json, parse_canonical
from elsewhere.enrolment import JoinRequest, open_request
from elsewhere.errors import DocumentInvalid, EnrolmentRefused
from elsewhere.fields import Fields, as_text, format_instant
from elsewhere.invitation import (
    DIGEST_BYTES,
    NAME,
    AgencyTaken,
    Token,
    TokenExpired,
    TokenUnknown,
    TokenUsed,
)
from elsewhere.keyfiles import replace_file
from elsewhere.random import RandomBytes
from elsewhere.roster import AGENCY_ID, SECTOR, Roster
from elsewhere.wire.tls import make_key, make_request, sign_node
from gateway.config import load_config
from gateway.folder import alone, read_anchor, read_authority
from gateway.inforce import read_succession

USABLE: Final = timedelta(hours=24)
ASKABLE_DAYS: Final = 30  # for which the agency may ask what has become of its request
MAX_REQUEST_BYTES: Final = 64 * 1024
MAX_REASON: Final = 200
_NONE: Final = bytes(DIGEST_BYTES)


@dataclass(frozen=True, slots=True)
class Invitation:
    """One invitation as this gateway remembers it."""

    name: str  # in its certificate
    agency_id: str
    agency_name: str
    sector: str
    certificate: bytes  # SHA-256 of it, 32 bytes
    expires_utc: datetime
    request: bytes = _NONE  # SHA-256 of what was handed in; zeros: nothing yet
    reason: str = ""  # why it was rejected; empty: it was not

    @property
    def is_used(self) -> bool:
        """Whether a request was handed in on it."""
        return self.request != _NONE

    def to_bytes(self) -> bytes:
        """Write its file."""
        return canonical_json(
            {
                "name": self.name,
                "agency_id": self.agency_id,
                "agency_name": self.agency_name,
                "sector": self.sector,
                "certificate": self.certificate.hex(),
                "expires_utc": format_instant(self.expires_utc),
                "request": self.request.hex(),
                "reason": self.reason,
            }
        )

    @classmethod
    def from_bytes(cls, file: bytes) -> Invitation:
        """Read its file; raises DocumentInvalid, NotCanonical if it was changed."""
        fields = Fields(parse_canonical(file))
        found = cls(
            name=fields.text("name", NAME),
            agency_id=fields.text("agency_id", AGENCY_ID),
            agency_name=fields.text("agency_name"),
            sector=fields.text("sector", SECTOR),
            certificate=fields.octets("certificate", DIGEST_BYTES),
            expires_utc=fields.instant("expires_utc"),
            request=fields.octets("request", DIGEST_BYTES),
            reason=str(fields.take("reason")),
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True)
class Invited:
    """Whom an invitation is for."""

    agency_id: str
    name: str
    sector: str


def invite(directory: Path, who: Invited, *, now: datetime, random: RandomBytes) -> Token:
    """Make an invitation; the token is given once and kept nowhere.

    Args:
        directory: the gateway's folder, with the CA's key.
        who: the agency, new or a member that needs a certificate again.
        now: aware UTC time.
        random: returns n random bytes.

    Raises:
        KeyFileMissing: the CA's key is not here.
        DocumentInvalid: an impossible id, name or sector. Nothing was made.
    """
    if who.sector not in vocabulary().sectors:
        raise DocumentInvalid("sector", f"expected one of {', '.join(vocabulary().sectors)}")
    config, anchor, authority = load_config(directory), read_anchor(directory), read_authority(directory)
    name, key_pem = f"invitation:{random(16).hex()}", make_key()
    cert_pem = sign_node(authority, make_request(key_pem, name), agency=name, now=now, days=ASKABLE_DAYS)
    token = Token(
        federation=anchor.federation_id,
        agency_id=who.agency_id,
        name=who.name,
        sector=who.sector,
        gateways=config.own_addresses,  # others do not know of it
        anchor=anchor_digest(directory),
        expires_utc=now.replace(microsecond=0) + USABLE,
        ca_pem=anchor.tls_ca_pem,
        cert_pem=cert_pem,
        key_pem=key_pem,
    )
    with alone(directory):
        made = Invitation(name, *_words(who), hashlib.sha256(cert_pem).digest(), token.expires_utc)
        _write(directory, made)
    return token


def anchor_digest(directory: Path) -> bytes:
    """What a token says of the anchor that the admission will bring."""
    return hashlib.sha256(canonical_json(read_anchor(directory).to_json())).digest()


def find(directory: Path, name: str, cert_pem: bytes) -> Invitation:
    """Find the invitation of a caller that TLS has verified; raises TokenUnknown."""
    try:
        found = Invitation.from_bytes(_path(directory, name).read_bytes())
    except FileNotFoundError:
        raise TokenUnknown("expected an invitation of this gateway; there is none such") from None
    if not hmac.compare_digest(found.certificate, hashlib.sha256(cert_pem).digest()):
        raise TokenUnknown("expected the certificate of the invitation; it is another")
    return found


def hand_in(directory: Path, held: Invitation, file: bytes, roster: Roster, *, now: datetime) -> Invitation:
    """Take the request of an invited agency; the same one again changes nothing.

    Raises:
        TokenUsed: another request came in on this token. Whoever holds it now should call the operator.
        TokenExpired: the token's day is over.
        EnrolmentRefused: the request does not hold, or is of another agency than the one invited.
        AgencyTaken: another key stands for this id, in the roster or in a request that waits.
    """
    digest = hashlib.sha256(file).digest()
    with alone(directory):
        held = Invitation.from_bytes(_path(directory, held.name).read_bytes())
        if held.is_used:
            if held.request != digest:
                raise TokenUsed(f"the token for {held.agency_id} was used with another request")
            return held
        if now >= held.expires_utc:
            raise TokenExpired(f"expected the token by {format_instant(held.expires_utc)}")
        if len(file) > MAX_REQUEST_BYTES:
            raise EnrolmentRefused(f"expected a request of at most {MAX_REQUEST_BYTES} bytes")
        wish = open_request(file)
        if (wish.agency_id, wish.name, wish.sector) != (held.agency_id, held.agency_name, held.sector):
            raise EnrolmentRefused(f"expected a request of {held.agency_id} as it was invited; it is another")
        _check_free(directory, wish, roster)
        used = replace(held, request=digest)
        (directory / "requests").mkdir(mode=0o700, exist_ok=True)
        replace_file(request_path(directory, wish.agency_id), file)
        _write(directory, used)
    return used


def reject(directory: Path, agency_id: str, reason: str) -> None:
    """Turn a request down; its agency is told why. It may be invited again.

    Raises:
        EnrolmentRefused: no request of this agency waits, or the reason is none.
    """
    member = read_succession(directory).roster.member(agency_id)
    if member is not None:
        raise EnrolmentRefused(
            f"expected an agency that is no member; {agency_id} is one ({member.state}). To stop it: "
            f"'elsewhere gateway propose --state {agency_id}=suspended'"
        )
    if len(as_text(reason, "reason")) > MAX_REASON:
        raise EnrolmentRefused(f"expected a reason of at most {MAX_REASON} characters")
    with alone(directory):
        path = request_path(directory, agency_id)
        waiting = [held for held in _all(directory) if held.agency_id == agency_id and held.is_used]
        if not path.exists() or not waiting:
            raise EnrolmentRefused(f"expected a request of {agency_id} that waits; there is none")
        digest = hashlib.sha256(path.read_bytes()).digest()
        for held in waiting:
            if held.request == digest:
                _write(directory, replace(held, reason=reason))
        path.unlink()


def waiting(directory: Path) -> list[JoinRequest]:
    """The requests of agencies that the roster does not have yet, by id."""
    roster = read_succession(directory).roster
    found = [open_request(path.read_bytes()) for path in sorted((directory / "requests").glob("*.json"))]
    return [wish for wish in found if roster.member(wish.agency_id) is None]


def request_of(directory: Path, held: Invitation) -> bytes | None:
    """The request that came in on an invitation; None if there is none, or it was turned down."""
    try:
        file = request_path(directory, held.agency_id).read_bytes()
    except FileNotFoundError:
        return None
    return file if hashlib.sha256(file).digest() == held.request else None


def request_path(directory: Path, agency_id: str) -> Path:
    """Where the request of an agency lies."""
    return directory / "requests" / f"{as_text(agency_id, 'agency_id', AGENCY_ID)}.json"


def _check_free(directory: Path, wish: JoinRequest, roster: Roster) -> None:
    """Refuse a second key for one id: one of the two is not that agency."""
    member, path = roster.member(wish.agency_id), request_path(directory, wish.agency_id)
    if member is not None:
        is_free = member.signing_key == wish.signing_key
    else:
        is_free = not path.exists() or open_request(path.read_bytes()).signing_key == wish.signing_key
    if not is_free:
        raise AgencyTaken(f"another key stands for {wish.agency_id} already")


def _words(who: Invited) -> tuple[str, str, str]:
    return who.agency_id, who.name, who.sector


def _all(directory: Path) -> list[Invitation]:
    return [Invitation.from_bytes(p.read_bytes()) for p in sorted((directory / "invitations").glob("*.json"))]


def _path(directory: Path, name: str) -> Path:
    return directory / "invitations" / f"{as_text(name, 'name', NAME).removeprefix('invitation:')}.json"


def _write(directory: Path, held: Invitation) -> None:
    (directory / "invitations").mkdir(mode=0o700, exist_ok=True)
    replace_file(_path(directory, held.name), held.to_bytes())
