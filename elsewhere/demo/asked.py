"""Labelled questions: children asked about as one agency spells them, with who truly holds a record of them.

Promises: half are about children whom another agency knows, asked in the spelling of the asker's own record;
          of the other half, seven in ten live in no household of the population and the rest live there
          unknown to every agency, many with brothers and sisters who are known. One pass over the
          population, memory by the number of questions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from elsewhere.demo.agencies import agencies
from elsewhere.demo.children import Child
from elsewhere.demo.draw import Draw
from elsewhere.demo.households import Region, households_elsewhere
from elsewhere.demo.population import View
from elsewhere.demo.records import Record, write_down

UNKNOWN_HERE = 0.3  # of the questions about absent children


@dataclass(frozen=True, slots=True)
class Asked:
    """One labelled question.

    `record`: the person as the asker writes it. `known_to`: agencies, the asker left out, that hold the
    child so that an answer may come; `hidden_at`: those where the child's home must not come out;
    `sibling_at`: those that hold a brother or sister but not the child. An absent child is known to nobody.
    """

    asker: str
    child: Child
    record: Record
    known_to: tuple[str, ...]
    hidden_at: tuple[str, ...]
    sibling_at: tuple[str, ...]

    @property
    def is_absent(self) -> bool:
        """Whether no agency but the asker holds the child."""
        return not self.known_to and not self.hidden_at


class QuestionDrawer:
    """Draws questions from a stream of households, each child as likely as another."""

    def __init__(self, region: Region, count: int) -> None:
        self._region = region
        self._draw = Draw(region.seed, "questions")
        self._absent = count // 2
        self._here = int(self._absent * UNKNOWN_HERE)
        self._known = _Reservoir(count - self._absent, self._draw)
        self._unknown = _Reservoir(self._here, self._draw)

    def see(self, view: View) -> None:
        """Consider the children of one household."""
        for child in view.household.children:
            holders = view.holders(child)
            if len(holders) >= 2:
                id = self._draw.pick(sorted(holders))
                self._known.offer(self._question(view, child, id, holders[id][0]))
            elif not holders:
                asker = self._draw.pick(agencies())
                draw = Draw(self._region.seed, asker.id, "asked", child.place)
                today = self._region.today
                record = write_down(draw, asker, child, household=view.household, today=today)
                self._unknown.offer(self._question(view, child, asker.id, record))

    def questions(self) -> list[Asked]:
        """Return every question, in no order, when all households were seen."""
        found = [*self._known.kept, *self._unknown.kept]
        found += islice(self._outsiders(), self._absent - len(self._unknown.kept))
        self._draw.shuffle(found)
        return found

    def _question(self, view: View, child: Child, asker: str, record: Record) -> Asked:
        holders = view.holders(child)
        hidden = {id for id, records in holders.items() if any(r.shield for r in records)} - {asker}
        family = {id for id, records in view.records.items() if any(r.about[0] == "C" for r in records)}
        return Asked(
            asker=asker,
            child=child,
            record=record,
            known_to=tuple(sorted(set(holders) - hidden - {asker})),
            hidden_at=tuple(sorted(hidden)),
            sibling_at=tuple(sorted(family - set(holders) - {asker})),
        )

    def _outsiders(self) -> Iterator[Asked]:
        """Children of households made as all are, whom nobody wrote down."""
        for household in households_elsewhere(self._region):
            for child in household.children[:1]:
                asker = self._draw.pick(agencies())
                draw = Draw(self._region.seed, asker.id, "asked", "outsider", household.number)
                today = self._region.today
                record = write_down(draw, asker, child, household=household, today=today)
                yield Asked(asker.id, child, record, (), (), ())


class _Reservoir:
    """Keeps so many of a stream, each as likely as another (Vitter's algorithm R)."""

    def __init__(self, size: int, draw: Draw) -> None:
        self.kept: list[Asked] = []
        self._size, self._draw, self._seen = size, draw, 0

    def offer(self, question: Asked) -> None:
        self._seen += 1
        if len(self.kept) < self._size:
            self.kept.append(question)
            return
        at = self._draw.below(self._seen)
        if at < self._size:
            self.kept[at] = question
