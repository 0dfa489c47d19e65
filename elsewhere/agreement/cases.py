"""Every kind of question that an agreement can be asked, so that its texts can be compared by what they do.

Promises: two parties that no rule tells apart are asked about once, so that a hundred schools cost as much
          as two; whatever holds of one of them holds of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product

from elsewhere.agreement.bases import may_rely
from elsewhere.agreement.outcome import QuestionFacts
from elsewhere.agreement.terms import Agreement, Party, Rule
from elsewhere.agreement.vocabulary import Purpose, vocabulary

URGENT = "RED"  # the one urgency with which every basis may be asserted


@dataclass(frozen=True, slots=True)
class Kind:
    """Parties that no rule tells apart, in the agreement's order."""

    parties: tuple[Party, ...]

    @property
    def first(self) -> Party:
        """The one that stands for all."""
        return self.parties[0]


@dataclass(frozen=True, slots=True)
class Case:
    """One question, who could ask it in these words and whom."""

    facts: QuestionFacts
    searchers: tuple[Party, ...]
    custodians: tuple[Party, ...]


def kinds_of(parties: Iterable[Party], rules: Iterable[Rule]) -> tuple[Kind, ...]:
    """Group parties that have one sector and status and that no rule names."""
    named = {scope.agency for rule in rules for scope in (rule.source, rule.dest)} - {None}
    found: dict[tuple[str, bool, str], list[Party]] = {}
    for party in parties:
        own = party.agency_id if party.agency_id in named else ""
        found.setdefault((party.sector, party.is_public_authority, own), []).append(party)
    return tuple(Kind(tuple(group)) for group in found.values())


def cases(kinds: Sequence[Kind], collections: Iterable[str]) -> Iterator[Case]:
    """Every question about a child or totals that the vocabulary lets pass, on each basis the asker has."""
    words = vocabulary()
    opened = [words.collections[name] for name in collections]
    for asking, answering in product(kinds, kinds):
        pair = _pair(asking, answering)
        if pair is None:
            continue
        sector = words.sectors[asking.first.sector]
        bases = [
            basis.id
            for basis in words.bases.values()
            if basis.carries_a_question
            and not basis.needs
            and may_rely(basis, sector, public_authority=asking.first.is_public_authority)
        ]
        for collection in opened:
            for purpose in (words.purposes[name] for name in collection.purposes):
                if purpose.about == "log" or sector.id not in purpose.askers:
                    continue
                for basis in bases:
                    facts = _facts(pair, purpose, basis, collection.id)
                    yield Case(facts, asking.parties, answering.parties)


def moments(agreement: Agreement) -> tuple[datetime, ...]:
    """Times between which nothing of an agreement changes: one within each stretch of its validity."""
    second = timedelta(seconds=1)
    starts = {agreement.validity.valid_from}
    duty = agreement.duty_from or vocabulary().duty_from
    for moment in (duty, *(t for rule in agreement.rules for t in (rule.valid_from, rule.valid_until))):
        if moment is not None and agreement.validity.valid_from <= moment < agreement.validity.valid_until:
            starts.add(moment)
    return tuple(sorted(starts | {agreement.validity.valid_until - second}))


def names(parties: Iterable[Party]) -> str:
    """Name parties in one line."""
    return ", ".join(party.name for party in parties)


def _pair(asking: Kind, answering: Kind) -> tuple[Party, Party] | None:
    """Two different parties of two kinds; None where a kind of one party would ask itself."""
    if asking is not answering:
        return asking.first, answering.first
    return (asking.parties[0], asking.parties[1]) if len(asking.parties) > 1 else None


def _facts(pair: tuple[Party, Party], purpose: Purpose, basis: str, collection: str) -> QuestionFacts:
    """Word one question, by the first role that may ask it."""
    searcher, custodian = pair
    return QuestionFacts(
        searcher=searcher.agency_id,
        searcher_sector=searcher.sector,
        custodian=custodian.agency_id,
        custodian_sector=custodian.sector,
        collection=collection,
        purpose=purpose.id,
        basis=basis,
        urgency=URGENT,
        role=purpose.askers[searcher.sector][0],
        about=purpose.about,
    )
