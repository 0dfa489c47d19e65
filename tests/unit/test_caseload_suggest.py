"""A suggested mapping says only what all of the file agrees on; a person decides the rest."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from node.caseload.mapping import mapping_from_toml, parse_mapping, read_mapping
from node.caseload.suggest import suggest_mapping
from node.errors import SourceEmpty, SourceUnreadable

HEADER = ["Person ID", "Forename", "Surname", "DOB", "Post code", "NHS no", "Case status", "Marker", "Misc"]


def _write(path: Path, rows: list[list[str]], *, delimiter: str = ",", encoding: str = "utf-8") -> Path:
    lines = [delimiter.join(row) for row in [HEADER, *rows]]
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


def _rows(dates: list[str], given: str = "Ann") -> list[list[str]]:
    return [
        [str(n), given, "Leeworth", date, "AB1 2CD", "", ("Open", "Closed")[n % 2], ("", "Y")[n % 2], "x"]
        for n, date in enumerate(dates)
    ]


def test_a_clear_file_gives_a_mapping_that_needs_status_and_shield_decided(tmp_path: Path) -> None:
    text = suggest_mapping(_write(tmp_path / "Our cases 2026.csv", _rows(["13/02/2015"] * 6)))

    document = tomllib.loads(text.replace("# status =", "status ="))
    found = parse_mapping(document)
    assert found.source.name == "our-cases-2026"
    assert found.source.date_formats == ["%d/%m/%Y"]
    assert found.person.id.columns == ["Person ID"]
    assert found.person.given is not None
    assert found.person.given.columns == ["Forename"]
    assert found.record.status.values == {"Open": "CURRENT", "Closed": "CURRENT"}
    assert len(found.shield) == 1
    assert found.shield[0].values == {"Y": "SHIELD_IDENTITY"}
    assert '# Not used:\n#   "Misc"' in text
    assert not any(word in text for word in ("Ann", "Leeworth", "13/02", "AB1"))


def test_a_whole_name_is_suggested_where_there_are_no_parts_of_it(tmp_path: Path) -> None:
    text = "Client ID,Client Name,DOB\n1,Leeworth Ann,2015-03-02\n2,Lee Bo,2016-03-17\n"
    (tmp_path / "a.csv").write_text(text, "utf-8")
    assert tomllib.loads(suggest_mapping(tmp_path / "a.csv"))["person"]["name"] == "Client Name"

    (tmp_path / "b.csv").write_text(text.replace("DOB", "DOB,Forename,Surname"), "utf-8")
    document = tomllib.loads(suggest_mapping(tmp_path / "b.csv"))
    assert "name" not in document["person"]
    assert document["person"]["family"] == "Surname"


def test_days_that_could_be_months_leave_the_format_to_a_person(tmp_path: Path) -> None:
    text = suggest_mapping(_write(tmp_path / "a.csv", _rows(["03/02/2015", "04/05/2016"])))

    assert '# date_formats = ["%d/%m/%Y"]' in text
    assert '# date_formats = ["%m/%d/%Y"]' in text
    assert "date_formats" not in tomllib.loads(text)["source"]


def test_one_late_row_decides_between_formats(tmp_path: Path) -> None:
    text = suggest_mapping(_write(tmp_path / "a.csv", _rows(["03/02/2015"] * 3000 + ["25/02/2015"])))

    assert tomllib.loads(text)["source"]["date_formats"] == ["%d/%m/%Y"]


MAPPINGS = sorted((Path(__file__).resolve().parents[2] / "elsewhere/demo/mappings").glob("*.toml"))


@pytest.mark.parametrize("path", MAPPINGS, ids=lambda path: path.stem)
def test_the_columns_of_four_different_systems_find_their_fields(tmp_path: Path, path: Path) -> None:
    wanted = read_mapping(path)
    flags = {name for flag in wanted.flags for name in (flag.column, flag.start, flag.end)}
    header = [name for name in wanted.columns() if name not in flags]
    (export := tmp_path / "a.csv").write_text(
        f"{'|'.join(header)}\n{'|'.join('x' for _ in header)}\n", "utf-8"
    )

    text = suggest_mapping(export)

    found = tomllib.loads(text.replace("# status =", "status ="))
    for section in ("person", "unborn", "record"):
        for name, cells in getattr(wanted, section):
            if getattr(cells, "columns", None):
                given = found[section][name]
                assert ([given] if isinstance(given, str) else given) == cells.columns, name
    assert found["record"]["status"]["column"] == wanted.record.status.column
    assert [found["shield"]["column"]] == [shield.column for shield in wanted.shield]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_delimiter_and_encoding_are_found(tmp_path: Path, delimiter: str, encoding: str) -> None:
    rows = _rows(["2015-03-02"] * 3, given="Zoë")

    text = suggest_mapping(_write(tmp_path / "a.csv", rows, delimiter=delimiter, encoding=encoding))

    source = tomllib.loads(text)["source"]["csv"]
    assert (source["delimiter"], source["encoding"]) == (delimiter, encoding)
    assert ("a guess" in text) == (encoding == "cp1252")


def test_columns_of_unknown_names_are_left_to_a_person(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_text("alpha,beta\n1,2\n", "utf-8")

    text = suggest_mapping(path)

    assert '# id = ""' in text
    assert '# Not used:\n#   "alpha"\n#   "beta"' in text


def test_values_of_a_column_that_is_no_list_of_codes_are_not_shown(tmp_path: Path) -> None:
    rows = [[str(n), "", "", "", "", "", f"Secret {n}", f"Hidden {n}", ""] for n in range(30)]

    text = suggest_mapping(_write(tmp_path / "a.csv", rows))

    assert "Secret" not in text
    assert "Hidden" not in text


def test_ragged_rows_are_counted(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", _rows(["2015-03-02"] * 3))
    path.write_text(path.read_text("utf-8") + "1,2\n", "utf-8")

    assert "# Rows that would be refused for more or fewer fields than the header: 1" in suggest_mapping(path)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", SourceEmpty),
        (b"id,given\n", SourceEmpty),
        (b"a\0b", SourceUnreadable),
        (b"id,given\n1,\x81\n", SourceUnreadable),
        (b"only one column\nx\n", SourceUnreadable),
        (b'id,given\n1,"open\n', SourceUnreadable),
    ],
)
def test_a_file_that_is_no_export_is_refused(tmp_path: Path, content: bytes, error: type[Exception]) -> None:
    (path := tmp_path / "a.csv").write_bytes(content)

    with pytest.raises(error):
        suggest_mapping(path)


def test_an_export_with_a_hundred_columns_more_gets_a_mapping_that_can_be_read(tmp_path: Path) -> None:
    header = [
        "Child ID",
        "Surname",
        *(f"Forename {n}" for n in range(9)),
        *(f"Local field {n}" for n in range(300)),
    ]
    (path := tmp_path / "a.csv").write_text(f"{','.join(header)}\n{','.join('x' for _ in header)}\n", "utf-8")

    text = suggest_mapping(path).replace("# status =", "status =").replace("# date_formats", "date_formats")

    found = mapping_from_toml(text.encode())
    assert found.person.given is not None
    assert len(found.person.given.columns) == 9


def test_a_column_of_the_child_is_taken_before_one_of_a_parent_or_of_another_time(tmp_path: Path) -> None:
    header = "Parent surname,Parent forename,Parent DOB,Postcode of parent,Maiden surname"
    header += ",Pupil ID,Surname,Forename,DOB,Postcode"
    (path := tmp_path / "a.csv").write_text(f"{header}\n{','.join('x' * 10)}\n", "utf-8")

    text = suggest_mapping(path)

    person = tomllib.loads(text)["person"]
    assert [person[name] for name in ("family", "given", "birth_date", "postcode")] == [
        "Surname",
        "Forename",
        "DOB",
        "Postcode",
    ]
    assert '#   "Parent surname"\n#   "Maiden surname"\nfamily = "Surname"' in text
    assert '#   "Postcode of parent"\npostcode = "Postcode"' in text


@pytest.mark.parametrize("header", ["Pupil ID,Parent surname", "Pupil ID,Surname,Family name"])
def test_a_column_is_left_to_a_person_where_no_one_of_them_is_the_childs(tmp_path: Path, header: str) -> None:
    (path := tmp_path / "a.csv").write_text(
        f"{header}\n{','.join('x' for _ in header.split(','))}\n", "utf-8"
    )

    text = suggest_mapping(path)

    assert "family" not in tomllib.loads(text)["person"]
    assert f'# family = "{header.split(",")[1]}"' in text


@pytest.mark.parametrize("cell", ["02/03/2015", "2015-03-02", "999 000 0018", "0000000101"])
def test_a_file_without_a_header_is_refused_and_nothing_of_it_shown(tmp_path: Path, cell: str) -> None:
    (path := tmp_path / "a.csv").write_text(f"N7,Leeworth,{cell}\nN8,Lee,x\n", "utf-8")

    with pytest.raises(SourceUnreadable, match="line 1: expected the names of the columns") as told:
        suggest_mapping(path)

    assert not any(word in str(told.value) for word in ("Leeworth", "N7", cell))


def test_a_parquet_file_gets_a_mapping_from_its_columns(tmp_path: Path) -> None:
    columns = {name: ["x"] for name in ("Child ID", "Forename", "Surname", "DOB", "Case status", "Misc")}
    parquet.write_table(pa.table(columns), path := tmp_path / "a.parquet")

    found = mapping_from_toml(suggest_mapping(path).replace("# status =", "status =").encode())

    assert found.source.parquet is not None
    assert found.person.id.columns == ["Child ID"]
    assert found.record.status.column == "Case status"


def test_a_damaged_parquet_file_is_called_that(tmp_path: Path) -> None:
    (path := tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")

    with pytest.raises(SourceUnreadable, match="damaged"):
        suggest_mapping(path)
