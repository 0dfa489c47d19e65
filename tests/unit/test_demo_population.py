"""The made-up population: the same for one seed, believable in shape, and nobody real in it."""

from __future__ import annotations

import csv
import datetime
import io
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from elsewhere.demo.command import demo
from elsewhere.demo.exports import SHAPES
from elsewhere.demo.households import households
from elsewhere.demo.numbers import nhs_number, upn
from elsewhere.demo.population import region
from elsewhere.demo.questions import PLACED, QUESTIONS, Question
from elsewhere.demo.writing import Wishes, write_population
from elsewhere.matchkeys import question_keys, record_keys
from elsewhere.person.identifiers import is_nhs_number, is_upn
from elsewhere.person.identity import Person
from elsewhere.person.places import PostcodeKind, read_postcode

TODAY = datetime.date(2026, 3, 2)
AGENCIES = ("police", "nhs-trust", "social-care", "schools")


@dataclass(frozen=True)
class Export:
    """One agency's file and its mapping."""

    agency: str
    rows: int
    data: bytes
    mapping: str


def make_population(out: Path, *, seed: int, size: int = 900) -> tuple[Export, ...]:
    written = write_population(region(seed=seed, size=size, today=TODAY), Wishes(out))
    return tuple(Export(w.agency, w.rows, w.path.read_bytes(), w.mapping.read_text("utf-8")) for w in written)


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Export]:
    return {e.agency: e for e in make_population(tmp_path_factory.mktemp("population"), seed=1)}


def _rows(export: Export) -> list[dict[str, str]]:
    """Read an export as its own mapping says."""
    source = tomllib.loads(export.mapping)["source"]["csv"]
    encoding = "utf-8-sig" if source["encoding"] == "utf-8" else source["encoding"]
    text = export.data.decode(encoding)
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=source["delimiter"]))


def _columns(value: object) -> list[str]:
    """The columns that one mapping entry names."""
    if isinstance(value, dict):
        return [name for name in value.get("columns", [value.get("column", "")]) if name]
    return [value] if isinstance(value, str) else list(value) if isinstance(value, list) else []


def test_one_seed_and_date_give_the_same_bytes(exports: dict[str, Export], tmp_path: Path) -> None:
    again = make_population(tmp_path, seed=1)

    assert [export.data for export in again] == [exports[agency].data for agency in AGENCIES]


def test_another_seed_gives_other_people(exports: dict[str, Export], tmp_path: Path) -> None:
    other = make_population(tmp_path, seed=2)

    assert all(export.data != exports[export.agency].data for export in other)


@pytest.mark.parametrize("size", [49, 5_000_001])
def test_a_size_out_of_range_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="50 to 5,000,000"):
        region(seed=1, size=size, today=TODAY)


@pytest.mark.parametrize("agency", AGENCIES)
def test_an_agency_holds_a_few_hundred_records(exports: dict[str, Export], agency: str) -> None:
    assert 200 <= exports[agency].rows <= 750
    assert len(_rows(exports[agency])) == exports[agency].rows


@pytest.mark.parametrize("agency", AGENCIES)
def test_a_mapping_names_columns_that_its_export_has(exports: dict[str, Export], agency: str) -> None:
    mapping = tomllib.loads(exports[agency].mapping)
    header = set(_rows(exports[agency])[0])
    entries = [*mapping["person"].values(), *mapping.get("unborn", {}).values(), *mapping["record"].values()]
    named = {name for entry in entries for name in _columns(entry)} | {mapping["shield"]["column"]}

    assert named - header == set()


def test_the_four_exports_differ_in_shape(exports: dict[str, Export]) -> None:
    sources = [tomllib.loads(export.mapping)["source"] for export in exports.values()]

    assert len({source["date_formats"][0] for source in sources}) == 4
    assert len({source["csv"]["delimiter"] for source in sources}) == 3
    assert {shape.encoding for shape in SHAPES.values()} == {"utf-8-sig", "utf-8", "cp1252"}


def test_the_old_windows_encoding_is_really_needed(exports: dict[str, Export]) -> None:
    with pytest.raises(UnicodeDecodeError):
        exports["social-care"].data.decode("utf-8")


def test_every_number_is_of_the_range_for_tests_and_few_are_misread(exports: dict[str, Export]) -> None:
    rows = _rows(exports["nhs-trust"]) + _rows(exports["social-care"])
    numbers = [row.get("nhs_number") or row.get("NHS no") for row in rows]
    held = [number for number in numbers if number]
    pupils = [row["UPN"] for row in _rows(exports["schools"]) if row["UPN"]]

    assert all(number.startswith("999") for number in held)
    assert all(number[1:4] == "999" for number in pupils)
    assert len(held) > sum(is_nhs_number(number) for number in held) > 0.97 * len(held) > 400
    assert len(pupils) > sum(is_upn(number) for number in pupils) > 0.97 * len(pupils) > 400


def test_postcodes_lie_in_an_area_that_does_not_exist(exports: dict[str, Export]) -> None:
    found = [read_postcode(row["Postcode"]) for row in _rows(exports["schools"]) if row["Postcode"]]

    assert {code.kind for code in found if code} == {PostcodeKind.UK, PostcodeKind.PSEUDO}
    assert {code.text[:2] for code in found if code} == {"NX", "ZZ"}


