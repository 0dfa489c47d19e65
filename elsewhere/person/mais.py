"""A Person to and from the MAIS Person object (Multi-Agency Information Sharing), as JSON values.

Promises: what both sides know of goes round unchanged: names with their use, birth date with its accuracy,
          postcodes (current ones have no use or "home", past ones "old"), NHS number and UPN by their system.
Refuses:  values of another type than the field's. Fields that never serve matching (sex, gender, ethnicity,
          relations) are not read at all.
Source:   MAIS PUB01 Person, draft of 2026-07-17.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

from elsewhere.errors import PersonMalformed
from elsewhere.person.dates import PartialDate, parse_date
from elsewhere.person.identity import NAME_USES, Name, Person

NHS_SYSTEM = "https://fhir.nhs.uk/Id/nhs-number"
UPN_SYSTEM = "https://www.gov.uk/education/unique-pupil-number"
_NEVER_CURRENT = ("old", "work", "billing")


def person_to_mais(person: Person) -> dict[str, object]:
    """Return a MAIS Person as JSON values. An expected child has no place there and is left out."""
    document: dict[str, object] = {}
    numbers = ((NHS_SYSTEM, person.nhs_number), (UPN_SYSTEM, person.upn))
    identifiers = [{"value": value, "system": system} for system, value in numbers if value]
    if identifiers:
        document["identifier"] = identifiers
    if person.names:
        document["name"] = [
            {
                "familyName": [name.family] if name.family else [],
                "givenName": list(name.given),
                "use": name.use,
            }
            for name in person.names
        ]
    if person.birth_date is not None and person.birth_date.date is not None:
        document["dateOfBirth"] = {
            "date": person.birth_date.date.isoformat(),
            "accuracyIndicator": person.birth_date.accuracy,
        }
    if person.postcodes:
        uses = ("home", *("old" for _ in person.postcodes[1:]))
        document["address"] = [
            {"postcode": code, "use": use} for code, use in zip(person.postcodes, uses, strict=True)
        ]
    return document


def person_from_mais(document: Mapping[str, object]) -> Person:
    """Read a MAIS Person given as JSON values.

    Raises:
        PersonMalformed: a field is not of its MAIS type; `.field` says which.
    """
    numbers = {
        _text(row, "system"): _text(row, "value")
        for row in _rows(document, "identifier")
        if _text(row, "value")
    }
    addresses = [(_text(row, "use"), _text(row, "postcode")) for row in _rows(document, "address")]
    current = [code for use, code in addresses if code and use not in _NEVER_CURRENT]
    past = [code for use, code in addresses if code and use == "old"]
    return Person(
        names=tuple(name for row in _rows(document, "name") for name in _names(row)),
        birth_date=_date(document),
        postcodes=tuple(current + past),
        nhs_number=numbers.get(NHS_SYSTEM),
        upn=numbers.get(UPN_SYSTEM),
    )


def _names(row: Mapping[str, object]) -> list[Name]:
    """The name, and the preferred first name as a nickname of its own."""
    use = _text(row, "use") or "usual"
    if use not in NAME_USES:
        raise PersonMalformed("name.use", "expected one of " + ", ".join(NAME_USES))
    family = " ".join(_texts(row, "familyName"))
    given = tuple(_texts(row, "givenName"))
    preferred = _text(row, "preferredName")
    names = [Name(given, family, use)] if given or family else []
    if preferred and preferred not in given:
        names.append(Name((preferred,), family, "nickname"))
    return names


def _date(document: Mapping[str, object]) -> PartialDate | None:
    """The birth date; an accuracy outside the day-month-year letters is read as unknown."""
    row = document.get("dateOfBirth")
    if row is None:
        return None
    if not isinstance(row, Mapping):
        raise PersonMalformed("dateOfBirth", "expected an object")
    accuracy = _text(row, "accuracyIndicator") or "AAA"
    if len(accuracy) != 3 or not set(accuracy) <= set("AEU"):
        accuracy = "UUU"
    written = _text(row, "date")
    try:
        return PartialDate(datetime.date.fromisoformat(written), accuracy)
    except ValueError:
        return parse_date(written, ())


def _rows(document: Mapping[str, object], field: str) -> Sequence[Mapping[str, object]]:
    """A list of objects; absent is empty."""
    value = document.get(field, [])
    if not isinstance(value, list) or not all(isinstance(row, Mapping) for row in value):
        raise PersonMalformed(field, "expected a list of objects")
    return value


def _texts(row: Mapping[str, object], field: str) -> list[str]:
    """Zero or more strings; one alone may stand without its list."""
    value = row.get(field, [])
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(text, str) for text in values):
        raise PersonMalformed(field, "expected strings")
    return [text for text in values if text]


def _text(row: Mapping[str, object], field: str) -> str:
    """A string; absent and null are empty."""
    value = row.get(field) or ""
    if not isinstance(value, str):
        raise PersonMalformed(field, "expected a string")
    return value
