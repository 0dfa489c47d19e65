"""The word and letter tables of names (words.toml), read once."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Words:
    """The tables; each holds folded words, `letters` is for `str.translate`."""

    titles: frozenset[str]
    particles: frozenset[str]
    placeholders: frozenset[str]
    fillers: frozenset[str]
    phrases: frozenset[str]
    openings: frozenset[str]
    pseudo_postcodes: frozenset[str]
    letters: dict[int, str]


@cache
def words() -> Words:
    """Return the tables of this version."""
    tables = tomllib.loads(resources.files("elsewhere.person").joinpath("words.toml").read_text("utf-8"))
    pairs = (pair.split("=") for script in tables["letters"].values() for pair in script.split())
    return Words(
        titles=frozenset(tables["titles"].split()),
        particles=frozenset(tables["particles"].split()),
        placeholders=frozenset(tables["placeholders"].split()),
        fillers=frozenset(tables["fillers"].split()),
        phrases=frozenset(tables["phrases"]),
        openings=frozenset(tables["openings"].split()),
        pseudo_postcodes=frozenset(tables["pseudo_postcodes"].split()),
        letters={ord(letter): spelling for letter, spelling in pairs},
    )
