"""Founding a federation and letting agencies in: the operator's acts, each of which signs a new document.

Holds:    the federation's key while an act lasts.
Sees:     join requests, the roster, the agreement's text.
Refuses:  a request whose proof fails, an agency id under another key, a suspended or revoked agency; an act
          that fails changes nothing, because everything is made before anything is written.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import tomli_w

from elsewhere.clock import CLOCK_TOLERANCE
from elsewhere.enrolment import Admission, JoinRequest, open_request
from elsewhere.errors import ConfigInvalid, DocumentInvalid, EnrolmentRefused
from elsewhere.keyfiles import replace_file
from elsewhere.random import RandomBytes
from elsewhere.roster import MEMBER_STATES, Member, Roster, open_roster, sign_roster
from elsewhere.wire.tls import NODE_DAYS, sign_node
from gateway.agreed import TEXT_FILE, found_text, read_text, sign_next, signed_version, with_party
from gateway.config import FILE_NAME, GatewayConfig, config_from, load_config
from gateway.folder import AGREEMENT_FILE, ROSTER_FILE, Keys, alone, certificate, read_anchor, read_document

ROSTER_DAYS: Final = 90


@dataclass(frozen=True, slots=True)
class Founding:
    """What a new federation is founded with."""

    federation: str  # its id
    listen: str  # host:port
    addresses: tuple[str, ...] = ()  # host:port that nodes dial, if it is not `listen`


def init(directory: Path, founding: Founding, *, now: datetime, random: RandomBytes) -> GatewayConfig:
    """Found a federation: keys, CA, an empty roster, and an agreement to be filled.

    Args:
        directory: made with mode 0700 if it is not there; must hold no gateway yet.
        founding: id and addresses.
        now: aware UTC time.
        random: returns n random bytes.

    Raises:
        ConfigInvalid: there is a gateway already, or the id or an address is impossible.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chmod(directory, 0o700)
    with alone(directory):
        if (directory / FILE_NAME).exists() or (directory / "keys").exists():
            raise ConfigInvalid(
                "expected a folder without a gateway; this one has keys already: name another"
            )
        settings = {
            "federation": founding.federation,
            "listen": founding.listen,
            "addresses": list(founding.addresses),
        }
        config = config_from({**settings, "dir": directory.absolute()})
        keys = Keys.create(directory, founding.federation, now=now, random=random)
        roster = Roster(
            federation=founding.federation,
            version=1,
            previous_digest=None,
            members=(),
            issued_utc=_issued(now),
            valid_until_utc=_until(now),
        )
        replace_file(directory / ROSTER_FILE, sign_roster(keys.federation, roster))
        found_text(directory, founding.federation, now=now)
        certificate(config, read_anchor(directory), keys.tls_key_pem, now=now)
        # Last: without it there is no gateway here.
        replace_file(directory / FILE_NAME, tomli_w.dumps(settings).encode())
    return config


def admit(directory: Path, request: bytes, *, now: datetime, days: int = NODE_DAYS) -> Admission:
    """Let an agency in, or give a member with the same key a new certificate.

    The caller has compared the request's fingerprint with the agency by another way.

    Args:
        directory: the gateway's folder.
        request: the file the agency made.
        now: aware UTC time.
        days: how long its certificate lasts.

    Returns:
        What the agency is to be handed.

    Raises:
        EnrolmentRefused: the proof fails, the id or key is taken, or the agency is not to be let in.
        CertificateInvalid: its certificate request is not for its own name.
        DocumentInvalid: its name, sector or contacts do not fit the agreement. Nothing was changed.
    """
    wish = open_request(request)
    with alone(directory):
        config = load_config(directory)
        keys = Keys.load(directory)
        roster = _read_roster(directory)
        certificate = sign_node(keys.authority, wish.csr_pem, agency=wish.agency_id, now=now, days=days)
        following = _with_member(roster, wish, now)
        text = with_party(read_text(directory), wish)
        agreement = sign_next(directory, text, keys.federation)
        envelope = sign_roster(keys.federation, following)
        replace_file(directory / TEXT_FILE, text.encode("utf-8"))
        if agreement is not None:
            replace_file(directory / AGREEMENT_FILE, agreement)
        replace_file(directory / ROSTER_FILE, envelope)
        return Admission(
            anchor=read_anchor(directory),
            agency_id=wish.agency_id,
            gateways=config.dialled,
            certificate_pem=certificate,
            roster=envelope,
            agreement=agreement,
        )


