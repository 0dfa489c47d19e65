"""`elsewhere ask`: what a practitioner reads, what a script gets, and no personal data in any complaint."""

from __future__ import annotations

import json
import os
import pwd
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from elsewhere.asking import CustodianAnswer, Done, Started, State, summarise
from elsewhere.cli.ask_report import describe_answer
from elsewhere.cli.main import commands, main
from elsewhere.cli.words import STATES, printable
from elsewhere.errors import AskInvalid, DeskUnreachable, NotActive, PersonMalformed
from elsewhere.person.identity import Person
from elsewhere.sdk.errors import DeskInterrupted
from tests.unit.desk.fake import LOOKUP_ID, NOTE, POLICE, SCHOOL, TRUST, RunningDesk, whole

WHY = ("--purpose", "MASH_TRIAGE", "--urgency", "RED")
LEE = ("--given", "Ann", "--family", "Lee", "--dob", "2015-03-02")


def _ask(node: RunningDesk, *arguments: str, **more: Any) -> Result:
    return CliRunner().invoke(commands, ["ask", "--node", str(node.folder), *WHY, *arguments], **more)


def test_a_practitioner_reads_every_answer_in_words(node: RunningDesk) -> None:
    node.desk.script = whole(POLICE, SCHOOL, TRUST, notes=(NOTE,))

    result = _ask(node, *LEE)

    assert result.output.splitlines() == [
        "Asking 3: police, school, trust",
        f"Lookup {LOOKUP_ID}",
        "Not used - postcode: stands for 'no address' and will not be used",
        "",
        "KNOWN NOW: Northshire Police knows this child and works with them now",
        "  match          strong: names, birth date or place agree as for one child",
        "  service        Child Abuse Investigation",
        "  call           0000 000 001",
        "  out of hours   0000 000 002",
        "  last contact   within the last 30 days",
        "  flag           child protection plan, since 2026-01-05",
        "  flag           LOOKED_AFTER, 2024-02-01 to 2025-02-01",
        "  records        read 1 day ago",
        "  quote on call  A1B2C3D4",
        "",
        "NOTHING RETURNED: Northshire Schools returned nothing, which does not mean not",
        "known",
        "  records        read less than a day ago",
        "  quote on call  Z9Y8X7W6",
        "",
        "NO ANSWER: Northshire NHS Trust cannot be reached",
        "  since          2026-09-01 09:14 UTC",
        "  do             Call its duty desk; ask again later.",
        "  duty desk      0000 000 003",
        "  code           unreachable",
        "",
        "PARTIAL: 2 of 3 agencies answered; Northshire NHS Trust unreachable since 09:14",
        "UTC, duty desk 0000 000 003. 1 returned something to act on: Northshire Police.",
        "Nothing returned by 1, which does not mean that the child is not known there.",
        "Nothing returned does not mean not known.",
    ]
    assert result.exit_code == 3


@pytest.mark.parametrize(
    ("answers", "code"),
    [([POLICE, SCHOOL], 0), ([SCHOOL, TRUST], 3), ([TRUST], 4), ([], 4)],
    ids=["complete", "partial", "none answered", "nobody to ask"],
)
def test_the_exit_code_says_how_much_was_answered(
    node: RunningDesk, answers: list[CustodianAnswer], code: int
) -> None:
    node.desk.script = whole(*answers)

    assert _ask(node, *LEE).exit_code == code
    assert _ask(node, *LEE, "--json").exit_code == code


def test_json_is_one_object_on_one_line_and_nothing_else(node: RunningDesk) -> None:
    node.desk.script = whole(POLICE, TRUST, notes=(NOTE,))

    result = _ask(node, *LEE, "--json")

    (line,) = result.stdout.splitlines()
    found = json.loads(line)
    assert list(found) == ["lookup_id", "outcome", "coverage", "summary", "notes", "answers"]
    assert (found["lookup_id"], found["outcome"], found["coverage"]) == (LOOKUP_ID, "KNOWN", "PARTIAL")
    assert found["summary"] == summarise([POLICE, TRUST])
    assert [(a["custodian"], a["state"], a["strength"]) for a in found["answers"]] == [
        ("police", "KNOWN_CURRENT", "STRONG"),
        ("trust", "UNREACHABLE", ""),
    ]
    assert result.stderr == ""


