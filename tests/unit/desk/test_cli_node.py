"""`elsewhere node`: found without importing the rest, and readiness that a script can wait for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from elsewhere.cli.main import commands
from elsewhere.cli.node_run import poll_status
from elsewhere.errors import DeskUnreachable
from tests.unit.desk.fake import RunningDesk


def _run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(commands, ["node", *arguments])
    return result.exit_code, result.output


def test_help_lists_every_command_in_the_order_an_operator_meets_them() -> None:
    code, output = _run("--help")

    names = [line.split()[0] for line in output.partition("Commands:")[2].splitlines() if line.strip()]
    assert code == 0
    expected = [
        "init",
        "accept",
        "join",
        "mapping",
        "load",
        "reload",
        "drop-source",
        "run",
        "status",
        "review",
        "second-look",
        "notices",
        "doctor",
        "budget",
    ]
    expected += ["rotate", "take-roster", "take-agreement", "take-store", "accept-store", "begin-log"]
    assert names == [*expected, "upgrade"]


def test_help_imports_no_command() -> None:
    program = (
        "import sys; from elsewhere.cli.main import commands\n"
        "commands(['node', '--help'], standalone_mode=False)\n"
        "print(sorted(m for m in sys.modules if m.startswith(('grpc', 'node', 'elsewhere.sdk'))))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert run.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("noun", [["node", "fly"], ["fly"]])
def test_a_command_that_does_not_exist_is_typed_wrongly(noun: list[str]) -> None:
    assert CliRunner().invoke(commands, noun).exit_code == 2


def test_a_ready_node_ends_with_0_and_lists_its_members(node: RunningDesk) -> None:
    code, output = _run("status", "--dir", str(node.folder))

    assert code == 0
    assert output.splitlines() == [
        "police: ready",
        "  school (Northshire Schools): keys held, catalogue version 7",
        "  trust (Northshire NHS Trust): keys held, catalogue version 3",
    ]


def test_a_node_that_is_not_ready_ends_with_1(node: RunningDesk) -> None:
    node.desk.is_ready = False

    code, output = _run("status", "--dir", str(node.folder))

    assert code == 1
    assert output.startswith("police: running, not ready yet")
    assert "no catalogue yet" in output


def test_no_node_ends_with_1_and_says_how_to_start_it(tmp_path: Path) -> None:
    code, output = _run("status", "--dir", str(tmp_path))

    assert code == 1
    assert "elsewhere node run" in output


def test_json_has_the_same_keys_with_and_without_a_node(node: RunningDesk, tmp_path_factory: Any) -> None:
    running = json.loads(_run("status", "--dir", str(node.folder), "--json")[1])
    absent = json.loads(_run("status", "--dir", str(tmp_path_factory.mktemp("none")), "--json")[1])

    assert running.keys() == absent.keys()
    assert (running["ready"], absent["ready"], absent["running"]) == (True, False, False)


def test_waiting_ends_when_the_node_becomes_ready(node: RunningDesk) -> None:
    node.desk.is_ready = False
    seconds = 0.0

    def sleep(_: float) -> None:
        nonlocal seconds
        seconds += 1
        node.desk.is_ready = seconds >= 3

    found = poll_status(node.folder, wait_s=10, monotonic=lambda: seconds, sleep=sleep)

    assert found.is_ready
    assert seconds == 3


def test_waiting_ends_when_the_time_is_up(tmp_path: Path) -> None:
    seconds = 0.0

    def sleep(_: float) -> None:
        nonlocal seconds
        seconds += 1

    with pytest.raises(DeskUnreachable):
        poll_status(tmp_path, wait_s=5, monotonic=lambda: seconds, sleep=sleep)

    assert seconds == 5
