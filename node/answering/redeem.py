"""What revealed tags open: the agency's own records, if each was truly asked about in round one.

Sees:     up to four tags with their slots and blinds; the records that hold these tags.
Refuses:  tags kept from another question, purpose or agency: they open no slot of this one.
Promises: four reveals are checked whatever came, with as many reads, match keys and group operations, so
          that a miss takes the steps of a hit.
Source:   docs/protocol.md, "Round two at the custodian".
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from elsewhere.lookup import MAX_REVEALS, Answer, EvaluateRequest, RedeemRequest, Reveal
from elsewhere.matching import VerdictKind, judge
from elsewhere.matchkeys import Strength
from elsewhere.oprf import voprf
from elsewhere.random import RandomBytes
from node.answering.answer import compose
from node.answering.heldkeys import keys_behind
from node.caseload.child import child_of, holders_of_each
from node.caseload.index import SourceState, source_states


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The answer, and for this agency's own log whom it was about and why."""

    answer: Answer
    subjects: tuple[tuple[str, str], ...]  # source and person id there: what outlives a reload
    reason: str
    opened: int = 0  # the slots that were opened, slot n as 2**n


@dataclass(frozen=True, slots=True)
class Both:
    """Both rounds of one question, and what round one's decision permits."""

    request: EvaluateRequest
    asked: RedeemRequest
    tier: str  # "" where it did not permit: then nothing is redeemed
    max_age_days: int = 0  # of a source, as agreed; 0: only what the agency promised itself


def redeem(connection: Connection, rounds: Both, *, now: datetime, random: RandomBytes) -> Redeemed:
    """Check what was revealed and compose the answer.

    Args:
        connection: one consistent view of the caseload.
        rounds: round one, whose elements the reveals must open, and round two.
        now: aware UTC time.
        random: for four decoys, of which as many are checked as are missing to four.
    """
    request, asked, tier = rounds.request, rounds.asked, rounds.tier
    real = asked.reveals if tier else ()
    decoys = tuple(_decoy(slot, random) for slot in range(MAX_REVEALS))
    found: dict[int, list[tuple[str, Strength]]] = defaultdict(list)
    subjects: dict[tuple[str, str], None] = {}
    opened = 0
    reveals = (*real, *decoys)[:MAX_REVEALS]
    tags = [reveal.tag for reveal in reveals]
    each = holders_of_each(connection, request.collection, request.epoch, tags)
    for reveal, holders, key in zip(reveals, each, keys_behind(each), strict=True):
        # The tag alone proves nothing: it may be kept from another question. The slot's element, made with a
        # blind that only this question's maker knows, proves that this key was asked here and now.
        if voprf.opens(key.data, reveal.blind, request.elements[reveal.slot]):
            for group in holders.groups:
                found[group].append((key.rule, key.strength))
            subjects |= dict.fromkeys(holders.records)
            opened |= 1 << reveal.slot
    verdict = judge(found, names_asked=asked.names_asked)
    match = verdict.groups[0] if verdict.kind is VerdictKind.MATCH else None
    states = _as_agreed(source_states(connection), rounds.max_age_days)
    answer = compose(verdict, child_of(connection, match, states), states, tier, now)
    return Redeemed(answer, tuple(sorted(subjects)), verdict.reason, opened)


def _decoy(slot: int, random: RandomBytes) -> Reveal:
    """A reveal that opens nothing and costs what a real one costs."""
    return Reveal(slot, random(32), voprf.scalar_from_uniform(random(64)))


def _as_agreed(states: dict[str, SourceState], max_age_days: int) -> dict[str, SourceState]:
    """Hold sources to what the parties agreed, where that is less than what the agency promised itself."""
    if not max_age_days:
        return states
    return {
        name: replace(state, max_age_days=min(state.max_age_days or max_age_days, max_age_days))
        for name, state in states.items()
    }