def test_everything_typed_reaches_the_node(node: RunningDesk) -> None:
    result = _ask(
        node,
        *LEE,
        *("--postcode", "AB1 2CD", "--past-postcode", "EF3 4GH", "--past-postcode", "IJ5 6KL"),
        *("--nhs-number", "999 000 0018", "--upn", "X123", "--alias", "Billy Jones", "--alias", "Annie"),
        *("--mother-given", "Mary", "--mother-family", "Lee", "--mother-dob", "1990-01-01"),
        *("--mother-nhs-number", "999 000 0026", "--due-date", "2026-12-24"),
        *("--case", "C-1", "--basis", "A6E_TASK", "--role", "safeguarding_lead", "--asker", "jsmith"),
        *("--only", "police", "--only", "school"),
    )

    assert result.exit_code == 0
    (asked,) = node.desk.asked
    assert asked.person == Person.of(
        given="Ann",
        family="Lee",
        dob="2015-03-02",
        postcode="AB1 2CD",
        past_postcodes=["EF3 4GH", "IJ5 6KL"],
        nhs_number="999 000 0018",
        upn="X123",
        aliases=["Billy Jones", "Annie"],
        mother_given="Mary",
        mother_family="Lee",
        mother_dob="1990-01-01",
        mother_nhs_number="999 000 0026",
        due_date="2026-12-24",
    )
    assert (asked.purpose, asked.urgency, asked.case_reference) == ("MASH_TRIAGE", "RED", "C-1")
    assert (asked.basis, asked.role, asked.asker) == ("A6E_TASK", "safeguarding_lead", "jsmith")
    assert asked.custodians == ("police", "school")


