"""`elsewhere matchkeys explain`: what a person yields and what is not used."""

from __future__ import annotations

import json

from click.testing import CliRunner, Result

from elsewhere.cli.matchkeys import matchkeys

CHILD = ["--given", "Amelia", "--family", "Hughes", "--dob", "2014-03-07", "--postcode", "LS6 2AB"]


def run(*arguments: str) -> Result:
    """What the command gives for some arguments."""
    return CliRunner().invoke(matchkeys, ["explain", *arguments])


def test_a_question_is_explained_with_what_is_not_used() -> None:
    result = run(*CHILD, "--nhs-number", "9990000019")

    assert result.exit_code == 0
    assert "fl-dq" in result.output
    assert "nhs_number.invalid" in result.output


def test_json_names_side_version_keys_and_notes() -> None:
    found = json.loads(run(*CHILD, "--record", "--json").output)

    assert found["side"] == "record"
    assert found["version"]
    assert {"rule": "f4-l-dob", "strength": "STRONG", "values": ["amel", "hughes", "2014-03-07"]} in found[
        "keys"
    ]
    assert found["notes"] == []


def test_a_shielded_record_yields_no_postcode() -> None:
    assert "LS6" not in run(*CHILD, "--record", "--shielded", "--json").output


def test_a_person_that_yields_nothing_is_said_so() -> None:
    assert "Nothing here can be matched" in run("--given", "Baby").output


def test_no_person_is_typed_wrongly() -> None:
    assert run().exit_code == 2
    assert run("--person", "-", "--given", "Ann").exit_code == 2
