"""`elsewhere agreement`: from nothing to an agreement that reads, is shown and can be tried out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from elsewhere.agreement.document import agreement_from_toml, sign_agreement
from elsewhere.cli.main import commands
from elsewhere.errors import DocumentInvalid
from elsewhere.signing import SigningKey

PARTIES = (
    "social-care; SOCIAL_CARE; Social care; 01632 960001; 01632 960002",
    "police; POLICE; Police; 01632 960003; 01632 960004",
    "school; SCHOOL; Hill School; 01632 960007; 01632 960008",
)


def run(*words: str) -> Result:
    return CliRunner().invoke(commands, ["agreement", *words], env={"COLUMNS": "200"})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An agreement of three, in force for the year from October 2026."""
    path = tmp_path / "agreement.toml"
    parties = [word for party in PARTIES for word in ("--party", party)]
    made = run("new", "--id", "northshire", "--title", "Northshire", *parties, "--from", "2026-10-01",
               "--until", "2027-10-01", "--out", str(path))  # fmt: skip
    assert made.exit_code == 0, made.output
    return path


def test_a_new_agreement_reads_and_has_the_parties_and_dates_typed(file: Path) -> None:
    found = agreement_from_toml(file.read_text("utf-8"))

    assert [party.name for party in found.parties] == ["Social care", "Police", "Hill School"]
    assert found.parties[2].duty_contact_out_of_hours == "01632 960008"
    assert found.validity.to_json() == {
        "valid_from": "2026-10-01T00:00:00Z",
        "valid_until": "2027-10-01T00:00:00Z",
        "review_by": "2027-07-03T00:00:00Z",
    }


def test_a_file_that_is_there_is_not_written_over(file: Path) -> None:
    before = file.read_bytes()
    parties = [word for party in PARTIES for word in ("--party", party)]
    again = run("new", "--id", "other", "--title", "N", *parties, "--out", str(file))

    assert again.exit_code == 2
    assert file.read_bytes() == before


def test_a_party_typed_wrongly_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    out = tmp_path / "a.toml"

    assert (
        run("new", "--id", "other", "--title", "N", "--party", "police; POLICE", "--out", str(out)).exit_code
        == 2
    )
    twice = ["--party", PARTIES[0], "--party", PARTIES[0]]
    assert isinstance(
        run("new", "--id", "other", "--title", "N", *twice, "--out", str(out)).exception, DocumentInvalid
    )
    assert not out.exists()


def test_lint_names_the_line_of_every_fault_and_ends_with_1(file: Path) -> None:
    text = file.read_text("utf-8")
    wrong = (
        ('sector = "POLICE"', 'sector = "BAKERY"', "parties[2].sector"),
        ('purposes = ["EARLY_HELP"]', 'purposes = ["CURIOSITY"]', "rules[6].purposes[1]"),
        ('id = "6.1"', 'id = "6.1"\nvalid_from = "soon"', "rules[11].valid_from"),
        ('id = "7.1"', 'id = "7.1"\nwhim = 1', "rules[12].whim"),
    )
    for old, new, _ in wrong:
        text = text.replace(f"\n{old}", f"\n{new}")
    file.write_text(text, "utf-8")

    told = run("lint", str(file))
    assert told.exit_code == 1
    faults = json.loads(run("lint", str(file), "--json").output)["faults"]
    assert [fault["key"] for fault in faults] == [key for _, _, key in wrong]
    for fault, (_, new, _) in zip(faults, wrong, strict=True):
        assert new.splitlines()[-1] in text.splitlines()[fault["line"] - 1]
        assert f"{file}:{fault['line']}: fault: {fault['key']}: expected" in told.output


def test_lint_names_the_line_of_a_text_that_is_no_toml(file: Path) -> None:
    file.write_text(file.read_text("utf-8") + "\nthis is no TOML\n", "utf-8")
    (fault,) = json.loads(run("lint", str(file), "--json").output)["faults"]

    assert fault["line"] == len(file.read_text("utf-8").splitlines())
    file.write_bytes(b"\xff\xfe")
    assert run("lint", str(file)).exit_code == 1


def test_lint_ends_with_0_for_remarks_unless_strict(file: Path) -> None:
    assert run("lint", str(file), "--at", "2027-09-01").exit_code == 0
    strict = run("lint", str(file), "--at", "2027-09-01", "--strict", "--json")
    assert strict.exit_code == 1
    assert "validity.ends_soon" in {remark["code"] for remark in json.loads(strict.output)["remarks"]}


