"""What is asked and answered at a desk: impossible values cannot be held; partial never sounds complete."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from elsewhere.asking import (
    Ask,
    Coverage,
    CustodianAnswer,
    DeskStatus,
    Done,
    MemberStatus,
    Note,
    Outcome,
    Started,
    State,
    coverage_of,
    outcome_of,
    summarise,
)
from elsewhere.errors import AskInvalid, DeskMalformed
from elsewhere.lookup import Flag
from elsewhere.person.identity import Person

ASK = Ask(Person(), "S47_ENQUIRY", "RED")
KNOWN = CustodianAnswer("police", "Northshire Police", State.KNOWN_CURRENT, strength="STRONG", tier="R2")
NOTHING = CustodianAnswer("school", "Schools", State.NOTHING_RETURNED)
GONE = CustodianAnswer(
    "trust",
    "Northshire NHS Trust",
    State.UNREACHABLE,
    since=datetime(2026, 9, 1, 9, 14, tzinfo=UTC),
    duty_contact="0000 000 000",
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("purpose", ""),
        ("purpose", "X" * 65),
        ("urgency", "red"),
        ("case_reference", "x" * 201),
        ("case_reference", "two\nlines"),
        ("asker", "\udcff"),
        ("basis", "x" * 65),
        ("role", "x" * 65),
        ("custodians", ("Police",)),
        ("custodians", ("police", "police")),
        ("custodians", tuple(f"agency-{n}" for n in range(101))),
    ],
)
def test_a_question_outside_its_bounds_names_the_field_and_not_the_value(field: str, value: object) -> None:
    with pytest.raises(AskInvalid) as refusal:
        replace(ASK, **{field: value})  # type: ignore[arg-type]

    assert str(refusal.value).startswith(field)
    assert "two" not in str(refusal.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("custodian", "Not An Id"),
        ("custodian_name", "x" * 4001),
        ("strength", "SURE"),
        ("tier", "R9"),
        ("last_contact_band", "yesterday"),
        ("flags", (Flag("CP_PLAN"),) * 9),
        ("source_age_days", -1),
        ("elapsed_ms", 2**32),
        ("call_reference", "short"),
        ("since", datetime(2026, 9, 1)),
        ("receipt", bytes(16 * 1024 + 1)),
    ],
)
def test_an_answer_outside_its_bounds_cannot_be_held(field: str, value: object) -> None:
    with pytest.raises(DeskMalformed):
        replace(KNOWN, **{field: value})  # type: ignore[arg-type]


def test_events_and_status_outside_their_bounds_cannot_be_held() -> None:
    for make in (
        lambda: Started("ABC", (), ()),
        lambda: Started("0" * 32, (Note("x", "", ""),) * 101, ()),
        lambda: Started("0" * 32, (), ("Not An Id",)),
        lambda: Note("", "", ""),
        lambda: Done(Coverage.NONE, "x" * 400_001),
        lambda: DeskStatus("Not An Id", True, ()),
        lambda: MemberStatus("police", "", True, -1),
    ):
        with pytest.raises(DeskMalformed):
            make()


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([], Outcome.NO_ANSWER),
        ([GONE], Outcome.NO_ANSWER),
        ([NOTHING, GONE], Outcome.NOTHING_RETURNED),
        ([NOTHING, replace(KNOWN, state=State.POSSIBLE)], Outcome.POSSIBLE),
        ([replace(KNOWN, state=State.POSSIBLE), replace(KNOWN, state=State.CALL_BACK)], Outcome.CALL_BACK),
        ([replace(KNOWN, state=State.CALL_BACK), replace(KNOWN, state=State.KNOWN_PAST)], Outcome.KNOWN),
        ([NOTHING, replace(KNOWN, state=State.KNOWN)], Outcome.KNOWN),
    ],
)
def test_the_outcome_is_the_strongest_thing_that_anybody_said(
    answers: list[CustodianAnswer], expected: Outcome
) -> None:
    assert outcome_of(answers) is expected


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([], Coverage.NONE),
        ([GONE], Coverage.NONE),
        ([KNOWN, GONE], Coverage.PARTIAL),
        ([KNOWN, NOTHING], Coverage.COMPLETE),
    ],
)
def test_coverage_counts_answers_and_not_questions(
    answers: list[CustodianAnswer], expected: Coverage
) -> None:
    assert coverage_of(answers) is expected


def test_a_partial_lookup_is_put_into_words_that_do_not_sound_complete() -> None:
    assert summarise([NOTHING, GONE]) == (
        "1 of 2 agencies answered; Northshire NHS Trust unreachable since 09:14 UTC, duty desk 0000 000 000. "
        "Nothing returned by 1, which does not mean that the child is not known there."
    )


def test_every_non_answer_can_be_put_into_words() -> None:
    for state in State:
        assert summarise([replace(GONE, state=state)])


def test_a_question_does_not_print_the_person_the_case_or_the_asker() -> None:
    ask = Ask(Person.of(family="Lee"), "S47_ENQUIRY", "RED", case_reference="CASE-9", asker="jsmith")

    assert "Lee" not in repr(ask)
    assert "CASE-9" not in repr(ask)
    assert "jsmith" not in repr(ask)
