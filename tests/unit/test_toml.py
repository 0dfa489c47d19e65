"""TOML that people hand to each other is read soon, or refused in one way, whatever it says."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from elsewhere.agreement.document import MAX_TOML_CHARACTERS, agreement_from_toml
from elsewhere.cli.person_file import parse_person
from elsewhere.errors import ConfigInvalid, DocumentInvalid, PersonMalformed
from elsewhere.settings import Section, read_settings
from elsewhere.toml import MAX_LINE, TomlInvalid, parse_toml
from node.caseload.mapping import mapping_from_toml
from node.errors import MappingInvalid

# Each of them ends in another error than TOMLDecodeError in Python's reader, or in none for minutes.
MONSTERS = {
    "a number of thousands of digits": "a = " + "1" * 4500 + "\n",
    "digits in short lines": "a = [\n"
    + ",\n".join(["1" * 4000] * 3)
    + ",\n"
    + "1" * 4000
    + "_0]\n"
    + "b = "
    + "_".join(["1"] * 2200),
    "arrays in arrays": "a = " + "[" * 3000,
    "arrays in arrays, a line each": "a = " + "[\n" * 3000,
    "tables in tables": "a = " + "{b = " * 800,
    "a key of many parts": ".".join(["a"] * 100_000) + " = 1",
    "a header of many parts": "[" + ".".join(["a"] * 100_000) + "]",
}


@pytest.mark.parametrize("text", MONSTERS.values(), ids=MONSTERS)
def test_monsters_are_refused_in_the_words_of_each_reader(text: str, tmp_path: Path) -> None:
    began = time.process_time()
    with pytest.raises(TomlInvalid):
        parse_toml(text)
    with pytest.raises(DocumentInvalid):
        agreement_from_toml(text)
    with pytest.raises(MappingInvalid):
        mapping_from_toml(text.encode())
    (tmp_path / "node.toml").write_text(text)
    with pytest.raises(ConfigInvalid):
        read_settings(Section, tmp_path / "node.toml", whose="node")
    assert time.process_time() - began < 2


def test_the_line_that_is_no_toml_is_named_once() -> None:
    with pytest.raises(TomlInvalid, match=r"^Invalid statement \(line 2\)$") as refusal:
        parse_toml("a = 1\n=\n")
    assert refusal.value.line == 2
    with pytest.raises(TomlInvalid) as refusal:
        parse_toml("a = 1\n# " + "x" * MAX_LINE)
    assert refusal.value.line == 2


def test_the_longest_agreement_with_the_deepest_keys_is_read_in_seconds() -> None:
    line = ".".join(["a"] * (MAX_LINE // 2 - 8))
    text = "\n".join(f"[{line}.b{n}]" for n in range(MAX_TOML_CHARACTERS // (MAX_LINE + 8)))
    began = time.process_time()
    with pytest.raises(DocumentInvalid):
        agreement_from_toml(text)
    assert time.process_time() - began < 10


def test_a_person_with_a_number_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(PersonMalformed):
        parse_person(b'{"given": ' + b"1" * 5000 + b"}")
