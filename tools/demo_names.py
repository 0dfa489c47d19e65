"""Writes the name lists of the made-up population from the openly licensed packages they come from.

Run by:   hand, when a list changes:
          `python -m tools.demo_names --faker-js names.json --out elsewhere/demo/names`, with `pip install
          Faker==40.54.0 nicknames==1.0.1 pypinyin==0.55.0`, and names.json out of npm
          `@faker-js/faker@10.6.0`: every locale's `person.first_name` and `person.last_name`, by locale.
Promises: the same packages give the same bytes. Within a list, weights are the source's where it has them;
          where it has none, names stand in order of how many lists hold them, then of their SHA-256, and the
          one at rank r weighs 1/(r + 10), so that common names are shared as in life.
Source:   elsewhere/demo/names/SOURCES.md, with the licences.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib
import importlib.util
import itertools
import json
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.romanise import latin

ROOT = Path(__file__).resolve().parent.parent
MOST = 1000  # names in one list of one part
USUAL = re.compile(r"[^\W\d_][^\W\d_ʼ’'ʻ. -]*(?:[ '’ʼʻ-][^\W\d_]+)*")
# kinds of names as the files mark them, with the attributes of Faker and the keys of faker-js that hold them
FAKER = {
    "girl": ("first_names_female",),
    "boy": ("first_names_male",),
    "any": ("first_names", "first_names_unisex"),
    "family-girl": ("last_names_female",),
    "family-boy": ("last_names_male",),
    "family": ("last_names", "male_last_names", "unisex_last_names"),
}
FAKER_JS = {
    "girl": ("first_name", "female"),
    "boy": ("first_name", "male"),
    "any": ("first_name", "generic"),
    "family-girl": ("last_name", "female"),
    "family-boy": ("last_name", "male"),
    "family": ("last_name", "generic"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a culture: `sources` as `faker:LOCALE` or `js:LOCALE`, each with a script if not Latin."""

    name: str
    given: tuple[str, ...]
    family: tuple[str, ...]


def _parts() -> list[Part]:
    cultures = tomllib.loads((ROOT / "elsewhere/demo/names/cultures.toml").read_text("utf-8"))["cultures"]
    parts = itertools.chain.from_iterable(culture["parts"] for culture in cultures)
    return [Part(p["id"], tuple(p["given_from"]), tuple(p["family_from"])) for p in parts]


def _weights(value: object) -> dict[str, float]:
    """Names with weights, 0 where the source states none, whatever shape the source has."""
    if isinstance(value, Mapping):
        return {str(name): float(weight) for name, weight in value.items()}
    if isinstance(value, str) or not isinstance(value, Iterable):
        return {}
    return {str(entry["value"] if isinstance(entry, Mapping) else entry): 0.0 for entry in value}


def _read(source: str, kind: str, faker_js: Mapping[str, Any]) -> dict[str, float]:
    """Read the names of one kind that one source has, in Latin letters."""
    package, locale, *script = source.split(":")
    found: dict[str, float] = {}
    if package == "faker":
        provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        for attribute in FAKER[kind]:
            if kind == "any" and ("first_names_female" in vars(provider)):
                continue  # the two lists of girls' and boys' names say more
            if attribute in vars(provider):
                found |= _weights(vars(provider)[attribute])
    else:
        group, key = FAKER_JS[kind]
        found = _weights(faker_js[locale][group].get(key))
    return {_spell(name, script[0] if script else ""): weight for name, weight in found.items()}


def _spell(name: str, script: str) -> str:
    """One spelling: composed letters, one kind of apostrophe, Latin letters; empty for what is no name."""
    if script == "pinyin":
        syllables = importlib.import_module("pypinyin").lazy_pinyin(name)
        name = "".join(syllables).capitalize()
    elif script:
        name = latin(script, name)
    name = unicodedata.normalize("NFC", name).strip().replace("’", "'").replace("ʻ", "'").replace("ʼ", "'")
    return name if USUAL.fullmatch(name) and 2 <= len(name) <= 24 and name.isascii() | _is_latin(name) else ""


def _is_latin(name: str) -> bool:
    return all("LATIN" in unicodedata.name(letter, "") for letter in name if letter.isalpha())


