"""Desk messages from the wire: bounded, known words only, and refusals that quote nothing of a person."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest

from elsewhere.asking import Ask, State
from elsewhere.errors import AskInvalid, DeskMalformed, ElsewhereError, PersonMalformed
from elsewhere.person.dates import PartialDate
from elsewhere.person.identity import Name, Person
from elsewhere.wire.convert.desk import ask_from_wire, ask_to_wire, event_from_wire
from elsewhere.wire.convert.desk_person import person_from_wire
from elsewhere.wire.v1 import desk_pb2

LEE = desk_pb2.PersonInput(given=["Ann"], family="Lee", birth_date="2015-03-02")


def _answer(**fields: object) -> desk_pb2.AskResponse:
    answer = {"custodian": "police", "custodian_name": "Police", "state": "NOTHING_RETURNED", **fields}
    return desk_pb2.AskResponse(answer=desk_pb2.AskAnswer(**answer))  # type: ignore[arg-type]


def test_a_question_larger_than_a_node_takes_is_refused_before_it_is_sent() -> None:
    long = Name(("x" * 200,) * 15, "x" * 200)
    ask = Ask(Person(names=(long,) * 16), "S47_ENQUIRY", "RED")

    assert ask_from_wire(ask_to_wire(ask)) == ask
    wide = replace(long, given=("\u4e00" * 200,) * 15)
    with pytest.raises(AskInvalid, match="leave names out"):
        ask_to_wire(replace(ask, person=Person(names=(wide,) * 16)))


def test_an_absent_role_is_a_practitioner() -> None:
    ask = ask_from_wire(desk_pb2.AskRequest(person=LEE, purpose="S47_ENQUIRY", urgency="RED"))

    assert ask.role == "practitioner"


def unborn_of(mother: desk_pb2.PersonInput) -> desk_pb2.PersonInput:
    """A child not born yet."""
    return desk_pb2.PersonInput(unborn=desk_pb2.UnbornInput(mother=mother))


@pytest.mark.parametrize(
    "message",
    [
        desk_pb2.AskRequest(purpose="S47_ENQUIRY", urgency="RED"),
        desk_pb2.AskRequest(person=LEE, urgency="RED"),
        desk_pb2.AskRequest(person=LEE, purpose="S47_ENQUIRY", urgency="SOON"),
        desk_pb2.AskRequest(person=LEE, purpose="S47_ENQUIRY", urgency="RED", case_reference="x" * 201),
        desk_pb2.AskRequest(person=LEE, purpose="S47_ENQUIRY", urgency="RED", custodians=["../police"]),
    ],
    ids=["no person", "no purpose", "unknown urgency", "long case", "agency id"],
)
def test_a_question_outside_the_contract_is_refused(message: desk_pb2.AskRequest) -> None:
    with pytest.raises(AskInvalid):
        ask_from_wire(message)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (desk_pb2.PersonInput(family="Secret" * 40), "names"),
        (desk_pb2.PersonInput(family="Sec\x00ret"), "names"),
        (desk_pb2.PersonInput(given=["Secret"] * 17), "names"),
        (desk_pb2.PersonInput(aliases=[desk_pb2.AliasInput(family="Secret")] * 17), "aliases"),
        (desk_pb2.PersonInput(aliases=[desk_pb2.AliasInput(family="Lee", use="Secret")]), "names"),
        (desk_pb2.PersonInput(postcodes=["Secret"] * 17), "names or postcodes"),
        (desk_pb2.PersonInput(nhs_number="Secret" * 40), "nhs_number"),
        (desk_pb2.PersonInput(upn="Sec\x1bret"), "upn"),
        (desk_pb2.PersonInput(birth_date="Secret" * 11), "birth_date"),
        (desk_pb2.PersonInput(birth_date="Sec\nret"), "birth_date"),
        (desk_pb2.PersonInput(birth_date="2015-03-02", birth_date_accuracy="Secret"), "birth_date"),
        (unborn_of(desk_pb2.PersonInput(upn="Secret")), "unborn.mother"),
        (unborn_of(unborn_of(desk_pb2.PersonInput())), "unborn.mother"),
    ],
)
def test_a_person_no_record_can_hold_is_refused_by_field_and_not_quoted(
    message: desk_pb2.PersonInput, field: str
) -> None:
    with pytest.raises(PersonMalformed) as refusal:
        person_from_wire(message)

    assert refusal.value.field == field
    assert "Sec" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_odd_values_arrive_as_written_and_are_no_refusal() -> None:
    person = person_from_wire(
        desk_pb2.PersonInput(birth_date="31/02/2015", nhs_number="12", upn="?", postcodes=["ZZ99 3CZ"])
    )

    assert person.birth_date == PartialDate(None, "UUU", "31/02/2015")
    assert (person.nhs_number, person.upn, person.postcodes) == ("12", "?", ("ZZ99 3CZ",))


def test_a_year_and_month_say_how_well_they_are_known() -> None:
    person = person_from_wire(desk_pb2.PersonInput(birth_date="2015-03"))

    assert person.birth_date == PartialDate(datetime.date(2015, 3, 1), "UAA")


def test_blanks_of_an_alias_are_filled_in_from_the_main_name() -> None:
    message = desk_pb2.PersonInput(given=["Ann"], family="Lee")
    message.aliases.add(family="Jones", use="old")
    message.aliases.add(given=["Annie"])

    assert person_from_wire(message).names == (
        Name(("Ann",), "Lee"),
        Name(("Ann",), "Jones", "old"),
        Name(("Annie",), "Lee"),
    )


def test_postcodes_of_a_mother_are_those_of_her_unborn_child() -> None:
    mother = desk_pb2.PersonInput(family="Lee", postcodes=["AB1 2CD", "EF3 4GH"])
    message = desk_pb2.PersonInput(postcodes=["AB1 2CD"], unborn=desk_pb2.UnbornInput(mother=mother))

    assert person_from_wire(message).postcodes == ("AB1 2CD", "EF3 4GH")


@pytest.mark.parametrize(
    "message",
    [
        _answer(state="MAYBE"),
        _answer(state=""),
        _answer(custodian=""),
        _answer(strength="SURE"),
        _answer(service="x" * 201),
        _answer(flags=[desk_pb2.AskFlag(code="")]),
        _answer(since="yesterday"),
        _answer(expected_by="2026-09-01"),
        _answer(receipt=bytes(20_000)),
        desk_pb2.AskResponse(done=desk_pb2.AskDone(coverage="ALL")),
        desk_pb2.AskResponse(started=desk_pb2.AskStarted(lookup_id="12")),
    ],
)
def test_an_event_outside_the_contract_is_refused(message: desk_pb2.AskResponse) -> None:
    with pytest.raises(DeskMalformed):
        event_from_wire(message)


def test_every_state_of_the_contract_arrives() -> None:
    for state in State:
        event = event_from_wire(_answer(state=state.value))

        assert getattr(event, "state", None) is state


def test_a_kind_of_event_of_a_later_version_is_passed_over() -> None:
    assert event_from_wire(desk_pb2.AskResponse.FromString(b"\x7a\x00")) is None


def test_refusals_have_codes_of_their_own() -> None:
    kinds: list[type[ElsewhereError]] = [AskInvalid, PersonMalformed, DeskMalformed]

    assert [kind.code for kind in kinds] == ["ask.invalid", "person.malformed", "desk.malformed"]