def resign(directory: Path, *, now: datetime) -> tuple[int, int | None]:
    """Sign agreement and roster anew: after the agreement's text was edited, and before the roster runs out.

    Returns:
        The versions of roster and agreement now in force; None while there are fewer than two parties.

    Raises:
        DocumentInvalid: the text does not hold; `.line` says where. Nothing was changed.
    """
    with alone(directory):
        keys = Keys.load(directory)
        roster = _next(_read_roster(directory), now)
        signed = sign_next(directory, read_text(directory), keys.federation)
        if signed is not None:
            replace_file(directory / AGREEMENT_FILE, signed)
        replace_file(directory / ROSTER_FILE, sign_roster(keys.federation, roster))
        return roster.version, signed_version(directory, keys.federation)


def set_state(directory: Path, agency: str, state: str, *, now: datetime) -> int:
    """Suspend, revoke or restore a member; a running gateway drops a member that is not active at once.

    Returns:
        The roster's new version.

    Raises:
        EnrolmentRefused: no such member or state, or a revoked one: its key is not to be trusted again.
    """
    with alone(directory):
        keys = Keys.load(directory)
        roster = _read_roster(directory)
        member = roster.member(agency)
        if member is None:
            known = ", ".join(other.agency_id for other in roster.members) or "none yet"
            raise EnrolmentRefused(f"expected the id of a member ({known}); {agency!r} is none")
        if state not in MEMBER_STATES:
            raise EnrolmentRefused(f"expected one of {', '.join(MEMBER_STATES)}")
        if member.state == "revoked" and state != "revoked":
            raise EnrolmentRefused(f"{agency} was revoked; it joins again under a new id and with new keys")
        members = tuple(
            replace(other, state=state) if other.agency_id == agency else other for other in roster.members
        )
        following = _next(roster, now, members)
        replace_file(directory / ROSTER_FILE, sign_roster(keys.federation, following))
        return following.version


def _with_member(roster: Roster, wish: JoinRequest, now: datetime) -> Roster:
    """The next roster, with the agency in it."""
    held = roster.member(wish.agency_id)
    if held is not None and held.signing_key != wish.signing_key:
        raise EnrolmentRefused(f"{wish.agency_id} is a member with another key; this is not that agency")
    if held is not None and held.state in ("suspended", "revoked"):
        raise EnrolmentRefused(f"{wish.agency_id} is {held.state}; restore it first, if its stewards agree")
    member = Member(
        agency_id=wish.agency_id,
        name=wish.name,
        sector=wish.sector,
        operator=held.operator if held is not None else wish.name,
        state="active",
        signing_key=wish.signing_key,
    )
    others = tuple(other for other in roster.members if other.agency_id != wish.agency_id)
    try:
        return _next(roster, now, (*others, member))
    except DocumentInvalid as err:
        raise EnrolmentRefused(f"the roster cannot hold {wish.agency_id}: {err}") from None


def _next(roster: Roster, now: datetime, members: Sequence[Member] | None = None) -> Roster:
    """The roster that follows, naming the digest of the one before."""
    return Roster(
        federation=roster.federation,
        version=roster.version + 1,
        previous_digest=roster.digest,
        members=roster.members if members is None else tuple(members),
        issued_utc=_issued(now),
        valid_until_utc=_until(now),
    )


def _issued(now: datetime) -> datetime:
    """From when a roster signed now is in force: for members whose clocks are slow, but not too slow, too."""
    return now.replace(microsecond=0) - CLOCK_TOLERANCE


def _until(now: datetime) -> datetime:
    """When a roster signed now runs out."""
    return now.replace(microsecond=0) + timedelta(days=ROSTER_DAYS)


def _read_roster(directory: Path) -> Roster:
    """The newest roster, verified even though it is our own."""
    return open_roster(read_document(directory / ROSTER_FILE), read_anchor(directory).public)
