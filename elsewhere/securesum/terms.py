"""Who may take part in one query, and how many must, so that no agency's own number stands nearly alone.

Sees:     agency ids, and who operates a node.
Refuses:  too few operators, or too few of those that hold the table.
Source:   docs/protocol.md, "Studies"; docs/privacy-proof.md, step 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from elsewhere.roster import Roster
from elsewhere.securesum.errors import TooFewHold, TooFewTakePart


@dataclass(frozen=True, slots=True)
class Terms:
    """What a query and the agreement say of who takes part."""

    qid: bytes
    participants: tuple[str, ...]  # who may
    min_roster: int  # how many different operators must
    colluding: int  # c: how many operators may collude
    holders: tuple[str, ...]  # who holds the table, as agreed
    min_holders: int  # how many different operators of them must


def enough_operators(terms: Terms, agencies: Sequence[str], roster: Roster) -> int:
    """Count operators, if so many take part that no agency's own number stands nearly alone.

    Nodes of one operator can pool what they know: they count as one.

    Args:
        terms: of the query.
        agencies: who takes part.
        roster: in force; it says who operates a node.

    Returns: how many different operators there are.

    Raises:
        TooFewTakePart: fewer operators than agreed, or fewer than two without those that may collude.
        TooFewHold: fewer operators of agencies that hold the table than agreed.
    """
    operators = len({roster.active(agency).operator for agency in agencies})
    least = max(terms.min_roster, terms.colluding + 2)
    if operators < least:
        raise TooFewTakePart(f"expected members of at least {least} operators, got {operators}")
    holding = len({roster.active(agency).operator for agency in agencies if agency in terms.holders})
    if holding < terms.min_holders:
        raise TooFewHold(f"expected members of {terms.min_holders} operators that hold it, got {holding}")
    return operators
