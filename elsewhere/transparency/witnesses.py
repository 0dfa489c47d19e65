"""Whose log is seen by whom: each member's by the two that follow it in the roster.

Promises: everybody reads the same from one roster, so nobody can choose its own witnesses.
"""

from __future__ import annotations

from typing import Final

from elsewhere.roster import Roster
from elsewhere.transparency.note import Verifier

WITNESSES: Final = 2  # other members that are to have seen a checkpoint; fewer where there are fewer


def witness_name(federation: str, agency: str) -> str:
    """Name a member as a witness."""
    return f"{federation}/{agency}/witness"


def witnesses_of(roster: Roster, agency: str) -> tuple[str, ...]:
    """Give the members that witness a member's log, in order: the next active ones, the first after the last.

    Args:
        roster: in force.
        agency: whose log; also of a member that is suspended.
    """
    ring = sorted({member.agency_id for member in roster.active_members()} | {agency})
    at = ring.index(agency)
    return tuple((*ring[at + 1 :], *ring[:at])[:WITNESSES])


def verifiers_of(roster: Roster, agency: str) -> tuple[Verifier, ...]:
    """Give the keys whose cosignatures count on a member's log."""
    return tuple(
        Verifier(witness_name(roster.federation, name), roster.active(name).signing_key, is_witness=True)
        for name in witnesses_of(roster, agency)
    )


def all_verifiers(roster: Roster) -> tuple[Verifier, ...]:
    """Give every key of every member as a witness, of those that left too: for checkpoints of long ago."""
    return tuple(
        Verifier(witness_name(roster.federation, member.agency_id), key, is_witness=True)
        for member in roster.members
        for key in member.keys
    )
