"""What is held of each other agency, for its own people to see.

Sees:     versions; nothing of a catalogue.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from elsewhere.asking import MemberStatus
from elsewhere.errors import RosterExpired
from node.catalogues.holding import CatalogueName
from node.trust import Trust


def member_statuses(
    trust: Trust, now: datetime, version: Callable[[CatalogueName], int]
) -> tuple[MemberStatus, ...]:
    """Say of each other active member what is held; nothing on a roster that has run out.

    Args:
        trust: who is a member, and which keys they state.
        now: to tell which keys are in force.
        version: gives the version held of a catalogue, 0 for none.

    Returns:
        In the roster's order. A member's version is the lowest of its newest epochs, so 0 if one of its
        catalogues is missing.
    """
    try:
        others = trust.others(now)
    except RosterExpired:
        return ()
    found = []
    for member in others:
        statement = trust.statements.get(member.agency_id)
        entries = statement.oprf_keys if statement is not None else ()
        versions = [
            version(CatalogueName(member.agency_id, entry.collection, entry.epoch))
            for entry in entries
            if statement is not None and statement.current_epoch(entry.collection, now) == entry
        ]
        found.append(
            MemberStatus(member.agency_id, member.name, statement is not None, min(versions, default=0))
        )
    return tuple(found)
