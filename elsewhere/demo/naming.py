"""How an agency writes a child's names: which of them it heard, in which spelling, with which slips.

Promises: one chance decides each error of `agencies.toml`, only where it can happen; what happened is
          appended to `errors`. An error that leaves the name as it was is not counted.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from elsewhere.demo.agencies import Agency
from elsewhere.demo.children import Child
from elsewhere.demo.cultures import culture_of
from elsewhere.demo.draw import Draw
from elsewhere.demo.slips import misheard, misread, swap_letters, typo, without_accents

_NEWBORN_DAYS = 42
_PLACEHOLDERS = ("Baby", "Unknown", "Baby {parent}", "Infant", "Not Known", "Baby Boy", "Baby Girl")


@dataclass(frozen=True, slots=True)
class Names:
    """Names as one agency wrote them. `aliases`: given and family."""

    given: tuple[str, ...]
    family: str
    aliases: tuple[tuple[str, str], ...]


class _Hand:
    """Writes the names of one child, and keeps count of what went wrong."""

    def __init__(self, draw: Draw, agency: Agency, child: Child, errors: list[str]) -> None:
        self.draw, self.agency, self.errors = draw, agency, errors
        self.given = list(child.given if draw.chance(agency.further_given) else child.given[:1])
        self.family = child.family
        self.aliases: list[tuple[str, str]] = []

    def happens(self, error: str) -> bool:
        """Whether the error comes about here; it is noted by `note`, or by `change` if it changed a name."""
        return self.draw.chance(self.agency.errors[error])

    def change(self, error: str, writer: Callable[[str], str], *, family: bool) -> None:
        """Write the first or the family name otherwise, if the error comes about."""
        if not self.happens(error) or not (self.family if family else self.given):
            return
        old = self.family if family else self.given[0]
        new = writer(old)
        if new == old or not new.strip(" -'"):
            return
        self.errors.append(error)
        if family:
            self.family = new
        else:
            self.given[0] = new


def write_names(
    draw: Draw, agency: Agency, child: Child, *, today: datetime.date, errors: list[str]
) -> Names:
    """Write a child's names down as the agency would."""
    hand = _Hand(draw, agency, child, errors)
    _choose_given(hand, child)
    _choose_family(hand, child)
    spellings = culture_of(child.culture).spellings if child.culture else ()
    hand.change("spelling_given", lambda name: swap_letters(draw, name, spellings), family=False)
    hand.change("spelling_family", lambda name: swap_letters(draw, name, spellings), family=True)
    hand.change("misheard", lambda name: misheard(draw, name), family=draw.chance(0.5))
    hand.change("misread", lambda name: misread(draw, name), family=draw.chance(0.5))
    hand.change("typo_given", lambda name: typo(draw, name), family=False)
    hand.change("typo_family", lambda name: typo(draw, name), family=True)
    _drop_accents(hand)
    if hand.given and hand.happens("names_swapped"):
        hand.given[0], hand.family = hand.family, hand.given[0]
        errors.append("names_swapped")
    _leave_out(hand, child, today)
    return Names(tuple(hand.given), hand.family, tuple(hand.aliases))


def _choose_given(hand: _Hand, child: Child) -> None:
    """Which first name: the full one, what the child is called, a further one, an initial."""
    if child.known_as:
        if hand.happens("nickname"):
            hand.given = [child.known_as]  # the agency never heard the full name
            hand.errors.append("nickname")
        elif hand.happens("nickname_beside"):
            hand.aliases.append((child.known_as, child.family))
            hand.errors.append("nickname_beside")
    if len(hand.given) > 1:
        if hand.happens("further_first"):
            hand.given = [hand.given[1], hand.given[0], *hand.given[2:]]
            hand.errors.append("further_first")
        elif hand.happens("joined_given"):
            hand.given = [f"{hand.given[0]}-{hand.given[1]}", *hand.given[2:]]
            hand.errors.append("joined_given")
    if hand.happens("initial_only"):
        hand.given = [hand.given[0][0]]
        hand.errors.append("initial_only")


def _choose_family(hand: _Hand, child: Child) -> None:
    """Which family name: the one in use or another, and how a double one is written."""
    if child.other_families:
        other = child.other_families[0]
        if hand.happens("other_family"):
            hand.family = other
            hand.errors.append("other_family")
            if hand.draw.chance(0.4):
                hand.aliases.append((hand.given[0], child.family))
        elif hand.happens("other_family_beside"):
            hand.aliases.append((hand.given[0], other))
            hand.errors.append("other_family_beside")
    joined = "-" if "-" in hand.family else " "
    parts = hand.family.split(joined)
    if len(parts) == 2 and all(parts):
        if hand.happens("half_double"):
            hand.family = hand.draw.pick(parts)
            hand.errors.append("half_double")
        elif hand.happens("double_swapped"):
            hand.family = joined.join(reversed(parts))
            hand.errors.append("double_swapped")
        elif joined == "-" and hand.happens("double_spaced"):
            hand.family = " ".join(parts)
            hand.errors.append("double_spaced")


def _drop_accents(hand: _Hand) -> None:
    """Write every name in plain letters."""
    names = [*hand.given, hand.family, *(name for alias in hand.aliases for name in alias)]
    if all(name.isascii() for name in names) or not hand.happens("accents_dropped"):
        return
    hand.given = [without_accents(name) for name in hand.given]
    hand.family = without_accents(hand.family)
    hand.aliases = [(without_accents(given), without_accents(family)) for given, family in hand.aliases]
    hand.errors.append("accents_dropped")


def _leave_out(hand: _Hand, child: Child, today: datetime.date) -> None:
    """No first name, or a stand-in for one: mostly of children who are a few weeks old."""
    newborn = (today - child.born).days < _NEWBORN_DAYS and "placeholder_newborn" in hand.agency.errors
    error = "placeholder_newborn" if newborn else "placeholder"
    if hand.happens(error):
        word = "Baby" if newborn else hand.draw.pick(_PLACEHOLDERS)
        hand.given = word.format(parent=hand.family).split(" ", 1)
        hand.errors.append(error)
    elif hand.happens("given_missing"):
        hand.given = []
        hand.errors.append("given_missing")
