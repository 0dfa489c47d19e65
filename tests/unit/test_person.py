"""A person as written: construction, canonical bytes, and what is never printed."""

from __future__ import annotations

import datetime

import pytest

from elsewhere.errors import PersonMalformed
from elsewhere.person.dates import PartialDate, parse_date
from elsewhere.person.identity import Name, Person, Unborn

FULL = Person.of(
    given="Siân Mary-Jane",
    family="O'Neill",
    dob="07/03/2014",
    postcode="LS6 2AB",
    past_postcodes=["75011", ""],
    nhs_number="999 000 0018",
    upn="B801200005001",
    aliases=["Shani Jones", "Jones, Shani", "Shan", Name(("Jane",), "Hill", "old")],
    mother_given="Ann",
    mother_family="Hill",
    mother_dob="1990",
    due_date="2014-03",
)


def test_plain_strings_make_a_person() -> None:
    assert FULL.names[0] == Name(("Siân", "Mary-Jane"), "O'Neill")
    assert FULL.names[1:] == (
        Name(("Shani",), "Jones", "nickname"),
        Name(("Shani",), "Jones", "nickname"),
        Name(("Shan",), "O'Neill", "nickname"),
        Name(("Jane",), "Hill", "old"),
    )
    assert FULL.birth_date == PartialDate(datetime.date(2014, 3, 7))
    assert FULL.postcodes == ("LS6 2AB", "75011")
    assert FULL.unborn == Unborn(
        names=(Name(("Ann",), "Hill"),),
        birth_date=PartialDate(datetime.date(1990, 1, 1), "UUA"),
        due_date=PartialDate(datetime.date(2014, 3, 1), "UAA"),
    )


def test_nothing_written_is_a_person_too() -> None:
    assert Person.of() == Person()
    assert Person.of(given=" ", family="", dob="", postcode=None, aliases=[""]) == Person()


@pytest.mark.parametrize(
    "person", [FULL, Person(), Person.of(dob="31/02/2014")], ids=["full", "empty", "no date"]
)
def test_canonical_bytes_go_round(person: Person) -> None:
    assert Person.from_canonical(person.canonical()) == person


def test_canonical_bytes_do_not_depend_on_how_the_person_was_made() -> None:
    assert (
        Person.of(family="Hill", given=["Ann"]).canonical()
        == Person.of(given="Ann", family="Hill ").canonical()
    )
    assert Person.of(given="Ann").canonical() == (
        b'{"birth_date":null,"form":1,"names":[{"family":"","given":["Ann"],"use":"usual"}],"nhs_number":null,'
        b'"postcodes":[],"unborn":null,"upn":null}'
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        FULL.canonical() + b" ",
        FULL.canonical().replace(b'"form":1', b'"form":2'),
        FULL.canonical().replace(b'"usual"', b'"pet"'),
        FULL.canonical().replace(b'"given":["', b'"given":[1,"'),
    ],
    ids=lambda data: data[:20],
)
def test_other_bytes_are_refused_without_quoting_them(data: bytes) -> None:
    with pytest.raises(PersonMalformed) as refusal:
        Person.from_canonical(data)

    assert "Siân" not in str(refusal.value)
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


@pytest.mark.parametrize(
    ("written", "field"),
    [
        ({"given": "x" * 201}, "names"),
        ({"given": "a " * 17}, "names"),
        ({"aliases": ["Ann"] * 17}, "names or postcodes"),
        ({"family": "a\x00b"}, "names"),
        ({"family": "\ud800"}, "names"),
        ({"postcode": "x" * 201}, "postcodes"),
        ({"nhs_number": "9" * 201}, "nhs_number"),
        ({"upn": "9" * 201}, "upn"),
        ({"mother_nhs_number": "9" * 201}, "unborn"),
        ({"dob": "x" * 201}, "birth_date"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
def test_what_no_record_can_hold_is_refused_by_field(written: dict[str, object], field: str) -> None:
    with pytest.raises(PersonMalformed) as refusal:
        Person.of(**written)  # type: ignore[arg-type]

    assert refusal.value.field == field


def test_a_person_does_not_print() -> None:
    for secret in ("Siân", "Neill", "2014", "LS6", "999", "B8012", "Hill"):
        assert secret not in repr(FULL) + repr(FULL.names) + repr(FULL.unborn)


@pytest.mark.parametrize(
    ("text", "date", "accuracy"),
    [
        ("2014-03-07", (2014, 3, 7), "AAA"),
        ("07/03/2014", (2014, 3, 7), "AAA"),
        (" 7.3.2014 ", (2014, 3, 7), "AAA"),
        ("7 Mar 2014", (2014, 3, 7), "AAA"),
        ("20140307", (2014, 3, 7), "AAA"),
        ("2014-03", (2014, 3, 1), "UAA"),
        ("2014", (2014, 1, 1), "UUA"),
    ],
)
def test_dates_are_read_day_first(text: str, date: tuple[int, int, int], accuracy: str) -> None:
    assert parse_date(text) == PartialDate(datetime.date(*date), accuracy)


@pytest.mark.parametrize(
    "text", ["31/02/2014", "29/02/2015", "2014-13-01", "07/03/14", "soon", "0000", "2014-00"]
)
def test_what_is_no_date_is_kept_as_written_and_not_used(text: str) -> None:
    date = parse_date(text)

    assert date == PartialDate(None, "UUU", text)
    assert not date.is_exact
    assert not date.has_year


def test_only_the_stated_formats_are_read() -> None:
    assert parse_date("03/07/2014", ("%m/%d/%Y",)) == PartialDate(datetime.date(2014, 3, 7))
    assert parse_date("", ("%m/%d/%Y",)) is None


@pytest.mark.parametrize("accuracy", ["", "AA", "AAX", "aaa"])
def test_an_accuracy_is_three_known_letters(accuracy: str) -> None:
    with pytest.raises(PersonMalformed):
        PartialDate(datetime.date(2014, 3, 7), accuracy)