def test_no_two_people_share_a_number() -> None:
    homes = list(households(region(seed=1, size=5000, today=TODAY)))
    children = [child for home in homes for child in home.children]
    numbers = [
        *(child.nhs_number for child in children if child.nhs_number),
        *(home.expecting.nhs_number for home in homes if home.expecting and home.expecting.nhs_number),
        *(placed.child.nhs_number for placed in PLACED),
    ]

    assert len(set(numbers)) == len(numbers) > 4000
    assert len({child.upn for child in children}) == len(children)


def test_numbers_carry_the_check_figure_of_the_standard() -> None:
    numbers = [nhs_number(serial) for serial in range(300)]

    assert all(is_nhs_number(number) for number in numbers if number)
    assert 0.85 < sum(map(bool, numbers)) / 300 < 0.95  # one serial in eleven has no check digit
    assert all(is_upn(upn(2000 + n, 2019, n)) for n in range(300))


@pytest.mark.parametrize(
    ("agency", "column", "marks"),
    [
        ("police", "MARKER", {"LOC", "PROTECT"}),
        ("nhs-trust", "sensitive", {"S"}),
        ("social-care", "Restriction", {"Address withheld", "Adopted"}),
        ("schools", "Do not disclose", {"Y"}),
    ],
)
def test_each_agency_holds_a_few_shielded_children(
    tmp_path_factory: pytest.TempPathFactory, agency: str, column: str, marks: set[str]
) -> None:
    size = 20_000 if agency in ("police", "social-care") else 5000
    out = tmp_path_factory.mktemp("shielded")
    wishes = Wishes(out, only=(agency,))
    written = write_population(region(seed=1, size=size, today=TODAY), wishes)[0]
    export = Export(agency, written.rows, written.path.read_bytes(), written.mapping.read_text("utf-8"))
    values = [row[column] for row in _rows(export)]

    assert all(0 < values.count(mark) < 0.02 * len(values) for mark in marks)


def test_social_care_holds_plans_and_times_in_care_running_and_over(exports: dict[str, Export]) -> None:
    rows = _rows(exports["social-care"])

    for start, end in (("CP plan from", "CP plan until"), ("Looked after from", "Looked after until")):
        assert any(row[start] and row[end] for row in rows)
        assert any(row[start] and not row[end] for row in rows)


def test_the_trust_holds_expected_children_by_their_mothers(exports: dict[str, Export]) -> None:
    expected = [row for row in _rows(exports["nhs-trust"]) if row["expected_delivery"]]

    assert 1 <= len(expected) <= 25
    assert all(row["mother_surname"] and not row["surname"] for row in expected)


def _people(agency: str, rows: list[dict[str, str]]) -> list[Person]:
    """Read as much of a row as the three questions need."""
    readers: dict[str, Callable[[dict[str, str]], Person]] = {
        "police": lambda r: Person.of(
            given=r["FORENAME1"], family=r["SURNAME"], dob=r["DOB"], postcode=r["ADDR_POSTCODE"]
        ),
        "nhs-trust": lambda r: Person.of(
            given=r["forenames"],
            family=r["surname"],
            dob=f"{r['date_of_birth'][:4]}-{r['date_of_birth'][4:6]}-{r['date_of_birth'][6:]}",
            postcode=r["postcode"],
        ),
        "schools": lambda r: Person.of(
            given=r["Legal forename"], family=r["Legal surname"], dob=r["DOB"], postcode=r["Postcode"]
        ),
    }
    return [readers[agency](row) for row in rows]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.title)
def test_the_three_questions_meet_exactly_the_records_they_should(
    question: Question, seed: int, tmp_path: Path
) -> None:
    options = dict(zip(question.options[::2], question.options[1::2], strict=True))
    keys = set(
        question_keys(
            Person.of(
                given=options["--given"],
                family=options["--family"],
                dob=options["--dob"],
                postcode=options["--postcode"],
            )
        )
    )
    exports = {e.agency: e for e in make_population(tmp_path, seed=seed)}

    for agency, state in question.expected:
        met = [
            person for person in _people(agency, _rows(exports[agency])) if keys & set(record_keys(person))
        ]
        assert len(met) == (0 if state == "NOTHING_RETURNED" else 1)


def test_exports_of_two_populations_never_lie_side_by_side(tmp_path: Path) -> None:
    def write(*options: str) -> Result:
        return CliRunner().invoke(demo, ["population", f"--out={tmp_path}", "--size=50", *options])

    assert write("--agency=police", "--agency=schools").exit_code == 0
    before = (tmp_path / "police.csv").read_bytes()

    for options in (["--agency=police", "--seed=9"], ["--form=parquet", "--seed=9"]):
        refused = write(*options)
        assert refused.exit_code == 2
        assert "schools.csv" in refused.output
    assert (tmp_path / "police.csv").read_bytes() == before
    assert write("--seed=9").exit_code == 0, "all of it is replaced"