def test_the_asker_is_the_account_of_the_process_whatever_the_environment_says(
    node: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.setenv("USER", "somebody-else")

    _ask(node, *LEE)

    assert node.desk.asked[0].asker == pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.parametrize(
    "document",
    [
        {"given": "Ann", "family": "Lee", "dob": "2015-03-02", "postcode": None},
        {"given": ["Ann"], "family": "Lee", "dob": "02/03/2015", "aliases": []},
        {
            "name": [{"givenName": ["Ann"], "familyName": ["Lee"]}],
            "dateOfBirth": {"date": "2015-03-02", "accuracyIndicator": "AAA"},
            "gender": "never read",
        },
    ],
    ids=["plain", "lists", "MAIS"],
)
def test_a_child_may_come_from_a_file_or_standard_input(
    node: RunningDesk, tmp_path: Path, document: dict[str, object]
) -> None:
    file = tmp_path / "child.json"
    file.write_text(json.dumps(document))

    assert _ask(node, "--person", str(file)).exit_code == 0
    assert _ask(node, "--person", "-", input=json.dumps(document)).exit_code == 0

    expected = Person.of(given="Ann", family="Lee", dob="2015-03-02")
    assert [asked.person for asked in node.desk.asked] == [expected, expected]


@pytest.mark.parametrize(
    "data",
    [
        '{"family": "Secret"',
        '"Secret"',
        '{"Secret": "x"}',
        '{"family": ["Secret"]}',
        '{"aliases": "Secret"}',
        '{"past_postcodes": [1]}',
        '{"name": "Secret"}',
        '{"family": "' + "Secret" * 40 + '"}',
        '{"dob": "' + "Secret" * 40 + '"}',
        '{"family": "Sec\\u0000ret"}',
        "Sécret".encode("latin-1"),
        b"[" * 100_000,
    ],
)
def test_a_bad_file_is_refused_without_quoting_it(node: RunningDesk, data: str | bytes) -> None:
    result = _ask(node, "--person", "-", input=data)

    assert isinstance(result.exception, PersonMalformed)
    assert "Sec" not in str(result.exception) + result.output
    assert result.exception.__cause__ is None
    assert node.desk.asked == []


def test_a_file_that_is_not_there_is_refused_by_name_of_the_option(node: RunningDesk) -> None:
    result = _ask(node, "--person", str(node.folder / "none.json"))

    assert str(result.exception) == "--person: expected a readable file; it cannot be read"


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask", *LEE, *WHY],
        ["ask", "--node", "x", *WHY],
        ["ask", "--node", "x", *LEE],
        ["ask", "--node", "x", *LEE, "--purpose", "MASH_TRIAGE", "--urgency", "SOON"],
        ["ask", "--node", "x", *LEE, *WHY, "--person", "-"],
        ["ask", "--target", "node:7001", *LEE, *WHY],
        ["ask", "--node", "x", *LEE, *WHY, "--ca", __file__],
    ],
    ids=[
        "no node",
        "no child",
        "no purpose",
        "urgency",
        "child twice",
        "no certificate",
        "ca without target",
    ],
)
def test_what_is_typed_wrongly_ends_with_2(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ELSEWHERE_NODE", raising=False)

    result = CliRunner().invoke(commands, arguments)

    assert result.exit_code == 2
    assert "Lee" not in result.output


def test_the_node_may_be_named_in_the_environment(node: RunningDesk) -> None:
    result = CliRunner().invoke(commands, ["ask", *LEE, *WHY], env={"ELSEWHERE_NODE": str(node.folder)})

    assert result.exit_code == 0


def test_no_node_is_an_error_in_plain_words(tmp_path: Path) -> None:
    result = CliRunner().invoke(commands, ["ask", "--node", str(tmp_path), *LEE, *WHY])

    assert isinstance(result.exception, DeskUnreachable)
    assert "elsewhere node run" in str(result.exception)


@pytest.mark.parametrize("error", [NotActive("police", "suspended"), AskInvalid("purpose: unknown")])
def test_a_refusal_of_the_node_is_shown_with_its_code(
    node: RunningDesk, error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    node.desk.script = [error]
    monkeypatch.setattr(sys, "argv", ["elsewhere", "ask", "--node", str(node.folder), *LEE, *WHY])

    with pytest.raises(SystemExit) as end:
        main()

    assert end.value.code == 1
    assert capsys.readouterr().err == f"error [{error.code}]: {error}\n"  # type: ignore[attr-defined]


def test_answers_stay_on_the_screen_when_the_node_stops_midway(node: RunningDesk) -> None:
    node.desk.script = whole(POLICE, SCHOOL)[:2]

    result = _ask(node, *LEE)

    assert isinstance(result.exception, DeskInterrupted)
    assert "A1B2C3D4" in result.output


def test_json_holds_what_came_when_the_node_stops_midway_and_is_not_complete(node: RunningDesk) -> None:
    node.desk.script = whole(POLICE, SCHOOL, notes=(NOTE,))[:2]

    result = _ask(node, *LEE, "--json")

    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert found["coverage"] == "PARTIAL"
    assert found["notes"][0]["field"] == "postcode"
    assert [answer["custodian"] for answer in found["answers"]] == ["police"]


def test_every_state_has_words_and_no_two_kinds_share_a_heading() -> None:
    answers = {STATES[state][0] for state in State if state.is_answer}

    assert set(STATES) == set(State)
    assert len(answers) == sum(state.is_answer for state in State)
    assert not answers & {STATES[state][0] for state in State if not state.is_answer}


def test_a_review_says_when_a_person_will_have_decided() -> None:
    answer = replace(
        TRUST,
        state=State.REVIEW,
        since=None,
        expected_by=datetime(2026, 9, 1, 16, tzinfo=UTC),
        clause="rule 7",
        code="",
    )

    assert describe_answer(answer) == [
        ("answer due by", "2026-09-01 16:00 UTC"),
        ("rule", "rule 7"),
        ("do", "Call its duty desk; ask again later."),
        ("duty desk", "0000 000 003"),
    ]


def test_a_hit_without_a_contact_gives_the_duty_desk_and_old_records_say_so() -> None:
    answer = CustodianAnswer(
        "trust",
        "Trust",
        State.CALL_BACK,
        duty_contact="0000 000 003",
        source_age_days=40,
        source_stale=True,
        call_reference="A1B2C3D4",
    )

    assert describe_answer(answer) == [
        ("duty desk", "0000 000 003"),
        ("records", "read 40 days ago - OLDER THAN AGREED, so newer contacts may be missing"),
        ("quote on call", "A1B2C3D4"),
    ]


def test_text_of_another_agency_cannot_steer_the_terminal(node: RunningDesk) -> None:
    evil = "\x1b[2J\x1b[1;1HNot known anywhere [bold]\r\n"
    node.desk.script = [
        Started(LOOKUP_ID, (replace(NOTE, message=evil),), ("trust",)),
        replace(TRUST, custodian_name=evil, remedy=evil, duty_contact=evil, clause=evil),
        Done(whole(TRUST)[-1].coverage, evil),  # type: ignore[union-attr]
    ]

    output = _ask(node, *LEE).output

    assert "\x1b" not in output
    assert "\r" not in output
    assert printable(evil) == "?[2J?[1;1HNot known anywhere [bold]??"


def test_nothing_is_wider_than_80_columns(node: RunningDesk) -> None:
    long = "word " * 60
    node.desk.script = whole(
        replace(TRUST, remedy=long, duty_contact="0" * 200), replace(POLICE, clause=long)
    )

    assert max(len(line) for line in _ask(node, *LEE).output.splitlines()) <= 80


def test_nothing_of_the_child_is_printed(node: RunningDesk) -> None:
    for mode in ((), ("--json",)):
        output = _ask(node, "--given", "Xanthippe", "--family", "Quill", *mode).output

        assert "Xanthippe" not in output
        assert "Quill" not in output
