"""Folding of names, their codes, their skeletons, and the ways in which one name may be read.

Source:   docs/protocol.md "Components", "Which keys a question asks"; elsewhere/person/words.toml and
          elsewhere/nicknames.toml as data.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_READINGS = 12
_VANISH = re.compile("['’‘ʼʻʹʽ`´ʿʾ\u00ad\u200b-\u200f\u2060\ufeff]")
Reading = tuple[str, str, str]  # first name, family name, second first name


@dataclass(frozen=True, slots=True)
class Names:
    """The words, letters and groups of names of one key set."""

    letters: dict[int, str]
    lists: dict[str, set[str]]
    groups: tuple[tuple[str, ...], ...]

    @classmethod
    def load(cls, data: Path) -> Names:
        """Read them from the folder that holds matchkeys.toml."""
        words: dict[str, Any] = tomllib.loads((data / "person" / "words.toml").read_text("utf-8"))
        pairs = (pair.split("=") for line in words.pop("letters").values() for pair in line.split())
        lists = {name: set(v.split() if isinstance(v, str) else v) for name, v in words.items()}
        nicknames = tomllib.loads((data / "nicknames.toml").read_text("utf-8"))
        groups = tuple(tuple(group.split()) for group in nicknames["groups"])
        return cls({ord(letter): written for letter, written in pairs}, lists, groups)

    def fold(self, text: str) -> list[str]:
        """The words of a text."""
        if text.isascii():
            plain = _VANISH.sub("", text.lower())
        else:
            joined = _VANISH.sub("", unicodedata.normalize("NFKC", text).casefold())
            spelt = unicodedata.normalize("NFKD", joined.translate(self.letters))
            bare = "".join(letter for letter in spelt if not unicodedata.combining(letter))
            plain = _VANISH.sub("", bare.translate(self.letters))
        return [word for word in re.split(r"[\W_]+", plain) if word]

    def _is_nobody(self, name: str) -> bool:
        """Tell whether a whole first name fills the field only."""
        words = self.fold(name)
        if not words or " ".join(words) in self.lists["phrases"]:
            return True
        usual = self.lists["placeholders"] | self.lists["fillers"]
        fills = [word in usual or word.isdigit() for word in words]
        if all(fills):
            is_number = all(word.isdigit() for word in words)
            return is_number or not self.lists["placeholders"].isdisjoint(words)
        return words[0] in self.lists["openings"] and (fills[1] or words[1] in ("son", "daughter"))

    def firsts(self, given: str) -> list[str]:
        """The first names in order; none if they name nobody."""
        if self._is_nobody(given):
            return []
        dropped = self.lists["titles"] | self.lists["placeholders"]
        folded = ("".join(self.fold(piece)) for piece in given.split())
        return [name for name in folded if name and name not in dropped and not name.isdigit()]

    def family_words(self, family: str) -> list[str]:
        """The words of a family name in order; none if it names nobody."""
        words = self.fold(family)
        if " ".join(words) in self.lists["phrases"] or self.lists["placeholders"].issuperset(words):
            return []
        dropped = self.lists["titles"] | self.lists["particles"]
        joined: list[str] = []
        for word in [w for w in words if w not in dropped] or words:
            if joined and joined[-1] in ("mc", "mac", "o", "st"):
                joined[-1] += word
            else:
                joined.append("st" if word == "saint" else word)
        return [re.sub("^mac(?=.{3})", "mc", word) for word in joined]

    def readings(self, given: str, family: str) -> list[Reading]:
        """The main reading of a usual name, then the further ones; ("", "", "") if it says nothing."""
        every = list(dict.fromkeys(self._readings(given, family)))[:MOST_READINGS] or [("", "", "")]
        (first, last, _), further = every[0], every[1:]
        alike = [(code, last, "") for code in self.codes(first)[1:]]
        return list(dict.fromkeys([every[0], *alike, *further]))

    def _readings(self, given: str, family: str) -> Iterator[Reading]:
        firsts, words = self.firsts(given), self.family_words(family)
        if not words and len(firsts) > 1:
            firsts, words = firsts[:-1], firsts[-1:]
        elif len(words) > 1 and not given.strip():
            firsts, words = words[:1], words[1:]
        first, last = firsts[0] if firsts else "", "".join(words)
        second = firsts[1] if len(firsts) > 1 and len(firsts[1]) > 1 else ""
        if first or last:
            yield first, last, second
        if second:
            yield first + second, last, ""
        yield from ((later, last, "") for later in firsts[1:] if len(later) > 1)
        if first:
            for piece in given.split():
                yield from ((part, last, "") for part in self._hyphenated(piece))
        if len(words) > 1:
            yield from ((first, part, "") for part in (*words, "".join(reversed(words))))
        elif re.match("[ae]l[^aeiou]...", last):
            yield first, last[2:], ""

    def _hyphenated(self, piece: str) -> list[str]:
        parts = ["".join(self.fold(part)) for part in piece.split("-")]
        return [part for part in parts if len(part) > 1 and not self._is_nobody(part)] if parts[1:] else []

    def codes(self, name: str) -> list[str]:
        """All codes: its own group's first if it heads one, else in the file's order."""
        heads = [group[0] for group in self.groups if name in group]
        return sorted(heads, key=lambda head: head != name) or [name]


def skeleton(name: str) -> str:
    """Consonants by sound."""
    name = re.sub("^x", "s", name)
    for old, new in (
        ("ph", "f"),
        ("ck", "k"),
        ("ts", "s"),
        ("tz", "s"),
        ("hs", "s"),
        ("x", "ks"),
        ("z", "s"),
    ):
        name = name.replace(old, new)
    name = name.translate(str.maketrans("cqvj", "kkfi"))
    sounds = re.sub(r"(.)\1+", r"\1", name)
    bones = sounds[:1] + re.sub("[aeiouyhw]", "", sounds[1:])
    bones = re.sub("^[aeiouy]", "a", bones)
    if bones == "hsn":
        return "hasn" if sounds[1] == "a" else "husn"
    return sounds if len(bones.removeprefix("a")) < 2 else re.sub("^abdl", "abd", bones)


def shortened(name: str) -> list[str]:
    """The name with each of its first four letters left out in turn; none of fewer than three letters."""
    return [name[:place] + name[place + 1 :] for place in range(min(4, len(name)))] if len(name) >= 3 else []
