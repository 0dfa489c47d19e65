"""Proposals: what the operator would have the stewards put in force. Nothing is, until they have signed.

Sees:     join requests, stewards' cards, the roster in force, the agreement's text.
Refuses:  a request whose proof fails, an agency id under another key, a revoked agency; a proposal that fails
          changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from elsewhere.anchor import Federation
from elsewhere.clock import CLOCK_TOLERANCE
from elsewhere.enrolment import JoinRequest, open_request
from elsewhere.errors import DocumentInvalid, EnrolmentRefused
from elsewhere.keyfiles import replace_file
from elsewhere.proposal import Proposal
from elsewhere.rekeying import Rekeying, open_rekeying
from elsewhere.roster import MEMBER_STATES, Member, Roster, Steward, least_quorum
from gateway.agreed import TEXT_FILE, next_agreement, read_text, with_party
from gateway.folder import alone, read_anchor
from gateway.inforce import read_agreement, read_succession

ROSTER_DAYS: Final = 90


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be otherwise. With nothing in it: the roster for longer, and the text as edited."""

    admit: tuple[bytes, ...] = ()  # join requests
    rekey: tuple[bytes, ...] = ()  # members' wishes for another signing key
    states: Mapping[str, str] = field(default_factory=dict)  # by agency id
    stewards: tuple[Steward, ...] = ()  # listed, or in the place of the steward of the same agency
    dropped: tuple[str, ...] = ()  # agencies whose steward is listed no more
    quorum: int | None = None  # None: a majority if the stewards change, else as it is


def first_proposal(
    anchor_of: tuple[str, bytes],
    stewards: Sequence[Steward],
    quorum: int | None,
    gateway_key: bytes,
    now: datetime,
) -> Proposal:
    """The first roster, which lists the stewards and no member.

    Args:
        anchor_of: the federation's id, and its certificate authority's certificate.
        stewards: two or more, of different agencies.
        quorum: None for a majority.
        gateway_key: the gateway's own public key.
        now: aware UTC time.

    Raises:
        DocumentInvalid: an impossible id, too few stewards, or a quorum that is no majority.
    """
    federation, tls_ca_pem = anchor_of
    roster = Roster(
        federation=federation,
        version=1,
        previous_digest=None,
        members=(),
        stewards=tuple(stewards),
        quorum=quorum if quorum is not None else least_quorum(len(stewards)),
        stewards_since=1,
        gateway_key=gateway_key,
        issued_utc=_issued(now),
        valid_until_utc=_until(now),
    )
    anchor = Federation(federation, roster.digest, tls_ca_pem)
    return Proposal(anchor=anchor, before=None, agreed=None, roster=roster, agreement=None)


def propose(directory: Path, change: Change, *, now: datetime) -> Proposal:
    """Make a proposal out of what is in force, a change, and the agreement's text as it stands.

    The duty contacts of agencies to be admitted are added to the text, for people to edit.

    Args:
        directory: the gateway's folder.
        change: what is to be otherwise.
        now: aware UTC time.

    Raises:
        EnrolmentRefused: a request's proof fails, an id or key is taken, or there is no such member or state.
        RekeyingInvalid: a wish for another key is not signed with both, or is none.
        DocumentInvalid: names, contacts, stewards or the text do not hold. Nothing was changed.
        ConfigInvalid: nothing is in force yet.
    """
    wishes = [open_request(request) for request in change.admit]
    with alone(directory):
        before = read_succession(directory)
        held = read_agreement(directory, before.roster)
        members = _states(before.roster.members, change.states)
        for wish in wishes:
            members = _with_member(members, wish)
        for file in change.rekey:
            members = _with_key(members, open_rekeying(file, before.roster))
        roster = _next(before.roster, members, change, now)
        text = read_text(directory)
        for wish in wishes:
            text = with_party(text, wish)
        agreement = next_agreement(text, held[1] if held is not None else None, roster)
        found = Proposal(
            anchor=read_anchor(directory),
            before=before,
            agreed=held[0] if held is not None else None,
            roster=roster,
            agreement=agreement,
        )
        if wishes:
            replace_file(directory / TEXT_FILE, text.encode("utf-8"))
    return found


