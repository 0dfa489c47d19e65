"""The `elsewhere` command: quick to say what it can, and one line for an error raised on purpose."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from elsewhere.cli import main
from elsewhere.errors import MalformedKey
from tests.architecture.sources import ROOT


def test_help_lists_every_noun_and_imports_none() -> None:
    code = (
        "import sys; from elsewhere.cli.main import commands; commands(['--help'], standalone_mode=False);"
        "ours = ('elsewhere', 'node', 'gateway', 'grpc');"
        "sys.stderr.write(' '.join(name for name in sys.modules if name.startswith(ours)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert all(
        f"\n  {noun} " in run.stdout for noun in ("gateway", "node", "ask", "matchkeys", "audit", "demo")
    )
    commands = {"elsewhere.cli.main", "elsewhere.cli.lazy"}
    assert set(run.stderr.split()) - commands == {"elsewhere", "elsewhere.cli", "elsewhere.errors"}


def test_an_unknown_noun_is_typed_wrongly() -> None:
    assert CliRunner().invoke(main.commands, ["nothing"]).exit_code == 2


def test_an_error_raised_on_purpose_is_one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def refusing() -> None:
        raise MalformedKey("expected 32 bytes; 3 came")

    monkeypatch.setattr(main, "commands", refusing)
    monkeypatch.setattr(sys, "argv", ["elsewhere"])
    with pytest.raises(SystemExit) as end:
        main.main()

    assert end.value.code == 1
    assert capsys.readouterr().err == "error [oprf.key]: expected 32 bytes; 3 came\n"


def test_the_demonstration_can_be_found_by_its_name() -> None:
    result = CliRunner().invoke(main.commands, ["demo", "--help"])

    assert result.exit_code == 0
    assert "population" in result.output
