"""The match keys behind revealed tags, derived at one cost whoever holds them and at whichever place.

Sees:     the persons that hold a tag, in the clear.
Promises: KEYS keys are derived for every Redeem: first what is needed of the persons who hold a tag, then on
          from there. More only where a key stands further behind, or the keys of several persons do together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain, islice
from typing import Final

from elsewhere.matchkeys import MatchKey, derive_record_keys, record_keys
from elsewhere.person.identity import Person
from node.caseload.child import Holders

# Of a hundred records ninety-nine have fewer keys, and nearly every question meets one child only.
KEYS: Final = 64

_Held = tuple[bytes, bool]  # a person in canonical form, and whether its keys with a postcode count


def keys_behind(each: Sequence[Holders]) -> list[MatchKey]:
    """Give the match key behind each tag, a stand-in's where nobody holds it.

    Records that share a tag share the key: the tag is a function of it that nobody can steer.

    Raises:
        IndexError: a person has no key at the place that is stored with its tag.
    """
    last: dict[_Held, int] = {}
    for holders in filter(lambda found: found.person, each):
        held = holders.person, holders.with_postcode
        last[held] = max(holders.ordinal, last.get(held, 0))
    going_on: Iterator[MatchKey] = iter(())
    derived: dict[_Held, list[MatchKey]] = {}
    for held, place in last.items():
        going_on = _derive(held)
        derived[held] = list(islice(going_on, place + 1))
    left = max(0, KEYS - sum(map(len, derived.values())))
    deque(islice(chain(going_on, _without_end()), left), maxlen=0)
    return [
        derived[found.person, found.with_postcode][found.ordinal] if found.person else _nobodys_key()
        for found in each
    ]


def _derive(held: _Held) -> Iterator[MatchKey]:
    person, with_postcode = held
    return derive_record_keys(Person.from_canonical(person), with_postcode=with_postcode)


def _without_end() -> Iterator[MatchKey]:
    """Derive the stand-in's keys again and again."""
    while True:
        yield from _derive((_stand_in(), True))


@cache
def _stand_in() -> bytes:
    """A person with as many keys as most have who have one name and one postcode."""
    return Person.of(given="Stand", family="In", dob="2015-06-15", postcode="ZZ1 1ZZ").canonical()


@cache
def _nobodys_key() -> MatchKey:
    """What stands for the key of a tag that nobody holds. It opens no slot but with negligible chance."""
    return record_keys(Person.from_canonical(_stand_in()))[0]
