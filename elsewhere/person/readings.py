"""The ways one person's name may be read: first name and family name, the likeliest reading first.

Sees:     the names of a person with their uses.
Promises: the same person gives the same readings in the same order, at most READING_LIMIT.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from elsewhere.person.identity import Name
from elsewhere.person.names import family_words, first_names, fold, is_placeholder

READING_LIMIT = 12
# A usual name is what people call the child; an old one is what another agency may still hold.
_USE_ORDER = ("usual", "official", "nickname", "temp", "old", "maiden")


@dataclass(frozen=True, slots=True)
class Reading:
    """One first name and one family name, folded; "" for one that is missing or says nothing.

    `middle`: the second given name where it is written out, with the name as written only.
    """

    first: str
    family: str
    middle: str = ""


def read_names(names: tuple[Name, ...]) -> tuple[Reading, ...]:
    """Return every reading of the names, without repeats; a name used as "anonymous" gives none."""
    ranked = sorted(
        (name for name in names if name.use in _USE_ORDER), key=lambda name: _USE_ORDER.index(name.use)
    )
    seen: dict[Reading, None] = {}
    variants = [tuple(_read_one(name)) for name in ranked]
    # Each name as written comes before any variant of another.
    for readings in variants:
        seen.update(dict.fromkeys(readings[:1]))
    for readings in variants:
        seen.update(dict.fromkeys(readings))
    return tuple(seen)[:READING_LIMIT]


def _read_one(name: Name) -> Iterator[Reading]:
    """The name as written; then with part of a double name, or another first name."""
    firsts, words = first_names(name.given), family_words(name.family)
    if not words and len(firsts) > 1:
        firsts, words = firsts[:-1], firsts[-1:]
    elif not firsts and len(words) > 1 and not name.given:
        firsts, words = words[:1], words[1:]
    family = "".join(words)
    first = firsts[0] if firsts else ""
    if first or family:
        middle = firsts[1] if len(firsts) > 1 and len(firsts[1]) > 1 else ""
        yield Reading(first, family, middle)
    if first:
        for other in _other_firsts(name.given, firsts):
            yield Reading(other, family)
    if len(words) > 1:
        for part in (*words, "".join(reversed(words))):
            yield Reading(first, part)
    elif bare := _without_article(family):
        yield Reading(first, bare)


def _other_firsts(given: tuple[str, ...], firsts: tuple[str, ...]) -> Iterator[str]:
    """The first two together ("Mary Jane", "Xiao Ming"), the later ones, and the parts of a hyphened one.

    Not an initial: it would make one child of all who share it, a family name and a birth date.
    """
    if len(firsts) > 1 and len(firsts[1]) > 1:
        yield firsts[0] + firsts[1]
    yield from (name for name in firsts[1:] if len(name) > 1)
    for written in given:
        parts = [fold(part).replace(" ", "") for part in written.split("-")]
        if len(parts) > 1:
            yield from (part for part in parts if len(part) > 1 and not is_placeholder(part))


def _without_article(family: str) -> str:
    """ "hassan" for "alhassan", as Al-Hassan is also written; "" for a name that cannot have an article."""
    is_joined = family[:2] in ("al", "el") and len(family) > 5 and family[2] not in "aeiou"
    return family[2:] if is_joined else ""
