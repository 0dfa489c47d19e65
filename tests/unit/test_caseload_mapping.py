"""A mapping file is checked as a whole before any row is read, and every refusal names the key."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from node.caseload.mapping import parse_mapping, read_mapping
from node.errors import MappingInvalid
from tests.caseload import COLUMNS, MAPPING


def _document(path: str, value: object) -> dict[str, Any]:
    """The test mapping with one key set, or taken away with None."""
    document = tomllib.loads(MAPPING)
    *parents, last = path.split(".")
    table = document
    for name in parents:
        table = table.setdefault(name, {})
    if value is None:
        del table[last]
    else:
        table[last] = value
    return document


def test_a_good_mapping_lists_every_column_once(tmp_path: Path) -> None:
    (path := tmp_path / "m.toml").write_text(MAPPING, "utf-8")

    columns = read_mapping(path).columns()

    assert sorted(columns) == sorted(COLUMNS)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("source.nmae", "x"),
        ("person.surname", "x"),
        ("unborn.father", "x"),
        ("record.notes", "x"),
        ("shield.default", "NONE"),
        ("sheild", {}),
        ("source.name", None),
        ("source.name", "Not A Name"),
        ("source.max_age_days", 0),
        ("source.max_age_days", "7"),
        ("source.encoding", "utf-8"),
        ("source.csv", None),
        ("source.parquet", {}),
        ("source.sql", {"url": "postgresql://role@host/name", "table": "cases"}),
        ("source.csv", {"url": "sqlite:////a", "table": "cases"}),
        ("source.csv.encoding", "utf-99"),
        ("source.csv.encoding", "base64"),
        ("source.csv.encoding", "unicode_escape"),
        ("source.csv.delimiter", ""),
        ("source.csv.delimiter", ",,"),
        ("source.csv.delimiter", '"'),
        ("source.date_formats", []),
        ("source.date_formats", ["%d/%m/%y"]),
        ("source.date_formats", ["%d/%m"]),
        ("source.date_formats", ["%Y-%m-%d %Y"]),
        ("source.date_formats", ["DD/MM/YYYY"]),
        ("source.repeated_ids", "merge"),
        ("source.max_refused_percent", 51),
        ("person.id", None),
        ("person.id", {"columns": ["a"], "text": "b"}),
        ("person.given", {}),
        ("person.given", 3),
        ("person.name", "WHOLE"),
        ("record.status", None),
        ("record.status", {"column": "s"}),
        ("record.status", {"always": "OPEN"}),
        ("record.status", {"always": "PAST", "column": "s", "values": {"a": "PAST"}}),
        ("record.status", {"column": "s", "values": {"a": "SOMETIMES"}}),
        ("shield.values", {}),
        ("shield.values", {"x": "SHIELD_ALL"}),
        ("shield.values", {"": "NONE", "x": "SHIELD_LOCATION"}),
        ("flags", [{"code": "RISK_SCORE", "start": "a"}]),
        ("flags", [{"code": "LAC"}]),
        ("flags", [{"code": "LAC", "column": "a"}]),
        ("flags", [{"code": "LAC", "start": "a"}, {"code": "LAC", "start": "b"}]),
    ],
)
def test_a_wrong_key_is_refused_by_name(path: str, value: object) -> None:
    with pytest.raises(MappingInvalid) as refusal:
        parse_mapping(_document(path, value))

    assert path.split(".")[0] in refusal.value.key or refusal.value.key == "file"


@pytest.mark.parametrize(
    ("text", "place"),
    [("place", "shield.values"), (" open ", "record.status.values"), ("Y", "flags.values of CP_PLAN")],
)
def test_a_text_is_not_both_empty_and_a_value(text: str, place: str) -> None:
    with pytest.raises(MappingInvalid) as refusal:
        parse_mapping(_document("source.empty", ["NULL", text]))

    assert all(word in str(refusal.value) for word in (repr(text), "source.empty", place))


def test_every_shield_column_is_read_and_none_of_their_texts_is_empty_too() -> None:
    tables = [{"column": name, "values": {f"in {name}": "NONE"}} for name in ("a", "b")]

    assert {"a", "b"} <= set(parse_mapping(_document("shield", tables)).columns())
    document = _document("shield", tables)
    document["source"]["empty"] = ["in b"]
    with pytest.raises(MappingInvalid, match="'in b'"):
        parse_mapping(document)


def test_an_unknown_key_is_named_in_full() -> None:
    with pytest.raises(MappingInvalid, match=r"person\.surname: expected no such key"):
        parse_mapping(_document("person.surname", "x"))


@pytest.mark.parametrize("content", [b"[source", b"\xff\xfe", b"x = 1\n" * 100_000])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: bytes) -> None:
    (path := tmp_path / "m.toml").write_bytes(content)

    with pytest.raises(MappingInvalid):
        read_mapping(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingInvalid):
        read_mapping(tmp_path / "none.toml")
