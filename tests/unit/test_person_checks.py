"""What the asker is told will not be used; never a value, never a refusal."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from elsewhere.person.checks import check
from elsewhere.person.dates import PartialDate
from elsewhere.person.identity import Name, Person

TODAY = datetime.date(2026, 11, 22)
GOOD: dict[str, Any] = {"given": "Amelia", "family": "Hughes", "dob": "2014-03-07", "postcode": "LS6 2AB"}


def codes(person: Person) -> list[str]:
    """The codes of what is said."""
    return [note.code for note in check(person, today=TODAY)]


def test_there_is_nothing_to_say_of_a_good_person() -> None:
    assert codes(Person.of(**GOOD, nhs_number="9990000018", upn="B801200005001")) == []


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"given": "Baby"}, ["name.placeholder", "name.no_first"]),
        ({"given": ""}, ["name.no_first"]),
        ({"given": "A"}, ["name.initial"]),
        ({"family": ""}, ["name.no_family"]),
        ({"dob": None}, ["birth_date.missing"]),
        ({"dob": "31/02/2014"}, ["birth_date.unreadable"]),
        ({"dob": "2014"}, ["birth_date.year_only"]),
        ({"dob": "2014-03"}, ["birth_date.no_day"]),
        ({"dob": PartialDate(datetime.date(2014, 3, 7), "UUU")}, ["birth_date.unknown"]),
        ({"dob": "2027-03-07"}, ["birth_date.future"]),
        ({"dob": "1980-03-07"}, ["birth_date.adult"]),
        ({"dob": "2014-01-01"}, ["birth_date.first_january"]),
        ({"postcode": "ZZ99 3VZ"}, ["postcode.pseudo"]),
        ({"postcode": "75011"}, ["postcode.foreign"]),
        ({"postcode": "Leeds", "past_postcodes": ["Hull"]}, ["postcode.malformed"]),
        ({"nhs_number": "9990000019"}, ["nhs_number.invalid"]),
        ({"upn": "A801200005001"}, ["upn.invalid"]),
        ({"upn": "A80120000501B"}, ["upn.temporary"]),
    ],
    ids=str,
)
def test_each_oddity_is_named(written: dict[str, Any], said: list[str]) -> None:
    assert codes(Person.of(**{**GOOD, **written})) == said


def test_an_anonymous_name_is_named() -> None:
    assert codes(Person(names=(Name(("X",), "Y", "anonymous"),)))[0] == "name.anonymous"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"mother_nhs_number": "9990000018", "due_date": "2027-03-01"}, []),
        ({"mother_given": "Ann", "mother_dob": "1990-05-06", "due_date": "2027-03-01"}, []),
        ({"mother_nhs_number": "9990000019", "due_date": "2027-03-01"}, ["nhs_number.invalid"]),
        ({"mother_nhs_number": "9990000018"}, ["unborn.no_due_date"]),
        ({"mother_nhs_number": "9990000018", "due_date": "2028-03-01"}, ["unborn.due_late"]),
        ({"mother_given": "Ann", "due_date": "2027-03-01"}, ["unborn.no_mother"]),
    ],
    ids=str,
)
def test_an_expected_child_is_judged_by_mother_and_due_date(written: dict[str, Any], said: list[str]) -> None:
    assert codes(Person.of(**written)) == said


def test_no_message_carries_a_value() -> None:
    person = Person.of(
        given="Twin 1", family="", dob="31/02/2014", postcode="Leeds", nhs_number="12345", upn="X9"
    )

    for note in check(person, today=TODAY):
        for value in ("Twin", "31/02", "Leeds", "12345", "X9"):
            assert value not in note.message
