"""`elsewhere node review` at a desk that says what the test wrote down."""

from __future__ import annotations

import json
import os
import pwd
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from elsewhere.cli.main import commands
from elsewhere.noticing import Notice, NoticeDone, NoticeGone
from elsewhere.reviewing import MAX_REVIEWS, ReviewDecision, ReviewGone, ReviewInvalid, WaitingReview
from elsewhere.secondlook import ReasonMissing, SamePerson, SecondLook, SecondOpinion
from tests.unit.desk.fake import RunningDesk

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
ONE = WaitingReview(
    number="5f0c3b9a7d21e884",
    searcher="social",
    purpose="CIN_ASSESSMENT",
    basis="A6E_TASK",
    urgency="AMBER",
    role="practitioner",
    pseudonym="0a1b2c3d",
    case="4e5f6a7b",
    clause="agreement northshire version 1, rule 4",
    asked_utc=NOW,
    expected_by=NOW + timedelta(hours=24),
    lapses_utc=NOW + timedelta(hours=72),
)


def _review(node: RunningDesk, *words: str) -> Result:
    return CliRunner().invoke(commands, ["node", "review", words[0], "--node", str(node.folder), *words[1:]])


def test_the_list_shows_who_asks_and_why_and_says_when_nobody_waits(node: RunningDesk) -> None:
    assert _review(node, "list").output == "no question waits\n"
    node.desk.reviews = [ONE]

    shown = _review(node, "list")
    (listed,) = json.loads(_review(node, "list", "--json").output)["reviews"]

    assert shown.exit_code == 0
    for word in (ONE.number, "social", "CIN_ASSESSMENT", "AMBER", "0a1b2c3d", "2026-11-24T09:00:00Z"):
        assert word in shown.output
    assert listed["number"] == ONE.number
    assert listed["expected_by"] == "2026-11-24T09:00:00Z"


def test_the_list_says_how_many_more_wait_than_it_has_room_for(node: RunningDesk) -> None:
    node.desk.reviews = [ONE] * (MAX_REVIEWS + 7)
    assert "7 more wait" in _review(node, "list").output
    assert json.loads(_review(node, "list", "--json").output)["more"] == 7
    status = CliRunner().invoke(commands, ["node", "status", "--dir", str(node.folder)])
    assert f"{MAX_REVIEWS + 7} question(s) of others wait" in status.output


@pytest.mark.parametrize(("word", "releases"), [("release", True), ("refuse", False)])
def test_a_decision_reaches_the_node_with_its_reason_and_the_account(
    node: RunningDesk, word: str, releases: bool
) -> None:
    node.desk.reviews = [ONE]

    assert _review(node, word, ONE.number, "--reason", "called").exit_code == 0
    assert _review(node, word, ONE.number, "--reason", "called", "--reviewer", "ada").exit_code == 0

    account = pwd.getpwuid(os.getuid()).pw_name
    decided = [ReviewDecision(ONE.number, releases, "called", who) for who in (account, "ada")]
    assert node.desk.decided == decided


def test_a_decision_without_a_reason_or_about_nothing_is_refused(node: RunningDesk) -> None:
    assert _review(node, "release", ONE.number).exit_code == 2
    assert isinstance(_review(node, "release", "x", "--reason", "called").exception, ReviewInvalid)
    assert isinstance(_review(node, "release", ONE.number, "--reason", " ").exception, ReviewInvalid)
    assert isinstance(_review(node, "release", ONE.number, "--reason", "called").exception, ReviewGone)
    assert node.desk.decided == []


@pytest.mark.parametrize(
    "words",
    [("0" * 15, "called", ""), ("0" * 16, "", ""), ("0" * 16, "a\nb", ""), ("0" * 16, "x" * 1001, "")],
)
def test_a_decision_out_of_form_is_none(words: tuple[str, str, str]) -> None:
    number, reason, reviewer = words

    with pytest.raises(ReviewInvalid):
        ReviewDecision(number, True, reason, reviewer)


def _notices(node: RunningDesk, *words: str) -> Result:
    return CliRunner().invoke(commands, ["node", "notices", words[0], "--node", str(node.folder), *words[1:]])


def test_messages_to_the_duty_desk_are_listed_and_taken_off_the_list(node: RunningDesk) -> None:
    assert _notices(node, "list").output == "no message waits for the duty desk\n"
    told = ("S47_ENQUIRY", "RED", "KNOWN_CURRENT", "R2", NOW, (("cases", "P-7"),))
    node.desk.notices = [Notice("A1B2C3D4", "police", *told)]

    shown = _notices(node, "list").output
    (listed,) = json.loads(_notices(node, "list", "--json").output)["notices"]

    for word in ("A1B2C3D4", "RED", "police", "S47_ENQUIRY", "KNOWN_CURRENT R2", "record P-7 of cases"):
        assert word in shown
    assert (listed["reference"], listed["records"]) == ("A1B2C3D4", [["cases", "P-7"]])
    assert _notices(node, "done", "a1b2c3d4", "--by", "ada").exit_code == 0
    assert node.desk.done == [NoticeDone("A1B2C3D4", "ada")]
    assert isinstance(_notices(node, "done", "A1B2C3D5").exception, NoticeGone)
    assert isinstance(_notices(node, "done", "no such").exception, NoticeGone)


def _look(node: RunningDesk, *words: str) -> Result:
    return CliRunner().invoke(
        commands, ["node", "second-look", words[0], "--node", str(node.folder), *words[1:]]
    )


def test_what_waits_for_a_second_person_is_listed_and_an_opinion_reaches_the_node(node: RunningDesk) -> None:
    assert _look(node, "list").output == "no question waits for a second person\n"
    look = SecondLook("0" * 32, "jsmith", "S47_ENQUIRY", "found alone", NOW, NOW + timedelta(hours=39))
    node.desk.looks = [look]

    shown = _look(node, "list").output
    (listed,) = json.loads(_look(node, "list", "--json").output)["second_looks"]
    words = ("give", "0" * 32, "--justified", "--note", "it was")
    given = _look(node, *words)

    for word in ("jsmith: found alone", "2026-11-25T00:00:00Z", "S47_ENQUIRY"):
        assert word in shown
    assert listed["due"] == "2026-11-25T00:00:00Z"
    assert given.exit_code == 0
    account = pwd.getpwuid(os.getuid()).pw_name
    assert node.desk.opinions == [SecondOpinion("0" * 32, True, "it was", account)]
    assert isinstance(_look(node, *words, "--by", "jsmith").exception, SamePerson)
    assert isinstance(_look(node, *words[:-1], " ").exception, ReasonMissing)
    assert _look(node, "give", "0" * 32, "--note", "it was").exit_code == 2
