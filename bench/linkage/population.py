"""The demo's synthetic population as linkage cases: one agency's records, asked in the others' spelling.

Promises: a child whom the custodian does not hold counts as absent, also where it holds a brother, a sister,
          a twin or a parent of the same name. No record that is never published is held.
"""

from __future__ import annotations

import datetime

from bench.linkage.cases import Asked, DataSet, Held
from elsewhere.demo.asked import QuestionDrawer
from elsewhere.demo.population import region, views
from elsewhere.demo.records import Record
from elsewhere.person.dates import PartialDate
from elsewhere.person.identity import Name, Person, Unborn

_TODAY = datetime.date(2026, 9, 1)
_CHILDREN_A_RECORD = (
    2.0  # of a population, for one that the custodian holds; 4 in 5 questions are its own concern
)


def make(custodian: str, *, held: int, questions: int, seed: int, is_even: bool = False) -> DataSet:
    """Make a population of which the custodian holds about so many, and ask it about both kinds.

    `is_even`: its cultures are of one size each, so that recall of the small ones can be told.
    """
    place = region(seed=seed, size=round(held * _CHILDREN_A_RECORD), today=_TODAY, is_even=is_even)
    drawer = QuestionDrawer(place, questions * 2)
    held_there: list[Held] = []
    for view in views(place):
        drawer.see(view)
        held_there += [
            Held(_number(r.about), person_of(r), r.person_id, view.household.culture)
            for r in view.records.get(custodian, ())
            if r.shield != "IDENTITY"
        ]
    drawn = [q for q in drawer.questions() if q.asker != custodian]
    present = [q for q in drawn if custodian in (*q.known_to, *q.hidden_at)]
    absent = [q for q in drawn if custodian not in (*q.known_to, *q.hidden_at)]
    half = min(questions // 2, len(present), len(absent))
    return DataSet(
        name=f"population{' of even cultures' if is_even else ''}, {custodian}",
        held=held_there,
        asked=[
            *(
                Asked(q.child.place, person_of(q.record), q.child.culture, q.record.errors)
                for q in present[:half]
            ),
            *(Asked(-1, person_of(q.record), q.child.culture, q.record.errors) for q in absent[:half]),
        ],
    )


def person_of(record: Record) -> Person:
    """The record as a load reads it from the agency's export."""
    names = [Name(record.given, record.family)] if record.given or record.family else []
    names += [Name(tuple(given.split()), family, "old") for given, family in record.aliases]
    mother = record.mother
    return Person(
        names=tuple(names),
        birth_date=PartialDate(record.born, record.accuracy) if record.born else None,
        postcodes=record.postcodes,
        nhs_number=record.nhs_number or None,
        upn=record.upn or None,
        unborn=Unborn(
            names=(Name((mother.given,), mother.family),),
            birth_date=PartialDate(mother.born),
            nhs_number=mother.nhs_number or None,
            due_date=PartialDate(mother.due) if mother.due else None,
        )
        if mother
        else None,
    )


def _number(about: str) -> int:
    """A number for whom a record is about, that of the child's place for a child."""
    return int(about[1:]) if about[0] == "C" else -2 - hash(about) % 10**9
