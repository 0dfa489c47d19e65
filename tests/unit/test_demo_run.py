"""The demonstration's course: which commands it types, what it prints, and how it ends."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from elsewhere.demo import run
from elsewhere.demo.questions import QUESTIONS
from elsewhere.demo.run import AGENCIES, Wishes, run_demo

# Stands in for `elsewhere`. TROUBLE is put before it: what goes wrong at which command.
PROGRAM = r"""
import os, signal, sys
words = sys.argv[1:]
if words[:2] == TROUBLE.get("fails"):
    sys.exit("line one\nline two")
if words[:1] == TROUBLE.get("interrupts"):
    os.kill(os.getppid(), TROUBLE["signal"])
    signal.pause()
if words[:2] == ["gateway", "run"]:
    print("ready 127.0.0.1:1", file=sys.stderr, flush=True)
if words[1] == "run":
    signal.pause()
if words[:2] == ["node", "init"]:
    os.mkdir(words[3])
if words[:2] == ["gateway", "init"]:
    os.mkdir("gw")
if words[:2] == ["research", "init"]:
    print('[[research.researchers]]\nid = "ana"\n\nand read this')
if words[:2] == ["research", "query"]:
    print('{"query_id": "11", "estimates": []}')
if words[0] == "ask":
    print('{"lookup_id": "00",\n "outcome": "KNOWN", "coverage": "COMPLETE", "answers": []}')
"""
WISHES = Wishes(seed=1, size=900, once=True, as_json=True)


@pytest.fixture(autouse=True)
def _signals_put_back() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _play(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **trouble: object) -> None:
    """Let the stand-in answer instead of `elsewhere`, in a temporary folder of the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(run, "program", lambda: [sys.executable, "-c", f"TROUBLE = {trouble!r}\n{PROGRAM}"])


def test_one_json_object_a_lookup_and_nothing_else_is_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _play(monkeypatch, tmp_path)

    assert run_demo(WISHES) == 0

    lines = capsys.readouterr().out.splitlines()
    said = [json.loads(line) for line in lines]
    assert [one.get("lookup_id") for one in said] == [*["00"] * len(QUESTIONS), None]
    assert said[-1]["query_id"] == "11"


def test_every_command_is_shown_as_an_operator_types_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _play(monkeypatch, tmp_path)
    run_demo(WISHES)

    typed = [line[2:] for line in capsys.readouterr().err.splitlines() if line.startswith("$ ")]
    nouns = [" ".join(line.split()[1:3]) for line in typed if " ask " not in line]
    each = len(AGENCIES)
    assert nouns == [
        "demo population",
        *["steward keygen"] * each,
        "gateway init",
        *["steward sign"] * each,
        "gateway enact",
        "gateway run",
        *["node init"] * each,
        "gateway invite",
        "research init",
        "gateway propose",
        *["steward sign"] * each,
        "gateway enact",
        *["gateway admit"] * each,
        *["node accept"] * each,
        *["node load"] * each,
        *["node run"] * each,
        *["node status"] * each,
        "research query",
    ]
    assert len(typed) == len(nouns) + len(QUESTIONS)


def test_a_failing_command_ends_it_with_its_last_lines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _play(monkeypatch, tmp_path, fails=["node", "load"])

    assert run_demo(WISHES) == 1

    printed = capsys.readouterr()
    assert printed.out == ""
    assert "ended with status 1: elsewhere node load police.csv" in printed.err
    assert "line one\nline two" in printed.err


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_a_signal_on_the_way_ends_everything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    _play(monkeypatch, tmp_path, interrupts=["ask"], signal=int(number))

    assert run_demo(WISHES) == status


def test_the_folder_is_its_owners_alone_and_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with run._folder() as folder:
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "x").write_bytes(b"x")

    assert list(tmp_path.iterdir()) == []
