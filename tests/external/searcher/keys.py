"""Match keys of a question about one born child.

Source:   docs/protocol.md "Match keys"; elsewhere/matchkeys.toml as data.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searcher.names import Names, Reading
from searcher.parts import Child, Values, of_date, of_name, of_numbers, of_place
from searcher.seal import framed

SLOTS = 40
MOST_BETWEEN = 10
_WHOLE = {"f", "f~", "fl", "fl~", "fl2", "fm"}
_START = re.compile("f[1-5]")
_PLACE = {"p", "p3", "po"}
Rule = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MatchKey:
    """One key and how its rule stands to others."""

    rule: str
    strength: str
    values: tuple[str, ...]
    data: bytes
    number: str  # the identifier it holds: "nhs", "upn" or empty
    has_whole_first: bool
    has_start_only: bool

    def in_words(self) -> str:
        return f"{self.strength} {self.rule}: {', '.join(self.values)}"


@dataclass(frozen=True, slots=True)
class KeySet:
    """The rules of one version."""

    version: str
    rules: tuple[Rule, ...]
    names: Names

    @classmethod
    def load(cls, data: Path) -> KeySet:
        """Read the folder that holds matchkeys.toml."""
        document = tomllib.loads((data / "matchkeys.toml").read_text("utf-8"))
        return cls(document["version"], tuple(document["rules"]), Names.load(data))

    def question(self, child: Child) -> list[MatchKey]:
        """The keys to ask, most telling first, at most forty."""
        readings = self.names.readings(child.given, child.family)
        main = self._components(child, readings[0], child.postcode)
        lacks = _lacks(child, readings[0])
        plain = self._keys(self._rules(lacks), main, slips=False)
        slips = self._keys(self._rules(lacks), main, slips=True)
        further = list(dict.fromkeys(self._further(child, readings)))
        ordered = [*plain, *further[:MOST_BETWEEN], *slips, *further[MOST_BETWEEN:]]
        return list({key.data: key for key in ordered}.values())[:SLOTS]

    def _further(self, child: Child, readings: list[Reading]) -> Iterator[MatchKey]:
        """Keys of the readings beyond the first, then of past postcodes; no letters left out."""
        for reading in readings[1:]:
            rules = [r for r in self._rules(_lacks(child, reading)) if r.get("names") == "both"]
            yield from self._keys(rules, self._components(child, reading, child.postcode), slips=False)
        rules = [
            rule
            for rule in self._rules(_lacks(child, readings[0]))
            if rule.get("places") == "both" and not _PLACE.isdisjoint(rule["parts"])
        ]
        for postcode in child.past_postcodes:
            yield from self._keys(rules, self._components(child, readings[0], postcode), slips=False)

    def _rules(self, lacks: set[str]) -> list[Rule]:
        """The rules for a born child whose condition holds."""
        born = (rule for rule in self.rules if rule.get("subject", "child") == "child")
        return [rule for rule in born if rule.get("question", "always") in {"always", *lacks}]

    def _components(self, child: Child, reading: Reading, postcode: str) -> dict[str, Values]:
        place = of_place(postcode, self.names)
        return of_numbers(child) | of_date(child) | place | of_name(reading, self.names)

    def _keys(self, rules: list[Rule], components: dict[str, Values], *, slips: bool) -> Iterator[MatchKey]:
        for rule in rules:
            values = [components.get(part, ([], [])) for part in rule["parts"]]
            for made in itertools.product(*(v[0] + v[1] if slips else v[0] for v in values)):
                yield self._key(rule, made)

    def _key(self, rule: Rule, values: tuple[str, ...]) -> MatchKey:
        texts, parts = (self.version, rule["id"], *values), rule["parts"]
        has_whole = any(part in _WHOLE for part in parts)
        return MatchKey(
            rule=rule["id"],
            strength=rule["strength"],
            values=values,
            data=b"elsewhere/matchkey/" + b"".join(framed(text.encode()) for text in texts),
            number=next((part for part in parts if part in ("nhs", "upn")), ""),
            has_whole_first=has_whole,
            has_start_only=not has_whole and any(_START.fullmatch(part) for part in parts),
        )


def _lacks(child: Child, reading: Reading) -> set[str]:
    first, last, _ = reading
    lacks = {"unnamed": not first, "initial": len(first) == 1 or len(last) == 1, "short": len(first) == 3}
    lacks["undated"] = not child.birth_date
    return {name for name, holds in lacks.items() if holds}
