"""Made-up people as they truly are, before any agency has written them down.

Promises: plain values; nobody in them is real.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """Who an adopted child was before: an identity that must never be tied to the present one."""

    given: tuple[str, ...]
    family: str
    postcodes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One made-up child. `postcodes`: current first; `place` tells children apart, as names may repeat."""

    place: int
    given: tuple[str, ...]
    family: str
    born: datetime.date
    postcodes: tuple[str, ...]
    nhs_number: str
    upn: str
    sex: str = ""  # F or M
    culture: str = ""  # of `names/cultures.toml`
    household: int = 0
    birth: int = 1  # children born at one birth: 2 for a twin
    known_as: str = ""  # a short or English name, used beside the first name or instead
    other_families: tuple[str, ...] = ()  # earlier or other family names
    trouble: float = 0.0  # how likely agencies beyond school and hospital know the household, 0 to 1
    is_hidden: bool = False  # where the household lives must not come out
    before: Before | None = None

    def age(self, today: datetime.date) -> int:
        """Return whole years; -1 before birth."""
        return today.year - self.born.year - ((today.month, today.day) < (self.born.month, self.born.day))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """A made-up mother or father. `due`: the day her next child is expected."""

    place: int
    given: str
    family: str
    born: datetime.date
    sex: str
    nhs_number: str = ""
    due: datetime.date | None = None


@dataclass(frozen=True, slots=True)
class Household:
    """Children at one address, and those of their parents whom an agency may write down beside them."""

    number: int
    culture: str
    postcodes: tuple[str, ...]
    children: tuple[Child, ...]
    namesakes: tuple[Parent, ...]  # parents who bear a child's first and family name
    expecting: Parent | None
    trouble: float
