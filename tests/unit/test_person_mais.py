"""MAIS Person objects: round trips and refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest

from elsewhere.errors import PersonMalformed
from elsewhere.person.dates import PartialDate
from elsewhere.person.identity import Name, Person
from elsewhere.person.mais import NHS_SYSTEM

PERSON = Person(
    names=(Name(("Amelia", "Rose"), "Hughes", "official"), Name(("Amy",), "Baker", "old")),
    birth_date=PartialDate(Person.of(dob="2014-03-01").birth_date.date, "UAA"),  # type: ignore[union-attr]
    postcodes=("LS6 2AB", "M1 1AE"),
    nhs_number="9990000018",
    upn="B801200005001",
)


def test_a_person_goes_round() -> None:
    assert Person.from_mais(json.loads(json.dumps(PERSON.to_mais()))) == PERSON
    assert Person.from_mais(Person().to_mais()) == Person()


def test_only_fields_of_the_standard_are_written() -> None:
    document: Any = PERSON.to_mais()

    assert set(document) == {"identifier", "name", "dateOfBirth", "address"}
    assert set(document["name"][0]) == {"familyName", "givenName", "use"}
    assert set(document["dateOfBirth"]) == {"date", "accuracyIndicator"}
    assert all(set(row) == {"value", "system"} for row in document["identifier"])
    assert all(set(row) == {"postcode", "use"} for row in document["address"])


def test_a_preferred_name_is_a_nickname() -> None:
    document = {"name": [{"givenName": "Amelia", "familyName": "Hughes", "preferredName": "Milly"}]}

    assert Person.from_mais(document).names == (
        Name(("Amelia",), "Hughes"),
        Name(("Milly",), "Hughes", "nickname"),
    )


def test_what_never_serves_matching_is_not_read() -> None:
    document = {
        "genderCode": "9",
        "sexCode": {"any": "thing"},
        "ethnicityCode": 3,
        "identifier": [{"value": "1", "system": "https://example.org/case"}],
        "address": [{"postcode": "M1 1AE", "use": "work"}, {"city": "Leeds"}],
    }

    assert Person.from_mais(document) == Person()


def test_an_unknown_accuracy_makes_a_date_unknown() -> None:
    read = Person.from_mais({"dateOfBirth": {"date": "2014-03-07", "accuracyIndicator": "Position"}})

    assert read.birth_date is not None
    assert not read.birth_date.has_year


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"name": "Amelia"}, "name"),
        ({"name": [1]}, "name"),
        ({"name": [{"givenName": [1]}]}, "givenName"),
        ({"name": [{"use": "pet"}]}, "name.use"),
        ({"identifier": [{"value": 1, "system": NHS_SYSTEM}]}, "value"),
        ({"dateOfBirth": "2014"}, "dateOfBirth"),
    ],
    ids=str,
)
def test_a_field_of_another_type_is_refused_by_name(document: dict[str, object], field: str) -> None:
    with pytest.raises(PersonMalformed) as refusal:
        Person.from_mais(document)

    assert refusal.value.field == field
