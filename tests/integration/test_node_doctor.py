"""`elsewhere node doctor` counts what does not fit, and shows no cell."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
import tomli_w
from click.testing import CliRunner, Result
from pyarrow import parquet

from elsewhere.cli.main import commands
from node.studies.tables.doctor import examine
from node.studies.tables.engines import Opened, Within, open_table
from node.studies.tables.sections import ResearchSection, TableSection
from tests.integration.test_study_odd_cells import address_of
from tests.integration.test_study_tables import COLUMNS, FILES, Plain, is_day, made_rows
from tests.postgres_server import Server


def folder(root: Path, **changes: Any) -> Path:
    """A node's settings with one mapped table."""
    table = {"child": "child", "date": "day", "row": "id", "columns": COLUMNS["missing"], **changes}
    settings = {"agency": "social", "name": "Social care", "research": {"tables": {"missing": table}}}
    (root / "node.toml").write_text(tomli_w.dumps(settings))
    return root


def run(root: Path, *words: str) -> Result:
    """Type the command."""
    return CliRunner().invoke(commands, ["node", "doctor", "--dir", str(root), *words])


@pytest.mark.parametrize("kind", FILES)
def test_what_counts_nowhere_is_counted_for_every_kind_of_file(kind: str, tmp_path: Path) -> None:
    rows = made_rows(5)
    rows[0]["day"], rows[1]["day"] = "03/04/2025", ""
    hours = [Plain.number(row["hrs"]) for row in rows]

    said = run(folder(tmp_path, **FILES[kind](tmp_path, rows)), "--json")

    assert said.exit_code == 0, said.output
    found = {one["what"]: one["rows"] for one in json.loads(said.output)["findings"]}
    assert found["rows"] == 400
    assert found["without a child's id, which count nowhere"] == sum(not row["child"] for row in rows)
    assert found["without a day that can be read, which count nowhere"] == sum(
        not is_day(row["day"][:10]) for row in rows
    )
    no_number = sum(hour is None and row["hrs"] != "" for row, hour in zip(rows, hours, strict=True))
    assert found["hours: no number, which count in no sum"] == no_number
    outside = sum(hour is not None and not 0 <= hour <= 720 for hour in hours)
    assert found["hours: outside 0 to 720, and brought within"] == outside
    unknown = sum(row["age"] == "99" for row in rows)
    assert found["age_band: a code that is not mapped; counts in no group"] == unknown


def test_nothing_that_is_printed_is_a_cell(tmp_path: Path) -> None:
    rows = made_rows(5)
    for row in rows:
        row["child"], row["nfa"], row["age"] = "person-77", "secret-code", "secret-age"
    place = FILES["csv"](tmp_path, rows)
    with (tmp_path / "rows.csv").open("a") as file:
        file.write("secret-row\n")

    for settings in (place, {**place, "child": "nobody"}, {"file": "missing.csv"}):
        said = run(folder(tmp_path, **settings))
        assert said.exit_code == 1
        assert "secret" not in said.output
        assert "person" not in said.output


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    said = run(folder(tmp_path, **FILES["csv"](tmp_path, made_rows(5)), child="kid"))

    assert (said.exit_code, "has no column kid" in said.output) == (1, True)


def test_columns_that_are_not_mapped_are_named(tmp_path: Path) -> None:
    said = run(folder(tmp_path, **FILES["csv"](tmp_path, made_rows(5))))

    assert "not mapped, so questions about them are refused: kind" in said.output


@pytest.mark.parametrize("kind", FILES)
def test_codes_that_are_not_mapped_are_counted_in_columns_of_several(kind: str, tmp_path: Path) -> None:
    cells = ["1A;22A", "1A; 22A", "", "1A;XX", "YY", "1A,22A"]
    rows = [{**made_rows(5)[n], "fac": cell} for n, cell in enumerate(cells)]
    table = {"child": "child", "date": "day", "row": "id", "columns": COLUMNS["assessment"]}
    settings = {"agency": "social", "name": "Social care"}
    tables = {"assessment": {**table, **FILES[kind](tmp_path, rows)}}
    (tmp_path / "node.toml").write_text(tomli_w.dumps({**settings, "research": {"tables": tables}}))

    found = {one["what"]: one["rows"] for one in json.loads(run(tmp_path, "--json").output)["findings"]}

    assert found["factors: with a code that is not mapped, which counts nowhere"] == 3
    assert found["factors: empty"] == 1


def said_of(root: Path, **changes: Any) -> tuple[int, dict[str, int | None]]:
    """How it ended, and what it found."""
    said = run(folder(root, **FILES["csv"](root, made_rows(5)), **changes), "--json")
    return said.exit_code, {one["what"]: one["rows"] for one in json.loads(said.output)["findings"]}


def test_a_wrong_column_for_the_child_shows_in_children_and_in_what_the_clamp_cuts(tmp_path: Path) -> None:
    _, right = said_of(tmp_path)
    _, wrong = said_of(tmp_path, child="nfa")

    assert right["children"] == 60
    assert wrong["children"] == 5
    cut = "beyond the first 12 of their child and year, which count nowhere"
    assert (wrong[cut] or 0) > 10 * (right.get(cut) or 0)


def test_a_row_id_that_is_none_is_counted(tmp_path: Path) -> None:
    what = "with a row id that is missing or another row's, so that chance decides which of a day come first"

    assert what not in said_of(tmp_path)[1]
    assert said_of(tmp_path, row="src")[1][what] == 400 - 4