@pytest.mark.parametrize(
    ("at", "state"), [("2026-09-30", "not yet"), ("2026-10-01", "in force"), ("2027-10-01", "ended")]
)
def test_show_says_by_the_dates_whether_it_is_in_force(file: Path, at: str, state: str) -> None:
    shown = json.loads(run("show", str(file), "--at", at, "--json").output)

    assert shown["state"] == state
    assert shown["digest"] == agreement_from_toml(file.read_text("utf-8")).digest.hex()
    text = run("show", str(file), "--at", at).output
    assert f"{state} by its dates" in text
    assert "Hill School: 01632 960007; out of hours 01632 960008" in text


def test_show_reads_what_was_signed_too(file: Path, tmp_path: Path) -> None:
    found = agreement_from_toml(file.read_text("utf-8"))
    signed = tmp_path / "agreement.json"
    signed.write_bytes(sign_agreement([SigningKey.from_seed(b"\x07" * 32)], found))

    assert json.loads(run("show", str(signed), "--json").output)["digest"] == found.digest.hex()
    signed.write_text('{"payload": "e30="}', "utf-8")
    assert isinstance(run("show", str(signed)).exception, DocumentInvalid)


def test_simulate_says_who_would_answer_and_why_not(file: Path) -> None:
    asked = (
        "simulate",
        str(file),
        "--searcher",
        "police",
        "--purpose",
        "MISSING_CHILD",
        "--at",
        "2026-11-01",
    )
    rows = json.loads(run(*asked, "--json").output)["rows"]

    assert [(row["custodian"], row["decision"], row["tier"]) for row in rows] == [
        ("social-care", "PERMIT", "R2"),
        ("school", "PERMIT", "R2"),
    ]
    assert rows[0]["basis"] == "A6C_DUTY"
    ended = run(*asked[:-1], "2027-11-01")
    assert "agreement.expired" in ended.output
    assert "call Hill School" in ended.output.replace("Call", "call")


def test_simulate_takes_an_answering_nodes_own_policy(file: Path, tmp_path: Path) -> None:
    settings = tmp_path / "node.toml"
    settings.write_text('agency = "school"\n[policy]\nreview_everything = true\n', "utf-8")
    asked = (
        "simulate",
        str(file),
        "--searcher",
        "police",
        "--purpose",
        "MISSING_CHILD",
        "--at",
        "2026-11-01",
    )
    rows = json.loads(run(*asked, "--policy", f"school={settings}", "--json").output)["rows"]

    assert {row["custodian"]: row["decision"] for row in rows} == {
        "social-care": "PERMIT",
        "school": "REVIEW",
    }
    assert run(*asked, "--policy", "school").exit_code == 2
    assert run(*asked, "--policy", f"school={file}").exit_code == 2


def test_simulate_refuses_an_agency_that_is_no_party(file: Path) -> None:
    told = run("simulate", str(file), "--searcher", "stranger", "--purpose", "MISSING_CHILD")

    assert isinstance(told.exception, DocumentInvalid)
    assert "police" in str(told.exception)


def test_diff_says_who_loses_what(file: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.toml"
    new.write_text(file.read_text("utf-8").replace('tier = "R1"', 'tier = "R0"'), "utf-8")
    found = json.loads(run("diff", str(file), str(new), "--json").output)

    assert {shift["purpose"] for shift in found["shifts"]} == {"EARLY_HELP"}
    assert [(change["clause"], change["before"], change["after"]) for change in found["changes"]] == [
        ("rule 2.3", "R1", "R0")
    ]
    told = run("diff", str(file), str(new)).output
    assert "may now ask more: nothing" in told
    assert "rule 2.3: tier was R1, is now R0" in told
    assert "clauses: none" in run("diff", str(file), str(file)).output


def test_render_writes_every_document_twice(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "documents"
    made = run("render", str(file), "--previous", str(file), "--out", str(out))

    assert made.exit_code == 0, made.output
    names = (
        "agreement",
        "changes",
        "impact-assessment",
        "privacy-notice",
        "processing-record",
        "register-entry",
    )
    assert sorted(path.name for path in out.iterdir()) == sorted(
        f"{name}.{end}" for name in names for end in ("md", "html")
    )
    assert "Nobody may ask more" in (out / "changes.md").read_text("utf-8")
    assert (out / "privacy-notice.html").read_text("utf-8").startswith("<!DOCTYPE html>")


def test_export_writes_a_sharing_policy(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "policy.json"
    words = ("export", str(file), "--mais", "--uri", "https://example.org/a", "--contact", "Northshire")

    assert run(*words, "--out", str(out)).exit_code == 0
    assert json.loads(out.read_text("utf-8"))["URI"] == "https://example.org/a"
    assert json.loads(run(*words).output) == json.loads(out.read_text("utf-8"))
