"""An export fills no memory, whoever wrote it: neither by rows that never end nor by cells that unpack."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from node.caseload import parquet_source
from node.caseload.csv_source import MAX_FIELD, MAX_LINE, CsvSource
from node.caseload.mapping import CsvForm, SourceMapping, mapping_from_toml
from node.caseload.parquet_source import MAX_LISTED, open_parquet
from node.errors import SourceUnreadable


class Endless(io.RawIOBase):
    """A file that goes on with the same bytes for as long as it is read."""

    def __init__(self, head: bytes, unit: bytes) -> None:
        self._head, self._unit, self.given = head, unit, 0

    def read(self, size: int = -1) -> bytes:
        given, self._head = self._head or self._unit * (size // len(self._unit)), b""
        self.given += len(given)
        return given


@pytest.mark.parametrize("unit", [b'"a\n",', b"a,", b'"', b'"a\n\n\n\n"', b"a"], ids=repr)
def test_a_row_that_never_ends_is_refused_once_it_is_longer_than_any_line(unit: bytes) -> None:
    file = Endless(b"id,given\n", unit)
    source = CsvSource(file, CsvForm())  # type: ignore[arg-type]
    with pytest.raises(SourceUnreadable):
        next(source.rows())
    assert file.given < 3 * MAX_LINE


def test_a_row_of_the_most_characters_is_read_over_several_lines() -> None:
    cell = b'"' + b"a\n" * 60_000 + b'"'
    row = b",".join([cell] * (MAX_LINE // (len(cell) + 1)))
    source = CsvSource(io.BytesIO(b"id\n" + row + b"\n" + row + b"\n"), CsvForm())
    assert [len(cells) for _, cells in source.rows()] == [8, 8]


@pytest.fixture
def mapping() -> SourceMapping:
    return mapping_from_toml(b"""
[source]
name = "people"
max_age_days = 7
date_formats = ["%Y-%m-%d"]
[source.parquet]
[person]
id = "id"
aliases = { columns = ["also"], separator = "|" }
[record]
status = { always = "CURRENT" }
""")


def write(path: Path, **columns: pa.Array) -> Path:
    parquet.write_table(pa.table(columns), path, compression="zstd")
    return path


def repeated(text: str, times: int) -> pa.DictionaryArray:
    """One text in every row, which a file holds once."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * times, pa.int32()), pa.array([text]))


def test_texts_lists_and_gaps_are_read_as_they_stand(mapping: SourceMapping, tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.parquet",
        id=pa.array(["1", "2", None, "4", "1"]),
        also=pa.array([["x", "y"], None, [], [None, "z"], ["x"]], pa.list_(pa.string())),
        other=pa.array([b"\xff"] * 5),  # not mapped, so never asked for
    )
    with open_parquet(path, mapping) as source:
        rows = [tuple(row) for _, row in source.rows()]
    assert rows == [("1", "x|y"), ("2", ""), ("", ""), ("4", "z"), ("1", "x")]


@pytest.mark.parametrize(
    ("ids", "also"),
    [
        (repeated("a" * (MAX_FIELD + 1), 50_000), ["x"] * 50_000),
        (repeated("a" * MAX_FIELD, 50_000), ["x"] * 50_000),
        (pa.array(["a" * 2**20] * 300), ["x"] * 300),
        (pa.array(["1"]), [["x"] * (MAX_LISTED + 1)]),
        (pa.array(["1"]), [["a" * 2**18] * 2]),
    ],
    ids=["long in every row", "just not too long in every row", "long", "a list", "long in a list"],
)
def test_a_small_file_that_unpacks_to_a_large_one_is_refused(
    mapping: SourceMapping, tmp_path: Path, ids: pa.Array, also: list[object]
) -> None:
    path = write(tmp_path / "bomb.parquet", id=ids, also=pa.array(also))
    assert path.stat().st_size < 200_000
    held = pa.total_allocated_bytes()
    with pytest.raises(SourceUnreadable), open_parquet(path, mapping) as source:
        next(iter(source.rows()))
    assert pa.total_allocated_bytes() - held < 64 * 2**20


def test_a_column_over_its_bound_is_refused_before_it_is_read(
    mapping: SourceMapping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(
        tmp_path / "a.parquet", id=pa.array([str(n) for n in range(5000)]), also=pa.array(["x"] * 5000)
    )
    with open_parquet(path, mapping) as source:
        assert sum(1 for _ in source.rows()) == 5000
    monkeypatch.setattr(parquet_source, "MAX_COLUMN_BYTES", 10_000)
    with pytest.raises(SourceUnreadable, match="row group"), open_parquet(path, mapping):
        pass
