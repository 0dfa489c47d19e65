"""What a proposal changes, in plain words: what a steward reads before signing.

Sees:     the roster and agreement in force and those proposed.
Promises: every difference between the rosters is a line, and every field of a first agreement is in one. A
          newcomer's fingerprint is not: it is to come from the newcomer by another way, and to be typed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from elsewhere.agreement.diff import find_changes, find_shifts
from elsewhere.agreement.study_shifts import find_study_shifts
from elsewhere.agreement.terms import Agreement
from elsewhere.fields import format_instant
from elsewhere.proposal import Proposal
from elsewhere.roster import Roster


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody whose key is new for them: what the steward is to hear from them is `fingerprint`."""

    id: str  # of the agency or researcher
    title: str  # such as "police (Northshire Police)"
    fingerprint: str


def newcomers(proposal: Proposal, me: bytes) -> list[Newcomer]:
    """Everybody with a key that the roster in force does not have under their name, without the steward's.

    Under their name: a key that was another agency's is as strange as a new one.

    Args:
        proposal: as read.
        me: the steward's public key.
    """
    before = proposal.before.roster if proposal.before is not None else None
    known = {(m.agency_id, m.signing_key) for m in before.members} if before is not None else set()
    stewards = {(s.agency_id, s.key) for s in before.stewards} if before is not None else set()
    members = [
        Newcomer(member.agency_id, f"member {member.agency_id} ({member.name})", member.fingerprint)
        for member in proposal.roster.members
        if (member.agency_id, member.signing_key) not in known
    ]
    return (
        members
        + _researchers(proposal)
        + [
            Newcomer(steward.agency_id, f"steward {steward.name} of {steward.agency_id}", steward.fingerprint)
            for steward in proposal.roster.stewards
            if (steward.agency_id, steward.key) not in stewards and steward.key != me
        ]
    )


def _researchers(proposal: Proposal) -> list[Newcomer]:
    """Researchers whose key the agreement in force does not have under their id: the operator relays it."""
    new, old = proposal.agreement, proposal.agreement_before
    before = old.research.researchers if old is not None and old.research is not None else ()
    known = {(one.id, one.key) for one in before}
    listed = new.research.researchers if new is not None and new.research is not None else ()
    return [
        Newcomer(one.id, f"researcher {one.id} ({one.name}, {one.organisation})", one.fingerprint)
        for one in listed
        if (one.id, one.key) not in known
    ]


def describe(proposal: Proposal) -> list[str]:
    """Say what would change, a line for each change."""
    new, old = proposal.roster, proposal.before.roster if proposal.before is not None else None
    head = f"roster {new.version} of {new.federation}, fingerprint {proposal.anchor.fingerprint}"
    head += f"; valid until {format_instant(new.valid_until_utc)}"
    lines = [head] if old is not None else [head, "the first one: it founds the federation"]
    lines += _members(old, new)
    lines += _stewards(old, new)
    if old is not None and old.gateway_key != new.gateway_key:
        lines.append("the gateway's own key changes")
    lines += _agreement(proposal.agreement_before, proposal.agreement, new.issued_utc)
    return lines if len(lines) > 1 else [*lines, "nothing else changes"]


def _members(old: Roster | None, new: Roster) -> Iterator[str]:
    """Who comes, goes or changes."""
    held = {member.agency_id: member for member in old.members} if old is not None else {}
    for member in new.members:
        before = held.pop(member.agency_id, None)
        if before is None:
            yield f"member {member.agency_id} ({member.name}, {member.sector}) comes in, {member.state}"
            continue
        for name in ("name", "sector", "operator", "state"):
            one, other = getattr(before, name), getattr(member, name)
            if one != other:
                yield f"member {member.agency_id}: {name} becomes {other} (now {one})"
        if before.signing_key != member.signing_key:
            yield f"member {member.agency_id}: ANOTHER KEY in the place of {before.fingerprint}"
            yield "  the one before counts for what it has signed and others have seen, and for nothing new"
    yield from (f"member {gone} ({member.name}) is taken out" for gone, member in held.items())


def _stewards(old: Roster | None, new: Roster) -> Iterator[str]:
    """Who decides from then on."""
    held = {steward.agency_id: steward for steward in old.stewards} if old is not None else {}
    for steward in new.stewards:
        before = held.pop(steward.agency_id, None)
        if before is None:
            yield f"steward {steward.name} of {steward.agency_id} comes in"
        elif before != steward:
            yield f"steward {steward.name} of {steward.agency_id}, in the place of {before.name}" + (
                ": ANOTHER KEY" if before.key != steward.key else ""
            )
    yield from (f"steward {steward.name} of {gone} is taken out" for gone, steward in held.items())
    if old is None or (old.quorum, len(old.stewards)) != (new.quorum, len(new.stewards)):
        yield f"from then on {new.quorum} of {len(new.stewards)} stewards must sign"


def _agreement(old: Agreement | None, new: Agreement | None, now: datetime) -> Iterator[str]:
    """What is agreed otherwise, clause by clause, and what that does to who may ask what."""
    if new is None:
        return
    if old is None:
        yield f"agreement {new.version}, the first: {new.title}"
        yield f"  digest: {new.digest.hex()}"
        yield from (f"  {change.clause}: {change.text}" for change in find_changes(None, new))
        yield from (f"  {shift.text}" for shift in find_shifts(replace(new, rules=()), new, now))
        return
    if old.digest == new.digest:
        yield f"agreement {new.version} stays as it is; signing it binds your agency"
        return
    yield f"agreement {new.version} in the place of {old.version}:"
    for change in find_changes(old, new):
        yield f"  {change.clause}: {change.text}"
    yield from (f"  {shift.text}" for shift in find_shifts(old, new, now))
    for study in find_study_shifts(old.research, new.research):
        yield f"  researchers {'MAY NOW' if study.is_wider else 'may no longer'}: {study.text}"
