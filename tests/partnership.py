"""A partnership whose stewards sign whatever is proposed: each act of an operator, whole, in one call."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from elsewhere.anchor import Federation
from elsewhere.canonical import canonical_json
from elsewhere.enrolment import Admission, open_request
from elsewhere.proposal import Proposal, sign_proposal
from elsewhere.random import RandomBytes
from elsewhere.roster import Member, Roster, Steward
from elsewhere.signing import SigningKey
from elsewhere.succession import Succession, chain_to_bytes, sign_roster
from elsewhere.wire.tls import NODE_DAYS
from gateway import enrolment
from gateway.enacting import Enacted, enact
from gateway.enrolment import Founding
from gateway.inforce import read_succession
from gateway.proposing import Change, propose

AGENCIES = ("hospital", "police", "schools", "social")


def steward_key(agency: str) -> SigningKey:
    """The key of an agency's steward, always the same."""
    return SigningKey.from_seed(hashlib.sha256(f"steward of {agency}".encode()).digest())


def steward(agency: str) -> Steward:
    """The steward of an agency."""
    return Steward(agency, f"Steward of {agency}", steward_key(agency).public)


STEWARDS = tuple(steward(agency) for agency in AGENCIES)
KEYS = tuple(steward_key(agency) for agency in AGENCIES)


def keys_of(*rosters: Roster) -> list[SigningKey]:
    """The keys of everybody who is a steward in one of these rosters."""
    return [
        steward_key(agency)
        for agency in dict.fromkeys(s.agency_id for roster in rosters for s in roster.stewards)
    ]


def signed(roster: Roster) -> bytes:
    """A roster signed by all of its stewards."""
    return sign_roster(keys_of(roster), roster)


def sole(roster: Roster) -> Succession:
    """A first roster as it is in force."""
    return Succession(roster, signed(roster), (signed(roster),))


def sign_all(folder: Path, proposal: Proposal) -> Enacted:
    """Have every steward sign a proposal, and put it in force."""
    rosters = (proposal.roster,) if proposal.before is None else (proposal.before.roster, proposal.roster)
    return enact(folder, proposal, [sign_proposal(key, proposal) for key in keys_of(*rosters)])


def init(folder: Path, founding: Founding, *, now: datetime, random: RandomBytes) -> None:
    """Found a federation whose first roster is in force."""
    made = replace(founding, stewards=founding.stewards or STEWARDS)
    sign_all(folder, enrolment.init(folder, made, now=now, random=random))


def admit(folder: Path, request: bytes, *, now: datetime, days: int = NODE_DAYS) -> Admission:
    """Let an agency in, with its steward, and hand it what it joins with."""
    agency = open_request(request).agency_id
    is_listed = read_succession(folder).roster.steward(agency) is not None
    change = Change(admit=(request,), stewards=() if is_listed else (steward(agency),))
    sign_all(folder, propose(folder, change, now=now))
    return enrolment.admit(folder, request, now=now, days=days)


def resign(folder: Path, *, now: datetime) -> tuple[int, int | None]:
    """Have agreement and roster signed anew; their versions."""
    found = sign_all(folder, propose(folder, Change(), now=now))
    return found.roster.version, found.agreement


def set_state(folder: Path, agency: str, state: str, *, now: datetime) -> int:
    """Suspend, revoke or restore a member; the roster's version."""
    return sign_all(folder, propose(folder, Change(states={agency: state}), now=now)).roster.version


def change_stewards(folder: Path, stewards: Sequence[Steward], *, now: datetime) -> int:
    """List stewards, or put them in the place of their agency's; the roster's version."""
    return sign_all(folder, propose(folder, Change(stewards=tuple(stewards)), now=now)).roster.version


def first_roster(*members: Member, issued: datetime, until: datetime) -> Roster:
    """The first roster of a federation that no gateway founded."""
    return Roster(
        federation="northshire",
        version=1,
        previous_digest=None,
        members=members,
        stewards=STEWARDS,
        quorum=3,
        stewards_since=1,
        gateway_key=bytes(range(32)),
        issued_utc=issued,
        valid_until_utc=until,
    )


def anchor_of(roster: Roster, tls_ca_pem: bytes = b"-----BEGIN CERTIFICATE-----") -> Federation:
    """The anchor of a federation with this first roster."""
    return Federation(roster.federation, roster.digest, tls_ca_pem)


def write_trust(folder: Path, roster: Roster, tls_ca_pem: bytes = b"-----BEGIN CERTIFICATE-----") -> None:
    """What accepting an admission under a first roster leaves in a node's folder `trust`."""
    (folder / "federation.json").write_bytes(canonical_json(anchor_of(roster, tls_ca_pem).to_json()))
    (folder / "chain.json").write_bytes(chain_to_bytes([signed(roster)]))
    (folder / "roster.json").write_bytes(signed(roster))
