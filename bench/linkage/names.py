"""Given and family names of many cultures, from the lists of the package Faker (MIT licence).

Holds:    which cultures may be looked at while choosing rules, and which are kept for the test.
Promises: a fixed order; names that written law orders otherwise are as the lists have them. Commonness
          follows 1/(rank + 8), so that common names collide as in life.
"""

from __future__ import annotations

import importlib
import itertools
import random
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

# The lists of each half are never used by the other.
DEVELOPMENT = ("en_GB", "en_IN", "en_PK", "cs_CZ", "tr_TR", "en_KE", "yo_NG", "nl_BE", "es_CA", "hu_HU")
TEST = (
    "en_NZ",
    "ga_IE",
    "it_IT",
    "sk_SK",
    "id_ID",
    "uz_UZ",
    "sv_SE",
    "zu_ZA",
    "az_AZ",
    "fr_FR",
    "lv_LV",
    "tw_GH",
)
_FEWEST = 30
_FLATNESS = 8


@dataclass(frozen=True, slots=True)
class Culture:
    """Names of one culture, the commonest first, with how common all up to each are together."""

    name: str
    girls: tuple[str, ...] = field(repr=False)
    boys: tuple[str, ...] = field(repr=False)
    families: tuple[str, ...] = field(repr=False)

    def family(self, draw: random.Random) -> str:
        """Draw a family name."""
        return _draw(draw, self.families)

    def given(self, draw: random.Random, *, is_girl: bool) -> str:
        """Draw a first name."""
        return _draw(draw, self.girls if is_girl else self.boys)


def cultures(locales: Sequence[str], *, seed: int) -> tuple[Culture, ...]:
    """Read the lists; which names are common is drawn by the seed, as the lists do not say it."""
    return tuple(_culture(locale, random.Random(f"{locale}/{seed}")) for locale in locales)


def _culture(locale: str, draw: random.Random) -> Culture:
    provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
    both = _words(getattr(provider, "first_names", ()))
    girls = _words(getattr(provider, "first_names_female", ())) or both
    boys = _words(getattr(provider, "first_names_male", ())) or both
    families = _words(
        [
            *getattr(provider, "last_names", ()),
            *getattr(provider, "last_names_female", ()),
            *getattr(provider, "last_names_male", ()),
        ]
    )
    if min(len(girls), len(boys), len(families)) < _FEWEST:
        raise ValueError(f"{locale}: expected {_FEWEST} names of each kind")
    for names in (girls, boys, families):
        draw.shuffle(names)
    return Culture(locale, tuple(girls), tuple(boys), tuple(families))


def _words(names: Sequence[str]) -> list[str]:
    """Different names in alphabetical order, in one Unicode form."""
    return sorted({unicodedata.normalize("NFC", name).strip() for name in names if len(name) > 1})


_weights: dict[int, list[float]] = {}


def _draw(draw: random.Random, names: tuple[str, ...]) -> str:
    if len(names) not in _weights:
        _weights[len(names)] = list(
            itertools.accumulate(1 / (rank + _FLATNESS) for rank in range(len(names)))
        )
    return draw.choices(names, cum_weights=_weights[len(names)])[0]
