"""A bad export gives a clear refusal with a line or row, and nothing of it is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from elsewhere.errors import ElsewhereError
from node.caseload import index
from node.caseload.load import dry_run, load_file
from node.errors import ColumnMissing, LoadRefused, SourceEmpty, SourceUnreadable
from node.store.engine import Store, open_store
from tests import held
from tests.caseload import (
    ANN,
    BOB,
    COLUMNS,
    EVA,
    TODAY,
    folder_of,
    found,
    job,
    load_rows,
    mapping,
    person,
    write_csv,
)
from tests.stores import PLACES

HEADER = ",".join(COLUMNS)
WIDTH = len(COLUMNS)


def _line(given: str = "Ann", cells: int = WIDTH) -> str:
    """A row of the right width, given name in the second column."""
    return ",".join(["1", given, "Leeworth", *[""] * (cells - 3)])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(PLACES.url(tmp_path))
    load_rows(opened, [EVA], source="cases")
    yield opened
    opened.close()


BAD: list[tuple[str, bytes, type[ElsewhereError], str]] = [
    ("empty", b"", SourceEmpty, "file is empty"),
    ("blank lines only", b"\n\n", SourceEmpty, "empty"),
    ("header only", f"{HEADER}\n".encode(), SourceEmpty, "rows below the header"),
    ("wrong encoding", f"{HEADER}\n{_line()}\n{_line('Zoë')}\n".encode("cp1252"), SourceUnreadable, "line 3"),
    ("UTF-16 read as UTF-8", f"{HEADER}\n{_line()}\n".encode("utf-16"), SourceUnreadable, "line 1"),
    ("NUL", f"{HEADER}\n{_line()}\n{_line('A' + chr(0))}\n".encode(), SourceUnreadable, "line 3.*NUL"),
    (
        "10 MB field",
        f"{HEADER}\n{_line()}\n{_line('A' * 10_000_000)}\n".encode(),
        SourceUnreadable,
        "line 3.*at most",
    ),
    (
        "10 MB field over many lines",
        f'{HEADER}\n{_line()}\n1,"'.encode() + b"A\n" * 5_000_000,
        SourceUnreadable,
        "quote left open",
    ),
    ("open quote", f'{HEADER}\n{_line()}\n1,"Ann,Lee\n'.encode(), SourceUnreadable, "line 3.*closing quote"),
    ("text after a quote", f'{HEADER}\n1,"Ann"x,Lee\n'.encode(), SourceUnreadable, "line 2.*delimiter"),
    ("missing column", b"id,given\n1,Ann\n", ColumnMissing, "'family'"),
    ("repeated column", f"{HEADER},dob\n{_line(cells=WIDTH + 1)}\n".encode(), ColumnMissing, "'dob'"),
    ("another delimiter", HEADER.replace(",", ";").encode() + b"\n1;2\n", ColumnMissing, "'id'"),
    (
        "its only column",
        HEADER.replace(",", ";").encode(),
        ColumnMissing,
        "'id;given;.*is delimiter another one",
    ),
    ("line for Excel", f"sep=;\n{HEADER}\n".encode(), ColumnMissing, "the first line is one for Excel"),
    ("no header", b"1,Ann,Leeworth,02/03/2015\n" * 3, ColumnMissing, "not mapped: 4, not shown"),
    ("ragged throughout", f"{HEADER}\n1,Ann\n2,Bob,Lee\n".encode(), LoadRefused, "2 refused"),
]


@pytest.mark.parametrize(("content", "error", "said"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_bad_file_is_refused_with_its_place_and_nothing_is_loaded(
    store: Store, content: bytes, error: type[ElsewhereError], said: str
) -> None:
    path = folder_of(store) / "bad.csv"
    path.write_bytes(content)

    with pytest.raises(error, match=said) as refusal:
        load_file(path, mapping(), job(store))
    with pytest.raises(error, match=said):
        dry_run(path, mapping(), TODAY)

    assert not any(word in str(refusal.value) for word in ("Ann", "Leeworth", "Zoë", "AAA"))
    with store.read() as conn:
        assert index.record_count(conn) == 1
        assert len(found(conn, person(EVA))) == 1


def test_a_file_that_cannot_be_opened_is_refused(store: Store) -> None:
    with pytest.raises(SourceUnreadable):
        load_file(folder_of(store) / "none.csv", mapping(), job(store))


def test_ragged_rows_are_refused_by_number_and_the_rest_is_loaded(store: Store) -> None:
    path = folder_of(store) / "ragged.csv"
    lines = [HEADER, _line(), "2,Bob", "", _line() + ",more", _line("Zed").replace("1", "4", 1), _line("Una")]
    path.write_text("\n".join(lines) + "\n", "utf-8")

    report = load_file(path, mapping(), job(store))

    assert report.refused_rows == ((3, "row.ragged"), (5, "row.ragged"))
    assert report.loaded == 3


def test_blank_lines_before_the_header_are_passed_over_and_counted(store: Store) -> None:
    path = folder_of(store) / "late.csv"
    path.write_text(f"\n{',' * (WIDTH - 1)}\n{HEADER}\n{_line()}\n{_line('Una')}\n2,Bob\n", "utf-8")

    report = load_file(path, mapping(), job(store))

    assert (report.loaded, report.refused_rows) == (2, ((6, "row.ragged"),))


def test_future_dates_are_noted_and_do_not_refuse_the_row(store: Store) -> None:
    report = load_rows(
        store, [ANN | {"dob": "02/03/2105"}, BOB | {"seen": "03/03/2026"}, EVA | {"seen": "30/02/2026"}]
    )

    assert report.loaded == 3
    assert report.notes == {"birth_date.future": 1, "last_contact.future": 1, "last_contact.unreadable": 1}


def test_an_export_in_every_supported_form_gives_the_same_records(tmp_path: Path) -> None:
    rows = [ANN | {"given": "Zoë"}, BOB | {"family": 'O"Neill, the\nsecond'.replace("\n", " ")}]
    plain = write_csv(tmp_path / "plain.csv", rows).read_text("utf-8")
    shorts = []
    for number, (encoding, end) in enumerate(
        [("utf-8", "\n"), ("utf-8-sig", "\r\n"), ("cp1252", "\r"), ("utf-16", "\r\n")]
    ):
        (folder := tmp_path / str(number)).mkdir()
        store = open_store(f"sqlite:///{folder / 'store.sqlite'}")
        path = folder / "export.csv"
        path.write_bytes(plain.replace("\r\n", end).encode(encoding))
        name = "utf-8" if encoding == "utf-8-sig" else encoding
        report = load_file(path, mapping(encoding=name), job(store))
        assert (report.loaded, report.refused) == (2, 0), encoding
        with store.read() as conn:
            shorts.append(held.short_tags(conn, "involvement", 1).tolist())
        store.close()

    assert all(found == shorts[0] for found in shorts)
