"""A header without the mapped columns is described, and a row that may be a child's is never quoted."""

from __future__ import annotations

import pytest

from node.caseload.headers import MAX_NAME, describe_header

WANTED = ("Child ID", "DOB")


def test_the_columns_found_are_named_and_only_so_many() -> None:
    said = describe_header(["Child ID", "Forename 1", "", *(f"c{n}" for n in range(20))], WANTED)

    assert said.startswith("; not mapped: 'Forename 1', 'c0', 'c1'")
    assert said.endswith("and 13 more")
    assert len(describe_header(["x" * 10_000, "y"], WANTED)) < 2 * MAX_NAME


@pytest.mark.parametrize(
    "row",
    [
        ["1", "Ann", "Leeworth"],
        ["NS/10442", "Ann", "Leeworth"],
        ["x", "Ann", "02/03/2015"],
        ["x", "Ann", "2-Mar-15", "Leeworth"],
        ["1;Ann;Leeworth;;open"],
        ["\ufeff1;Ann;Leeworth;;open"],
        ["'1", "Ann", "Leeworth"],
        ["x", "Ann", "Leeworth", "0000 000 001"],
    ],
)
def test_a_row_that_looks_like_data_is_not_quoted(row: list[str]) -> None:
    said = describe_header(row, WANTED)

    assert "is the first row a header?" in said
    assert not any(word in said for word in ("Ann", "Leeworth", "2015", "10442", "000"))


@pytest.mark.parametrize("first", ["\ufeffChild ID", "\u00ef\u00bb\u00bfChild ID"])
def test_a_byte_order_mark_is_told(first: str) -> None:
    assert "byte order mark" in describe_header([first, "DOB"], WANTED)


def test_columns_that_are_all_mapped_need_no_words() -> None:
    assert describe_header(["DOB"], WANTED) == ""
