"""What a linkage measurement is made of: what an agency holds, and questions whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from elsewhere.person.identity import Person


@dataclass(frozen=True, slots=True)
class Held:
    """One record of the agency asked. `child`: whom it is truly about."""

    child: int
    person: Person = field(repr=False)
    source_id: str = ""
    culture: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question. `child` is not among the held for an absent one; `errors`: how its two sides differ."""

    child: int
    person: Person = field(repr=False)
    culture: str = ""
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DataSet:
    """Records and labelled questions of one kind. `seen`: rules were chosen while looking at this kind."""

    name: str
    held: Sequence[Held] = field(repr=False)
    asked: Sequence[Asked] = field(repr=False)
    seen: bool = False

    def without_numbers(self) -> DataSet:
        """The same without NHS and pupil numbers: names, dates and places carry every match."""
        return replace(
            self,
            name=f"{self.name}, no identifier",
            held=[replace(h, person=_numberless(h.person)) for h in self.held],
            asked=[replace(a, person=_numberless(a.person)) for a in self.asked],
        )


def _numberless(person: Person) -> Person:
    return replace(person, nhs_number=None, upn=None)
