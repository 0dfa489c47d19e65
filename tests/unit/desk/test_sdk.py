"""Asking one's own node: typed results, errors of the kind the node raised, and nothing lost midway."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from elsewhere.asking import Ask, Coverage, CustodianAnswer, Done, Outcome, Started, State
from elsewhere.errors import (
    AskInvalid,
    DeskMalformed,
    DeskRefused,
    DeskUnreachable,
    GatewayUnreachable,
    NotActive,
    PersonMalformed,
)
from elsewhere.person.identity import Person
from elsewhere.sdk.desk import AsyncDesk, Desk
from elsewhere.sdk.errors import DeskInterrupted
from tests.unit.desk.fake import LOOKUP_ID, NOTE, POLICE, SCHOOL, TRUST, RunningDesk, whole

LEE = Person.of(given="Ann", family="Lee", dob="2015-03-02")


def _ask(node: RunningDesk, **more: Any) -> Any:
    with Desk(node.folder) as desk:
        return desk.ask(LEE, purpose="S47_ENQUIRY", urgency="RED", **more)


def test_a_question_gives_a_typed_result(node: RunningDesk) -> None:
    node.desk.script = whole(POLICE, SCHOOL, TRUST, notes=(NOTE,))

    found = _ask(node, case="C-1", asker="jsmith", basis="A6E", role="safeguarding_lead", only=["police"])

    assert found.lookup_id == LOOKUP_ID
    assert found.notes == (NOTE,)
    assert found.answers == (POLICE, SCHOOL, TRUST)
    assert (found.coverage, found.outcome, found.is_complete) == (Coverage.PARTIAL, Outcome.KNOWN, False)
    assert found.hits == (POLICE,)
    assert found.unanswered == (TRUST,)
    assert found.answer_of("school") == SCHOOL
    assert found.state_of("trust") is State.UNREACHABLE
    assert found.state_of("gp") is None
    assert found.summary.startswith("2 of 3 agencies answered")
    assert node.desk.asked == [
        Ask(LEE, "S47_ENQUIRY", "RED", "C-1", "A6E", "safeguarding_lead", "jsmith", ("police",))
    ]


def test_a_person_may_be_given_by_its_fields(node: RunningDesk) -> None:
    with Desk(str(node.folder / "desk.sock")) as desk:
        desk.ask(given="Ann", family="Lee", dob="2015-03-02", purpose="S47_ENQUIRY", urgency="RED")

    assert node.desk.asked[0].person == LEE
    assert node.desk.asked[0].role == "practitioner"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"postcod": "AB1 2CD", "purpose": "S47_ENQUIRY", "urgency": "RED"}, "unexpected postcod"),
        ({"family": "Lee", "urgency": "RED"}, "missing purpose"),
        ({"person": LEE, "family": "Lee", "purpose": "S47_ENQUIRY", "urgency": "RED"}, "not both"),
    ],
)
def test_a_question_put_wrongly_is_a_mistake_of_the_caller(
    node: RunningDesk, arguments: dict[str, Any], complaint: str
) -> None:
    with Desk(node.folder) as desk, pytest.raises(TypeError, match=complaint):
        desk.ask(**arguments)

    assert node.desk.asked == []


def test_events_come_one_by_one_while_the_node_still_waits_for_others(node: RunningDesk) -> None:
    node.desk.script = [*whole(POLICE, SCHOOL)[:2], "hang"]

    with Desk(node.folder) as desk:
        events = desk.stream(LEE, purpose="S47_ENQUIRY", urgency="RED")

        assert isinstance(next(events), Started)
        assert next(events) == POLICE


def test_leaving_a_stream_early_cancels_the_call(node: RunningDesk) -> None:
    node.desk.script = [*whole(POLICE, SCHOOL)[:2], "hang"]

    with Desk(node.folder) as desk:
        for event in desk.stream(LEE, purpose="S47_ENQUIRY", urgency="RED"):
            if isinstance(event, CustodianAnswer):
                break

        assert node.desk.cancelled.wait(10)


@pytest.mark.parametrize(
    "error",
    [
        AskInvalid("urgency: expected one of RED, AMBER, GREEN"),
        PersonMalformed("names", "expected at most 200 characters"),
        NotActive("police", "suspended"),
        GatewayUnreachable("no link to any gateway"),
    ],
    ids=lambda error: error.code,
)
def test_a_refusal_is_raised_as_the_same_kind_of_error(node: RunningDesk, error: Exception) -> None:
    node.desk.script = [error]

    with pytest.raises(type(error)) as refusal:
        _ask(node)

    assert str(refusal.value) == str(error)


def test_what_the_node_refuses_of_a_question_comes_back_by_field(node: RunningDesk) -> None:
    with Desk(node.folder) as desk, pytest.raises(AskInvalid, match="urgency"):
        desk.ask(LEE, purpose="S47_ENQUIRY", urgency="SOON")


def test_an_accident_in_the_node_shows_nothing_of_it(node: RunningDesk) -> None:
    node.desk.script = [ValueError("Ann Lee of 1 High Street")]

    with pytest.raises(DeskRefused) as refusal:
        _ask(node)

    assert "Lee" not in str(refusal.value)


def test_answers_that_came_before_the_node_stopped_are_not_lost(node: RunningDesk) -> None:
    node.desk.script = [*whole(POLICE, SCHOOL)[:2], GatewayUnreachable("the link went down")]

    with pytest.raises(DeskInterrupted) as stop:
        _ask(node)

    assert stop.value.lookup_id == LOOKUP_ID
    assert stop.value.answers == (POLICE,)
    assert str(stop.value).startswith("1 of 2 agencies had answered")


@pytest.mark.parametrize(
    "script",
    [
        [POLICE],
        whole(POLICE)[:1] + whole(POLICE),
        [*whole(POLICE), SCHOOL],
        [*whole(POLICE)[:2], POLICE],
        [*whole(POLICE)[:1], SCHOOL],
        [*whole(POLICE, SCHOOL)[:2], Done(Coverage.COMPLETE, "all answered")],
        [*whole(POLICE, TRUST)[:3], Done(Coverage.COMPLETE, "all answered")],
    ],
    ids=["no beginning", "two beginnings", "after the end", "twice", "not asked", "one missing", "coverage"],
)
def test_a_node_that_claims_more_than_it_gave_is_not_believed(node: RunningDesk, script: list[Any]) -> None:
    node.desk.script = script

    with pytest.raises(DeskMalformed):
        _ask(node)


def test_a_stream_without_an_end_is_no_lookup(node: RunningDesk) -> None:
    node.desk.script = whole(POLICE)[:2]

    with pytest.raises(DeskInterrupted):
        _ask(node)

    with Desk(node.folder) as desk, pytest.raises(DeskInterrupted):
        list(desk.stream(LEE, purpose="S47_ENQUIRY", urgency="RED"))


def test_a_node_that_does_not_answer_in_time_is_unreachable(node: RunningDesk) -> None:
    node.desk.script = ["hang"]

    with Desk(node.folder, timeout_s=0.05) as desk, pytest.raises(DeskUnreachable, match="in time"):
        desk.ask(LEE, purpose="S47_ENQUIRY", urgency="RED")


def test_status_says_whether_a_lookup_could_succeed(node: RunningDesk) -> None:
    node.desk.is_ready = False

    with Desk(node.folder) as desk:
        status = desk.status()

    assert (status.agency, status.is_ready) == ("police", False)
    assert [member.catalogue_version for member in status.members] == [7, 0]


def test_no_node_is_said_plainly_before_anything_is_sent(tmp_path: Path) -> None:
    with Desk(tmp_path) as desk:
        with pytest.raises(DeskUnreachable, match="elsewhere node run"):
            desk.ask(LEE, purpose="S47_ENQUIRY", urgency="RED")
        with pytest.raises(DeskUnreachable):
            desk.status()


def test_a_socket_that_nobody_listens_on_is_unreachable(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(tmp_path / "desk.sock"))

    with Desk(tmp_path) as desk, pytest.raises(DeskUnreachable, match="none does"):
        desk.ask(LEE, purpose="S47_ENQUIRY", urgency="RED")


async def test_asyncio_asks_in_the_same_words(node: RunningDesk) -> None:
    node.desk.script = whole(POLICE, TRUST)

    async with AsyncDesk(node.folder) as desk:
        found = await desk.ask(LEE, purpose="S47_ENQUIRY", urgency="RED")
        events = [event async for event in desk.stream(LEE, purpose="S47_ENQUIRY", urgency="RED")]
        status = await desk.status()

    assert found.answers == (POLICE, TRUST)
    assert [type(event) for event in events] == [Started, CustodianAnswer, CustodianAnswer, Done]
    assert status.is_ready


async def test_asyncio_raises_the_same_errors(node: RunningDesk, tmp_path_factory: Any) -> None:
    node.desk.script = [*whole(POLICE, SCHOOL)[:2], NotActive("police", "suspended")]

    async with AsyncDesk(node.folder) as desk:
        with pytest.raises(DeskInterrupted) as stop:
            await desk.ask(LEE, purpose="S47_ENQUIRY", urgency="RED")
        node.desk.script = [NotActive("police", "suspended")]
        with pytest.raises(NotActive):
            await desk.ask(LEE, purpose="S47_ENQUIRY", urgency="RED")
    async with AsyncDesk(tmp_path_factory.mktemp("empty")) as desk:
        with pytest.raises(DeskUnreachable):
            await desk.status()

    assert stop.value.answers == (POLICE,)


async def test_asyncio_cancels_a_call_that_is_left_early(node: RunningDesk) -> None:
    node.desk.script = [*whole(POLICE, SCHOOL)[:2], "hang"]

    async with AsyncDesk(node.folder) as desk:
        events = desk.stream(LEE, purpose="S47_ENQUIRY", urgency="RED")
        await anext(events)
        await events.aclose()  # type: ignore[attr-defined]
        left = await asyncio.to_thread(node.desk.cancelled.wait, 10)

    assert left


def test_a_result_as_json_holds_every_answer_and_nothing_of_the_person(node: RunningDesk) -> None:
    node.desk.script = whole(POLICE, TRUST, notes=(NOTE,))

    document = _ask(node).to_json()

    assert document["outcome"] == "KNOWN"
    assert document["coverage"] == "PARTIAL"
    assert document["answers"][0]["receipt"] == {"payload": "e30=", "payloadType": "t", "signatures": []}
    assert document["answers"][1]["since"] == "2026-09-01T09:14:00Z"
    assert "Lee" not in str(document)
