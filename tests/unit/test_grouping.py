"""Grouping at load: one child's records together, twins and shielded records apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from elsewhere.grouping import Groupable, group_records
from elsewhere.matchkeys import Strength, record_keys
from elsewhere.person.identity import Person

AMELIA = Person.of(given="Amelia", family="Hughes", dob="2014-03-07", postcode="LS6 2AB")


def item(ref: int, person: Person, *, source: str = "", apart: bool = False) -> Groupable:
    """One record with the keys it yields."""
    strong = b"".join(
        hashlib.sha256(key.data).digest()[:8]
        for key in record_keys(person)
        if key.strength is Strength.STRONG
    )
    return Groupable(ref, source or f"id-{ref}", person, strong, apart)


def groups_of(items: Iterable[Groupable]) -> tuple[tuple[int, ...], ...]:
    """The refs of all groups."""
    groups = group_records(items)
    found = tuple(groups)
    assert len(groups) == len(found)
    return found


def twin(given: str, *, nhs_number: str | None = None) -> Person:
    """A child born with Amelia."""
    return Person.of(
        given=given, family="Hughes", dob="2014-03-07", postcode="LS6 2AB", nhs_number=nhs_number
    )


def test_one_source_person_id_is_one_child() -> None:
    moved = Person.of(given="Zoe", family="Baker", dob="2011-01-02")

    assert groups_of([item(1, AMELIA, source="a"), item(2, moved, source="a")]) == ((1, 2),)


def test_a_shared_strong_key_joins_records() -> None:
    assert groups_of([item(1, AMELIA), item(2, twin("Amelia")), item(3, twin("Milly"))]) == ((1, 2, 3),)


def test_one_valid_identifier_joins_records() -> None:
    here = Person.of(given="Amelia", family="Hughes", nhs_number="999 000 0018")
    there = Person.of(given="Amy", family="Jones", dob="2014-03-07", nhs_number="9990000018")

    assert groups_of([item(1, here), item(2, there)]) == ((1, 2),)


def test_an_invalid_identifier_joins_nothing() -> None:
    here = Person.of(given="Amelia", family="Hughes", nhs_number="9990000019")
    there = Person.of(given="Amy", family="Jones", nhs_number="9990000019")

    assert groups_of([item(1, here), item(2, there)]) == ((1,), (2,))


def test_twins_stay_apart() -> None:
    twins = [
        item(n, twin(given)) for n, given in enumerate(("Jack", "Jacob", "Mia", "Mila", "Hassan", "Hussain"))
    ]

    assert len(groups_of(twins)) == len(twins)


def test_twins_stay_apart_under_one_number_given_to_both() -> None:
    here, there = twin("Jack", nhs_number="9990000018"), twin("Joseph", nhs_number="9990000018")

    assert groups_of([item(1, here), item(2, there)]) == ((1,), (2,))


def test_conflicting_identifiers_keep_namesakes_apart() -> None:
    here, there = twin("Amelia", nhs_number="9990000018"), twin("Amelia", nhs_number="9990000026")

    assert groups_of([item(1, here), item(2, there)]) == ((1,), (2,))


def test_namesakes_of_two_generations_in_one_house_stay_apart() -> None:
    cousin = Person.of(given="Amelia", family="Hughes", dob="2009-11-21", postcode="LS6 2AB")

    assert groups_of([item(1, AMELIA), item(2, cousin)]) == ((1,), (2,))


def test_a_record_kept_apart_is_never_joined() -> None:
    items = [item(1, AMELIA, source="a"), item(2, AMELIA, source="a", apart=True), item(3, AMELIA)]

    assert groups_of(items) == ((1, 3), (2,))


def test_no_records_make_no_groups() -> None:
    assert groups_of([]) == ()
