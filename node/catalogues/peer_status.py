"""What is held of each other agency, for its own people to see.

Sees:     versions; nothing of a catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from elsewhere.asking import MemberStatus
from elsewhere.errors import RosterExpired
from elsewhere.statement import KeyStatement
from node.catalogues.holding import CatalogueName
from node.membership.trust import Trust


def member_statuses(
    trust: Trust, now: datetime, version: Callable[[CatalogueName], int]
) -> tuple[MemberStatus, ...]:
    """Say of each other active member what is held; nothing on a roster that has run out.

    Args:
        trust: who is a member, and which keys they state.
        now: to tell which keys are in force.
        version: gives the version held of a catalogue, 0 for none.

    Returns:
        In the roster's order. A member's version is the lowest of those it would be asked under now, so 0 if
        one of its catalogues is missing.
    """
    try:
        others = trust.others(now)
    except RosterExpired:
        return ()
    found = []
    for member in others:
        statement = trust.statements.get(member.agency_id)
        versions = _versions_to_ask(statement, now, version) if statement is not None else []
        found.append(
            MemberStatus(member.agency_id, member.name, statement is not None, min(versions, default=0))
        )
    return tuple(found)


def is_all_askable(
    trust: Trust, announced: Iterable[CatalogueName], now: datetime, is_held: Callable[[CatalogueName], bool]
) -> bool:
    """Tell whether of every collection announced an epoch in force is held, or none is in force yet."""
    for custodian, collection in {(name.custodian, name.collection) for name in announced}:
        statement = trust.statements.get(custodian)
        current = statement.epochs_in_force(collection, now) if statement is not None else []
        held = [is_held(CatalogueName(custodian, collection, entry.epoch)) for entry in current]
        if held and not any(held):
            return False
    return True


def _versions_to_ask(
    statement: KeyStatement, now: datetime, version: Callable[[CatalogueName], int]
) -> list[int]:
    """The version held of each collection, of the epoch that it would be asked under; 0 for none."""
    found = []
    for collection in sorted({entry.collection for entry in statement.oprf_keys}):
        current = statement.epochs_in_force(collection, now)
        held = [version(CatalogueName(statement.agency, collection, entry.epoch)) for entry in current]
        if held:
            found.append(next((each for each in held if each), 0))
    return found
