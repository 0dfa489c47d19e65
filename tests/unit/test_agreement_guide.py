"""docs/agreement.md: its commands run as written, its rule is the template's, its remarks are complete."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from elsewhere.agreement.document import agreement_from_toml
from elsewhere.agreement.template import starting_agreement
from elsewhere.agreement.terms import Party, Rule, Validity
from elsewhere.cli.main import commands

ROOT = Path(__file__).parents[2]
BEGINS = datetime(2027, 1, 1, tzinfo=UTC)
GIVEN: dict[str, Any] = {
    "id": "northshire",
    "title": "Sharing",
    "validity": Validity(BEGINS, BEGINS + timedelta(days=365), BEGINS + timedelta(days=300)),
    "parties": [
        Party("social-care", "Northshire Council", "SOCIAL_CARE", "01632 960001", "01632 960002"),
        Party("police", "Northshire Police", "POLICE", "01632 960003", "01632 960004"),
    ],
}
TEXT = (ROOT / "docs" / "agreement.md").read_text("utf-8")


def lines() -> list[list[str]]:
    """Every command of the page, in its order."""
    blocks = re.findall(r"^```sh\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    return [shlex.split(line) for block in blocks for line in block.replace("\\\n", " ").splitlines()]


def test_every_command_of_the_page_runs_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = {}
    for program, *words in lines():
        if program == "cp":
            shutil.copy(*words)
            continue
        assert program == "elsewhere"
        found = CliRunner().invoke(commands, words, env={"COLUMNS": "200"})
        assert found.exit_code == 0, (words, found.output, found.exception)
        told[" ".join(words[:4])] = found.output
    assert {command.split()[1] for command in told} == {
        "new",
        "lint",
        "simulate",
        "render",
        "diff",
        "show",
        "export",
    }
    assert "purpose.unreached" in told["agreement lint agreement.toml --at"]
    assert "purpose.sector" in told["agreement simulate agreement.toml --at"]
    assert len(list((tmp_path / "documents").iterdir())) == 12
    assert json.loads((tmp_path / "policy.json").read_text("utf-8"))["Name"] == "Northshire sharing agreement"


def test_what_is_shown_is_of_the_starting_agreement_or_can_be_put_into_it() -> None:
    shown, part = re.findall(r"^```toml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    template = files("elsewhere.agreement").joinpath("template.toml").read_text("utf-8")
    plain = "".join(re.sub(r"\s+#.*", "", line) + "\n" for line in shown.splitlines())

    assert plain in template
    assert set(re.findall(r"^(\w+) =", plain, re.MULTILINE)) <= set(Rule.__slots__)
    said = agreement_from_toml(starting_agreement(**GIVEN) + "\n" + part).research
    assert said is not None
    assert said.projects[0].people == ("ana",)


def test_the_remarks_listed_are_those_that_there_are() -> None:
    folder = ROOT / "elsewhere" / "agreement"
    made = set(re.findall(r'Remark\(\s*"([a-z_.]+)"', (folder / "lint.py").read_text("utf-8")))
    made |= set(re.findall(r'yield (?:\(\s*)?"([a-z_.]+)"', (folder / "lint_research.py").read_text("utf-8")))
    rows = re.findall(r"^\| (`[a-z_.`, ]+`) \| (?!.*choices)", TEXT, re.MULTILINE)
    listed = {word for row in rows for word in re.findall(r"`([a-z_]+\.[a-z_]+)`", row)}

    assert made == listed
    assert len(made) > 8