def test_a_caseload_that_was_never_loaded_is_a_fault(tmp_path: Path) -> None:
    status, found = said_of(tmp_path, caseload="nosuch")

    assert status == 1
    assert "caseload names nosuch, which was never loaded, so every question is refused" in found


def test_a_table_of_which_no_row_counts_is_a_fault(tmp_path: Path) -> None:
    status, found = said_of(tmp_path, date="src")

    assert status == 1
    assert "no row has both a child's id and a day: nothing can be counted" in found


def test_a_column_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    rows = pa.table({**{name: ["1"] for name in ("id", "child", "day", "age", "nfa")}, "hrs": [{"a": 1}]})
    parquet.write_table(rows, tmp_path / "rows.parquet")

    said = run(folder(tmp_path, file="rows.parquet"))

    assert (said.exit_code, "hours: cannot be read" in said.output) == (1, True)


HEADER = "id,child,day,age,hrs,nfa"
ROW = "r1,Zofia Hart,2025-01-01,1-4,3,Y"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (f"{HEADER}\r\n{ROW}\r\nr2,Zofia\r\n", "line 3 is no row of a CSV file"),
        (f'{HEADER}\r\n{ROW}\r\n"r2" x,Zofia,2025-01-01,1-4,3,Y\r\n', "line 3 is no row of a CSV file"),
        (f"{HEADER}\r\n{ROW}\r\n".replace("Zofia", "Zo\u00eb").encode("cp1252"), "it is not UTF-8"),
        (f"{HEADER}\r\n{ROW}\r\n".encode("utf-16"), "it is not UTF-8"),
        ("", "its first line names no columns"),
        (f"{ROW}\r\n", "is the first row a header?"),
        (f"{HEADER};\r\n".replace(",", ";"), "is delimiter another one?"),
        (f"{HEADER},child\r\n{ROW},x\r\n", "has no column child; not mapped: 'child (2)', 'child (7)'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_and_no_cell_of_it(
    content: str | bytes, why: str, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_bytes(content if isinstance(content, bytes) else content.encode())

    said = run(folder(tmp_path, file="rows.csv"))

    assert (said.exit_code, why in said.output) == (1, True), said.output
    assert not any(word in said.output for word in ("Zofia", "Hart", "Zo\u00eb", "2025-01-01"))


def test_names_that_stand_twice_do_no_harm_where_none_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(f"{HEADER},note,Note\r\n{ROW},a,b\r\n")

    said = run(folder(tmp_path, file="rows.csv"))

    assert said.exit_code == 0, said.output


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.sqlite"])
def test_a_file_that_is_not_there_is_said_and_not_made(name: str, tmp_path: Path) -> None:
    place = {"file": name, **({"table": "rows"} if name.endswith("sqlite") else {})}

    said = run(folder(tmp_path, **place))

    assert (said.exit_code, "there is no such file" in said.output) == (1, True), said.output
    assert not (tmp_path / name).exists()


def test_a_database_without_the_columns_says_which_it_has(tmp_path: Path) -> None:
    settings = FILES["sqlite"](tmp_path, made_rows(5))
    mapped = {"child": "a", "date": "b", "row": "c", "columns": {"age_band": "d"}}

    said = run(folder(tmp_path, **settings, **mapped))

    assert "has no column a, b, c, d; not mapped: 'age', 'child'" in said.output


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    said = run(folder(tmp_path, url="postgresql://reader@127.0.0.1:1/cases", table="rows"))

    assert (said.exit_code, "the database cannot be reached" in said.output) == (1, True), said.output


@pytest.mark.needs("postgres")
@pytest.mark.parametrize(
    ("right", "mapped"),
    [("select on rows", {}), ("temporary on database {name}", {"caseload": "cases"})],
)
def test_what_the_role_of_a_server_may_not_do_is_said(
    right: str, mapped: dict[str, str], postgres: Server, tmp_path: Path
) -> None:
    url = address_of(postgres)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("create table rows (id text, child text, day text, age text, hrs text, nfa text)")
        taken = right.format(name=db.info.dbname)
        db.execute(f"revoke {taken} from public, {db.info.user}".encode())
    settings = folder(tmp_path, url=url, table="rows", **mapped)

    said = run(settings)

    assert (said.exit_code, "this role may not" in said.output) == (1, True), said.output


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(
    ("took_s", "is_said", "is_fault"), [(20, False, False), (30, True, False), (50, True, True)]
)
def test_a_count_that_studies_would_end_is_told(
    took_s: float, is_said: bool, is_fault: bool, kind: str, tmp_path: Path
) -> None:
    mapped: dict[str, Any] = {"child": "child", "date": "day", "row": "id", "columns": COLUMNS["missing"]}
    place: dict[str, Any] = FILES[kind](tmp_path, made_rows(5))
    section = ResearchSection(tables={"missing": TableSection(**mapped, **place)})
    times = iter((100.0, 100.0 + took_s))

    found = {one.what: one for one in examine(section, tmp_path, timer=lambda: next(times))}

    what = f"one count takes {took_s} s; a study ends it after research.count_s, 45 s"
    assert (what in found) == is_said
    assert any(one.is_fault for one in found.values()) == is_fault
    assert next(times, None) is None


def test_looking_at_everything_may_take_longer_than_one_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = []

    def noting(section: TableSection, within: Within, merged: None) -> AbstractContextManager[Opened]:
        allowed.append(within.count_s)
        return open_table(section, within, merged)

    monkeypatch.setattr("node.studies.tables.doctor.open_table", noting)

    run(folder(tmp_path, **FILES["csv"](tmp_path, made_rows(5))))

    assert allowed == [20 * 45]
