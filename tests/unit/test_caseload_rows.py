"""One row becomes one person as written; odd values are noted by code, and only a few things refuse a row."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Mapping

import pytest

from elsewhere.person.identity import Person
from node.caseload.mapping import parse_mapping
from node.caseload.rows import CaseRow, RowError, RowReader
from tests.caseload import ANN, COLUMNS, MAPPING, TODAY, mapping


def _read(row: Mapping[str, str]) -> CaseRow:
    return RowReader(mapping(), COLUMNS, TODAY).read([row.get(name, "") for name in COLUMNS])


def _person(row: Mapping[str, str]) -> Person:
    return Person.from_canonical(_read(row).person)


def test_every_mapped_field_of_the_person_is_kept_as_written() -> None:
    found = _person(
        ANN
        | {"past": "AB1 9XX; AB1 8YY", "nhs": "999 000 0018", "upn": "A123", "accuracy": "aae"}
        | {"alias": "Annie; Jones, Nan; Mary Smith", "mother_given": "Eve", "mother_family": "Lee"}
    )

    assert [(n.given, n.family, n.use) for n in found.names] == [
        (("Ann", "Mary"), "Leeworth", "usual"),
        (("Annie",), "Leeworth", "nickname"),
        (("Nan",), "Jones", "nickname"),
        (("Mary",), "Smith", "nickname"),
    ]
    assert found.postcodes == ("AB1 2CD", "AB1 9XX", "AB1 8YY")
    assert (found.nhs_number, found.upn) == ("999 000 0018", "A123")
    assert found.birth_date is not None
    assert (found.birth_date.date, found.birth_date.accuracy) == (datetime.date(2015, 3, 2), "AAE")
    # A mother without a due date is the parent of a born child.
    assert found.unborn is None


@pytest.mark.parametrize(
    ("written", "given", "family"),
    [
        ("LEEWORTH, Ann Mary", ("Ann", "Mary"), "LEEWORTH"),
        ("Ann Leeworth", ("Ann",), "Leeworth"),
        ("Ana de la Cruz Ruiz", ("Ana",), "de la Cruz Ruiz"),
        ("Ann", ("Ann",), ""),
    ],
)
def test_a_whole_name_in_one_cell_is_taken_apart(written: str, given: tuple[str, ...], family: str) -> None:
    whole = mapping(person={"id": "id", "name": "given", "birth_date": "dob", "aliases": "alias"})
    row = ANN | {"given": written, "alias": "Nan"}
    read = RowReader(whole, COLUMNS, TODAY).read([row.get(name, "") for name in COLUMNS])

    first, alias = Person.from_canonical(read.person).names
    assert (first.given, first.family, first.use) == (given, family, "usual")
    assert (alias.given, alias.family) == (("Nan",), family)


def test_an_expected_child_needs_its_mother_and_a_due_date_only() -> None:
    row = {"id": "9", "mother_given": "Eve", "mother_family": "Lee", "due": "01/09/2026"}

    unborn = _person(row).unborn

    assert unborn is not None
    assert unborn.names[0].family == "Lee"
    assert unborn.due_date is not None
    assert unborn.due_date.date == datetime.date(2026, 9, 1)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"id": ""}, "person.id_missing"),
        ({"id": "NULL"}, "person.id_missing"),
        ({"id": "x" * 201}, "person.malformed"),
        ({"id": "a\tb"}, "person.malformed"),
        ({"family": "x" * 201}, "person.malformed"),
        ({"given": "A\x07nn"}, "person.malformed"),
        ({"alias": ";".join("abcdefghijklmnopqrstuvw")}, "person.malformed"),
        ({"accuracy": "DAY"}, "person.malformed"),
        ({"given": "Baby", "family": ""}, "person.empty"),
        ({"given": "", "family": "Unknown"}, "person.empty"),
        ({"status": "reopened"}, "status.unknown"),
        ({"shield": "Place"}, "shield.unknown"),
        ({"service": "x" * 201}, "record.text"),
        ({"phone": "1\n2"}, "record.text"),
    ],
)
def test_what_cannot_be_loaded_is_refused_by_code(change: dict[str, str], code: str) -> None:
    with pytest.raises(RowError) as refusal:
        _read(ANN | change)

    assert refusal.value.code == code


@pytest.mark.parametrize("width", [1, len(COLUMNS) - 1, len(COLUMNS) + 1])
def test_a_row_of_another_width_is_refused(width: int) -> None:
    with pytest.raises(RowError) as refusal:
        RowReader(mapping(), COLUMNS, TODAY).read(["1"] * width)

    assert refusal.value.code == "row.ragged"


@pytest.mark.parametrize(
    ("change", "is_shielded"),
    [({}, False), ({"shield": "none"}, False), ({"shield": "place"}, True), ({"shield": "?"}, True)],
)
def test_a_refusal_tells_whether_a_shield_was_meant(change: dict[str, str], is_shielded: bool) -> None:
    with pytest.raises(RowError) as refusal:
        _read(ANN | {"status": "?"} | change)

    assert (refusal.value.person_ref, refusal.value.is_shielded) == ("1", is_shielded)


@pytest.mark.parametrize(
    ("change", "notes"),
    [
        ({}, ()),
        ({"dob": ""}, ("birth_date.missing",)),
        ({"dob": "31/02/2015"}, ("birth_date.unreadable",)),
        ({"dob": "03/03/2026"}, ("birth_date.future",)),
        ({"nhs": "9990000000"}, ("nhs_number.invalid",)),
        ({"upn": "A12345678901A"}, ("upn.temporary",)),
        ({"upn": "B123456789012"}, ("upn.invalid",)),
        ({"given": "Baby"}, ("given.placeholder",)),
        ({"given": ""}, ("given.missing",)),
        ({"family": "Not known"}, ("family.missing",)),
        ({"postcode": "ZZ99 3VZ"}, ("postcode.unusable",)),
        ({"seen": "soon"}, ("last_contact.unreadable",)),
        ({"seen": "03/03/2026"}, ("last_contact.future",)),
        ({"cp": "perhaps"}, ("flag.unknown",)),
        ({"cp": "Y", "cp_start": "2026"}, ("flag.date_unreadable",)),
    ],
)
def test_odd_values_are_noted_and_never_refuse_a_row(change: dict[str, str], notes: tuple[str, ...]) -> None:
    assert _read(ANN | change).notes == notes


@pytest.mark.parametrize(
    "time",
    [" 00:00", " 00:00:00", "T00:00:00Z", " 00:00:00.000", " 12:00:00 AM", " 9.30 p.m.", " 00:00:00 +01:00"],
)
def test_a_time_after_a_date_is_cut_off(time: str) -> None:
    assert _person(ANN | {"dob": "02/03/2015" + time}).birth_date == _person(ANN).birth_date
    row = _read(ANN | {"cp": "Y", "cp_start": "01/02/2026" + time, "seen": "01/03/2026" + time})
    assert (row.flags, row.last_contact) == (
        '[["CP_PLAN", "2026-02-01", ""]]',
        datetime.date(2026, 3, 1),
    )


def test_a_time_is_cut_off_a_date_in_words() -> None:
    form = mapping(date_formats=["%d-%b-%Y", "%d %b %Y"])
    for written in ("02-OCT-2015 00:00", "2 Oct 2015 12:00:00 AM"):
        row = ANN | {"dob": written}
        read = RowReader(form, COLUMNS, TODAY).read([row.get(name, "") for name in COLUMNS])
        assert read.notes == ()


def test_what_follows_a_date_and_is_no_time_makes_it_unreadable() -> None:
    assert _read(ANN | {"dob": "02/03/2015 guessed"}).notes == ("birth_date.unreadable",)


def test_a_blank_status_means_what_the_mapping_says() -> None:
    assert _read(ANN).status == "CURRENT"


@pytest.mark.parametrize(
    ("text", "shield"), [("", None), ("no", None), ("none", "NONE"), ("place", "SHIELD_LOCATION")]
)
def test_a_row_states_a_shield_none_or_nothing(text: str, shield: str | None) -> None:
    assert _read(ANN | {"shield": text}).shield == shield


def _read_as(changes: Mapping[str, object], row: Mapping[str, str]) -> CaseRow:
    """Read a row by the mapping with some of its tables changed."""
    form = parse_mapping({**tomllib.loads(MAPPING), **changes})
    return RowReader(form, COLUMNS, TODAY).read([row.get(name, "") for name in COLUMNS])


@pytest.mark.parametrize("text", ["", "  ", "NULL"])
def test_an_empty_cell_shields_where_the_mapping_says_so(text: str) -> None:
    form = {"shield": {"column": "shield", "values": {"": "SHIELD_LOCATION", "open": "NONE"}}}

    assert _read_as(form, ANN | {"shield": text}).shield == "SHIELD_LOCATION"
    with pytest.raises(RowError) as refusal:
        _read_as(form, ANN | {"shield": text, "status": "?"})
    assert refusal.value.is_shielded


@pytest.mark.parametrize(
    ("texts", "shield"),
    [
        (("", ""), None),
        (("N", ""), None),  # the other column may have said more once
        (("N", "N"), "NONE"),
        (("Y", "N"), "SHIELD_IDENTITY"),
        (("N", "Y"), "SHIELD_LOCATION"),
        (("Y", "Y"), "SHIELD_IDENTITY"),
        (("", "Y"), "SHIELD_LOCATION"),
        (("?", "Y"), "refused"),
        (("Y", "?"), "refused"),
    ],
)
def test_of_several_shield_columns_the_strictest_holds(texts: tuple[str, str], shield: str | None) -> None:
    columns = [("shield", "SHIELD_IDENTITY"), ("phone", "SHIELD_LOCATION")]
    form = {"shield": [{"column": name, "values": {"Y": kind, "N": "NONE"}} for name, kind in columns]}
    row = ANN | dict(zip(("shield", "phone"), texts, strict=True))

    if shield == "refused":
        with pytest.raises(RowError) as refusal:
            _read_as(form, row)
        assert (refusal.value.code, refusal.value.is_shielded) == ("shield.unknown", True)
    else:
        assert _read_as(form, row).shield == shield


@pytest.mark.parametrize("start", ["01/02/2026 00:00", "01/02/2026"])
def test_a_start_date_alone_sets_a_flag(start: str) -> None:
    form: dict[str, object] = {"flags": [{"code": "LAC", "start": "cp_start", "end": "cp_end"}]}

    assert _read_as(form, ANN | {"cp_start": start}).flags == '[["LAC", "2026-02-01", ""]]'
    assert _read_as(form, ANN).flags == "[]"


def test_a_start_that_cannot_be_read_sets_a_flag_without_a_date() -> None:
    form: dict[str, object] = {"flags": [{"code": "LAC", "start": "cp_start", "end": "cp_end"}]}
    row = _read_as(form, ANN | {"cp_start": "spring"})

    assert (row.flags, row.notes) == ('[["LAC", "", ""]]', ("flag.date_unreadable",))


def test_a_flag_is_set_by_its_value_and_carries_its_dates() -> None:
    row = _read(ANN | {"cp": "Y", "cp_start": "01/02/2026"})

    assert row.flags == '[["CP_PLAN", "2026-02-01", ""]]'
    assert _read(ANN | {"cp": "N", "cp_start": "01/02/2026"}).flags == "[]"


def test_a_row_does_not_print_the_child() -> None:
    assert not any(word in repr(_read(ANN)) for word in ("Ann", "Leeworth", "2015", "AB1"))
