"""Whatever is in an export, reading it ends in rows or a refusal of ours, and text survives unchanged."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from hypothesis import example, given
from hypothesis import strategies as st

from node.caseload.csv_source import CsvSource
from node.caseload.mapping import CsvForm
from node.caseload.rows import RowError, RowReader
from node.caseload.shields import NONE, SHIELD_IDENTITY, SHIELD_LOCATION, is_tagged, strictest
from node.errors import SourceEmpty, SourceUnreadable
from tests.caseload import ANN, COLUMNS, TODAY, mapping

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
SHIELDS = st.sampled_from([NONE, SHIELD_LOCATION, SHIELD_IDENTITY])


@given(
    st.lists(st.lists(TEXT, min_size=2, max_size=2), min_size=1, max_size=8),
    st.sampled_from(["utf-8", "utf-16"]),
)
@example([["a\r\nb", "\r"], ['"', "\x85\u2028"]], "utf-8")
def test_what_was_written_is_read(rows: Sequence[Sequence[str]], encoding: str) -> None:
    written = io.StringIO(newline="")
    writer = csv.writer(written, quoting=csv.QUOTE_ALL)
    writer.writerows([["first", "second"], *rows])

    source = CsvSource(io.BytesIO(written.getvalue().encode(encoding)), CsvForm(encoding=encoding))

    assert source.header == ("first", "second")
    assert list(source.rows()) == [(number, list(row)) for number, row in enumerate(rows, 2)]


@given(st.binary(max_size=300))
def test_any_bytes_give_rows_or_a_refusal(data: bytes) -> None:
    try:
        rows = list(CsvSource(io.BytesIO(data), CsvForm()).rows())
    except (SourceUnreadable, SourceEmpty):
        return
    assert rows


@given(st.dictionaries(st.sampled_from(COLUMNS), TEXT, max_size=len(COLUMNS)))
def test_any_cells_give_a_row_or_a_refusal(cells: dict[str, str]) -> None:
    reader = RowReader(mapping(), COLUMNS, TODAY)
    fields = [{**ANN, **cells}.get(name, "") for name in COLUMNS]
    try:
        row = reader.read(fields)
    except RowError:
        return
    assert row.person_ref
    assert row.digest == reader.read(fields).digest


@given(st.lists(SHIELDS))
def test_the_strictest_shield_permits_no_collection_that_one_of_them_forbids(shields: list[str]) -> None:
    for collection in ("involvement", "protected", "concern"):
        if is_tagged(strictest(shields), collection):
            assert all(is_tagged(shield, collection) for shield in shields)
