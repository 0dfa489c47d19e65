"""What is exported to MAIS has the standard's fields, types and numbers, and goes round where it can."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elsewhere.agreement.mais import DUTIES, SharingPolicy, sharing_policy
from elsewhere.agreement.terms import Effect
from elsewhere.agreement.vocabulary import vocabulary
from elsewhere.asking import CustodianAnswer, State
from elsewhere.errors import DocumentInvalid
from elsewhere.lookup import Contact
from elsewhere.person.dates import PartialDate
from elsewhere.person.identity import NAME_USES, Name, Person
from elsewhere.sdk.mais import answer_to_mais
from tests.unit.test_agreement_decide import RULE, START, with_rules

FILE = json.loads((Path(__file__).parents[1] / "vectors" / "mais_fields.json").read_text("utf-8"))
ENTITIES: dict[str, dict[str, Any]] = FILE["vectors"]["entities"]
VOCABULARIES: dict[str, list[str]] = FILE["vectors"]["vocabularies"]
POLICY = sharing_policy(START, uri="https://example.org/a.json", contact="Northshire, data protection")


def faults(value: Any, fields: dict[str, Any], *, at: str = "", partial: bool = False) -> list[str]:
    """Everything in which an object departs from the standard's list of fields."""
    found = [f"{at}{name}: no such field" for name in value if name not in fields]
    for name, field in fields.items():
        low, _, high = field["cardinality"].partition("..")
        here = value.get(name)
        if here is None:
            if low == "1" and not partial:
                found.append(f"{at}{name}: missing")
            continue
        if (high == "*") is not isinstance(here, list):
            found.append(f"{at}{name}: {'a list' if high == '*' else 'one value'} expected")
        for one in here if isinstance(here, list) else [here]:
            inner = field.get("children") or ENTITIES.get(field["type"])
            if inner:
                found += faults(one, inner, at=f"{at}{name}.", partial=partial)
            elif not isinstance(one, str):
                found.append(f"{at}{name}: text expected")
    return found


def test_the_list_of_fields_is_the_one_that_was_taken_down() -> None:
    compact = json.dumps(FILE["vectors"], sort_keys=True, separators=(",", ":")).encode()

    assert hashlib.sha256(compact).hexdigest() == FILE["sha256"]


def test_an_agreement_becomes_a_sharing_policy_of_the_standard() -> None:
    document = json.loads(json.dumps(POLICY.to_json()))

    assert faults(document, ENTITIES["SharingPolicy"]) == []
    assert [party["CatalogueID"] for party in document["Party"]] == [[p.agency_id] for p in START.parties]
    assert set(document["Purpose"]) == {purpose for rule in START.rules for purpose in rule.purposes}
    assert datetime.fromisoformat(document["StartDate"]) == START.validity.valid_from
    assert datetime.fromisoformat(document["EndDate"]) == START.validity.valid_until
    assert document["Restrictions"] == ["odrl:transfer", "odrl:distribute"]
    assert document["Identifier"]["value"] == "northshire/1"


def test_a_sharing_policy_goes_round() -> None:
    assert SharingPolicy.from_json(json.loads(json.dumps(POLICY.to_json()))) == POLICY


def test_deletion_is_a_duty_of_the_recipient_and_a_restriction_needs_every_rule() -> None:
    agreement = with_rules(replace(RULE, obligations=("DELETE_AFTER_30", "NO_ONWARD")), RULE)
    lists = sharing_policy(agreement, uri="u", contact="c").lists

    assert lists["DataRecipientResponsibilities"] == ("elsewhere:log", "odrl:delete P30D")
    assert lists["Restrictions"] == ()


def test_every_obligation_has_its_place_in_the_export() -> None:
    assert set(DUTIES) == set(vocabulary().obligations)


def test_an_agreement_under_which_nothing_is_permitted_is_not_exported() -> None:
    nothing = with_rules(replace(RULE, effect=Effect.DENY))

    with pytest.raises(DocumentInvalid):
        sharing_policy(nothing, uri="u", contact="c")
    with pytest.raises(DocumentInvalid):
        sharing_policy(START, uri="two\nlines", contact="c")


@pytest.mark.parametrize(
    "name", [n for n, f in ENTITIES["SharingPolicy"].items() if f["cardinality"][0] == "1"]
)
def test_an_object_without_a_field_that_the_standard_wants_is_refused(name: str) -> None:
    document: Any = POLICY.to_json()
    del document[name]

    with pytest.raises(DocumentInvalid) as refusal:
        SharingPolicy.from_json(document)

    assert refusal.value.key.startswith(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Whim", "1"),
        ("Party", []),
        ("Party", [{"Name": "N", "CatalogueID": []}]),
        ("Data", "one"),
        ("URI", 3),
    ],
)
def test_an_object_with_another_field_or_type_is_refused(name: str, value: Any) -> None:
    with pytest.raises(DocumentInvalid):
        SharingPolicy.from_json({**POLICY.to_json(), name: value})


words = st.text(st.characters(categories=["L"]), min_size=1, max_size=12)
people = st.builds(
    lambda names, date, accuracy, postcodes: Person(
        names=tuple(names), birth_date=PartialDate(date, accuracy), postcodes=tuple(postcodes)
    ),
    st.lists(
        st.builds(
            Name, st.lists(words, min_size=1, max_size=2).map(tuple), words, st.sampled_from(NAME_USES)
        ),
        max_size=8,
    ),
    st.dates(datetime(1990, 1, 1).date(), datetime(2026, 1, 1).date()),
    st.text("AEU", min_size=3, max_size=3),
    st.lists(st.sampled_from(["LS6 2AB", "M1 1AE", "AB1 2CD"]), unique=True),
)


@given(people)
def test_any_person_goes_round_in_fields_of_the_standard(person: Person) -> None:
    document = json.loads(json.dumps(person.to_mais()))

    assert Person.from_mais(document) == person
    assert faults(document, ENTITIES["Person"]) == []


def test_names_and_addresses_have_uses_of_the_standard() -> None:
    assert set(NAME_USES) == set(VOCABULARIES["Name Use"])
    used = {row["use"] for row in Person(postcodes=("LS6 2AB", "M1 1AE")).to_mais()["address"]}  # type: ignore[attr-defined]
    assert used <= set(VOCABULARIES["Address Use"])


ANSWER = CustodianAnswer(
    custodian="police",
    custodian_name="Northshire Police",
    state=State.KNOWN_CURRENT,
    tier="R2",
    contact=Contact("Front door", "01632 960003", "01632 960004"),
)


@pytest.mark.parametrize(
    ("state", "decision"),
    [(s, "PERMIT" if s.is_answer else {"DENIED": "DENY", "REVIEW": "REVIEW"}.get(s.value)) for s in State],
)
def test_an_answer_is_a_decision_and_an_organisation_to_call(state: State, decision: str | None) -> None:
    found: Any = answer_to_mais(replace(ANSWER, state=state))

    assert found.get("decision") == decision
    assert faults(found["organisation"], ENTITIES["Organisation"], partial=True) == []
    assert found["organisation"]["name"] == "Northshire Police"
    assert found["organisation"]["relatedService"][0]["contact"][0]["telephone"] == [
        "01632 960003",
        "01632 960004",
    ]


def test_an_answer_says_no_more_in_mais_than_it_says_itself() -> None:
    bare: Any = answer_to_mais(replace(ANSWER, state=State.NOTHING_RETURNED, contact=Contact()))

    assert set(bare["organisation"]) == {"identifier", "name"}
    assert not re.search(r"score|strength", json.dumps(bare))