def _states(members: tuple[Member, ...], states: Mapping[str, str]) -> tuple[Member, ...]:
    """Suspend, revoke or restore members."""
    for agency, state in states.items():
        member = next((member for member in members if member.agency_id == agency), None)
        if member is None:
            known = ", ".join(other.agency_id for other in members) or "none yet"
            raise EnrolmentRefused(f"expected the id of a member ({known}); {agency!r} is none")
        if state not in MEMBER_STATES:
            raise EnrolmentRefused(f"expected one of {', '.join(MEMBER_STATES)}")
        if member.state == "revoked" and state != "revoked":
            raise EnrolmentRefused(f"{agency} was revoked; it joins again under a new id and with new keys")
    return tuple(replace(member, state=states.get(member.agency_id, member.state)) for member in members)


def _with_member(members: tuple[Member, ...], wish: JoinRequest) -> tuple[Member, ...]:
    """The members with one more, or with one of them anew."""
    held = next((member for member in members if member.agency_id == wish.agency_id), None)
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
    return (*(other for other in members if other.agency_id != wish.agency_id), member)


def _with_key(members: tuple[Member, ...], wish: Rekeying) -> tuple[Member, ...]:
    """The members, one of them with another key."""
    held = next(member for member in members if member.agency_id == wish.agency_id)
    if held.state == "revoked":
        raise EnrolmentRefused(
            f"{wish.agency_id} was revoked; it joins again under a new id and with new keys"
        )
    changed = replace(held, signing_key=wish.signing_key, earlier_keys=held.keys)
    return tuple(changed if member is held else member for member in members)


def _next(roster: Roster, members: tuple[Member, ...], change: Change, now: datetime) -> Roster:
    """The roster that follows, naming the digest of the one before."""
    stewards = _stewards(roster, change)
    quorum = change.quorum if change.quorum is not None else _quorum(roster, stewards)
    is_change = (stewards, quorum) != (roster.stewards, roster.quorum)
    version = roster.version + 1
    try:
        return Roster(
            federation=roster.federation,
            version=version,
            previous_digest=roster.digest,
            members=members,
            stewards=stewards,
            quorum=quorum,
            stewards_since=version if is_change else roster.stewards_since,
            gateway_key=roster.gateway_key,
            issued_utc=_issued(now),
            valid_until_utc=_until(now),
        )
    except DocumentInvalid as err:
        raise EnrolmentRefused(f"the roster cannot be made: {err}") from None


def _stewards(roster: Roster, change: Change) -> tuple[Steward, ...]:
    """The stewards from then on: replaced in their places, newcomers last."""
    for agency in change.dropped:
        if roster.steward(agency) is None:
            known = ", ".join(steward.agency_id for steward in roster.stewards)
            raise EnrolmentRefused(f"expected an agency with a steward ({known}); {agency!r} has none")
    wanted = {steward.agency_id: steward for steward in change.stewards}
    kept = [wanted.pop(s.agency_id, s) for s in roster.stewards if s.agency_id not in change.dropped]
    return (*kept, *wanted.values())


def _quorum(roster: Roster, stewards: tuple[Steward, ...]) -> int:
    """As it was while there are as many stewards; a majority otherwise."""
    return roster.quorum if len(stewards) == len(roster.stewards) else least_quorum(len(stewards))


def _issued(now: datetime) -> datetime:
    """From when a roster made now is in force: for members whose clocks are slow, but not too slow, too."""
    return now.replace(microsecond=0) - CLOCK_TOLERANCE


def _until(now: datetime) -> datetime:
    """When a roster made now runs out."""
    return now.replace(microsecond=0) + timedelta(days=ROSTER_DAYS)
