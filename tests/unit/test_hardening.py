"""A program that holds keys leaves no core file and no file for others; tests harden other processes only."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import click
import pytest

from elsewhere.cli import gateway as gateway_cli
from elsewhere.cli import node as node_cli
from gateway import __main__ as gateway_program
from tests.architecture.sources import ROOT
from tests.caseload import ANN, MAPPING, write_csv

PLANTED = "import pathlib\npathlib.Path('planted').touch()\n"
HARDENED = """\
import os, resource, sys
from elsewhere.hardening import harden
os.umask(0)
if len(sys.argv) > 1:
    resource.setrlimit(resource.RLIMIT_CORE, (int(sys.argv[1]), int(sys.argv[1])))
harden()
harden()
open("made", "w").close()
os.mkdir("folder")
print(*resource.getrlimit(resource.RLIMIT_CORE))
"""


def run(folder: Path, *words: str, script: str = HARDENED) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", script, *words], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_what_it_makes_is_its_owners_alone(tmp_path: Path) -> None:
    assert run(tmp_path).returncode == 0

    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o700


@pytest.mark.parametrize(("before", "after"), [((), "1 1"), (("1",), "1 1"), (("0",), "0 0")])
def test_no_core_may_be_written_whatever_was_set_before(
    tmp_path: Path, before: tuple[str, ...], after: str
) -> None:
    assert run(tmp_path, *before).stdout.strip() == after


def test_a_crash_leaves_no_core(tmp_path: Path) -> None:
    crash = (
        "import os, sys; from elsewhere.hardening import harden; harden(); os.chdir(sys.argv[1]); os.abort()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # Not by subprocess, which drops what the kernel says of a core.
    child = os.posix_spawn(sys.executable, [sys.executable, "-c", crash, str(tmp_path)], environment)

    _, status = os.waitpid(child, 0)

    assert os.WIFSIGNALED(status)
    assert not os.WCOREDUMP(status)
    assert list(tmp_path.iterdir()) == []


class Reached(Exception):
    """Stands for everything after the first step."""


def _reached() -> None:
    raise Reached


@pytest.mark.parametrize(
    "words", [[name] for name in node_cli.node.list_commands(click.Context(node_cli.node))]
)
def test_every_command_of_a_node_hardens_first(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_cli, "harden", _reached)

    with pytest.raises(Reached):
        node_cli.node.main(words, standalone_mode=False)


@pytest.mark.parametrize("words", [[name] for name in gateway_cli.gateway.commands])
def test_every_command_of_a_gateway_hardens_first(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_cli, "harden", _reached)

    with pytest.raises(Reached):
        gateway_cli.gateway.main(words, standalone_mode=False)


def test_a_gateway_started_as_a_module_hardens_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_program, "harden", _reached)

    with pytest.raises(Reached):
        gateway_program.serve(tmp_path)


def test_the_processes_of_a_load_import_nothing_from_the_current_folder(tmp_path: Path) -> None:
    here, command = tmp_path / "here", tmp_path / "bin" / "elsewhere"
    here.mkdir()
    command.parent.mkdir()
    # As pip installs it: a script, whose own folder is searched and not the current one.
    command.write_text(
        "from elsewhere.cli.main import main\nif __name__ == '__main__':\n    main()\n", "utf-8"
    )
    for name in ("random.py", "multiprocessing.py", "node.py", "signal.py", "json.py"):
        (here / name).write_text(PLANTED, "utf-8")
    rows = [ANN | {"id": str(number)} for number in range(1100)]  # more than one process has to read
    (here / "m.toml").write_text(MAPPING, "utf-8")
    (tmp_path / "node").mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    words = ["node", "load", str(write_csv(here / "a.csv", rows)), "--mapping", "m.toml"]
    loading = subprocess.run(
        [sys.executable, str(command), *words, "--dir", str(tmp_path / "node"), "--dry-run"],
        cwd=here,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert loading.returncode == 0, loading.stderr
    assert "1100 of 1100 rows" in loading.stdout
    assert not (here / "planted").exists()