def _ranked(lists: Iterable[Mapping[str, float]]) -> dict[str, int]:
    """Return one list of names with whole weights, most first."""
    lists = [found for found in lists if found]
    stated = [found for found in lists if any(found.values())]
    total: dict[str, float] = {}
    for found in stated:
        whole = sum(found.values())
        for name, weight in found.items():
            total[name] = total.get(name, 0) + weight / whole / len(stated)
    if not stated:
        count: dict[str, int] = {}
        for found in lists:
            for name in found:
                count[name] = count.get(name, 0) + 1
        order = sorted(count, key=lambda name: (-count[name], hashlib.sha256(name.encode()).digest()))
        total = {name: 1 / (rank + 10) for rank, name in enumerate(filter(None, order))}
    total.pop("", None)
    most = sorted(total, key=lambda name: (-total[name], name))[:MOST]
    share = sum(total[name] for name in most)
    return {name: max(1, round(total[name] / share * 1_000_000)) for name in most}


def _compose(part: Part, faker_js: Mapping[str, Any]) -> dict[str, int]:
    """Chinese first names: one or two of the characters that first names of the sources are made of."""
    count: dict[str, int] = {}
    for source, kind in itertools.product(part.given, ("girl", "boy", "any")):
        package, locale, _ = source.split(":")
        for name in _raw(package, locale, kind, faker_js):
            for character in name:
                syllable = _spell(character, "pinyin").lower()
                if syllable:
                    count[syllable] = count.get(syllable, 0) + 1
    common = sorted(count, key=lambda syllable: (-count[syllable], syllable))[:90]
    names = {one.capitalize(): 0.0 for one in common}
    names |= {(one + two).capitalize(): 0.0 for one in common for two in common}
    return _ranked([names])


def _raw(package: str, locale: str, kind: str, faker_js: Mapping[str, Any]) -> Iterable[str]:
    """The names of a source as it writes them."""
    if package == "js":
        group, key = FAKER_JS[kind]
        return _weights(faker_js[locale][group].get(key))
    provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
    return [name for attribute in FAKER[kind] for name in _weights(vars(provider).get(attribute))]


def _family_lists(part: Part, faker_js: Mapping[str, Any]) -> Iterable[Mapping[str, float]]:
    """Family names as boys bear them: what only girls bear is left to the generator's rule for endings."""
    for source in part.family:
        common, boys, girls = (
            _read(source, kind, faker_js) for kind in ("family", "family-boy", "family-girl")
        )
        both = {**common, **boys}
        yield {name: weight for name, weight in both.items() if name in boys or name not in girls}


def _write(part: Part, out: Path, faker_js: Mapping[str, Any]) -> None:
    """Write one part's lists: kind, name and weight a line."""
    lists: dict[str, dict[str, int]] = {}
    for kind in ("girl", "boy", "any"):
        lists[kind] = _ranked(_read(source, kind, faker_js) for source in part.given)
    if part.name == "chinese":
        lists = {"any": _compose(part, faker_js)}
    lists["family"] = _ranked(_family_lists(part, faker_js))
    lines = [f"{kind}\t{name}\t{weight}\n" for kind in lists for name, weight in lists[kind].items()]
    (out / f"{part.name}.tsv").write_text("".join(lines), "utf-8")


def _write_nicknames(out: Path) -> None:
    """English names and what they are shortened to, for names that the British and Irish lists have."""
    lists = [(out / f"{part}.tsv").read_text("utf-8").splitlines() for part in ("british", "irish")]
    ours = {line.split("\t")[1].lower() for line in itertools.chain(*lists) if not line.startswith("family")}
    spec = importlib.util.find_spec("nicknames")
    if spec is None or spec.origin is None:
        raise SystemExit("expected the package nicknames to be installed")
    found: dict[str, list[str]] = {}
    with Path(spec.origin).with_name("names.csv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            if row["name1"] in ours and row["relationship"] == "has_nickname":
                found.setdefault(row["name1"], []).append(row["name2"])
    text = "".join(f"{name}\t{' '.join(sorted(found[name]))}\n" for name in sorted(found))
    (out / "nicknames.tsv").write_text(text, "utf-8")


def main() -> None:
    """Write every list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faker-js", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    wishes = parser.parse_args()
    faker_js = json.loads(wishes.faker_js.read_text("utf-8"))
    for part in _parts():
        _write(part, wishes.out, faker_js)
    _write_nicknames(wishes.out)


if __name__ == "__main__":
    main()
