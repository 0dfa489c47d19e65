"""The whole demonstration with real processes: what it answers, and that nothing of it is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from elsewhere.demo.questions import QUESTIONS
from tests.architecture.sources import ROOT


def _processes_in(folder: str) -> list[int]:
    """Ids of the processes that work in a folder, also one that has been removed meanwhile."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                place = os.readlink(entry / "cwd")
            except OSError:
                continue
            if place.removesuffix(" (deleted)") == folder:
                found.append(int(entry.name))
    return found


@pytest.mark.timeout(240)
def test_the_demonstration_answers_three_questions_and_a_total_and_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "elsewhere", "demo", "run", "--json"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=(tmp_path / "stderr").open("wb"),
        text=True,
    )
    try:
        assert demo.stdout is not None
        lines = [demo.stdout.readline() for _ in QUESTIONS]
        total = demo.stdout.readline()
        assert all([*lines, total]), (tmp_path / "stderr").read_text("utf-8")
        folder = next(path for path in tmp_path.iterdir() if path.is_dir())
        running = _processes_in(str(folder))
    finally:
        demo.send_signal(signal.SIGINT)
        rest = demo.communicate(timeout=60)[0]

    assert demo.returncode == 0
    assert rest == ""
    assert len(running) >= 5  # a gateway and four nodes
    assert _processes_in(str(folder)) == []
    assert not folder.exists()
    study = json.loads(total)
    assert {"query_id", "estimates", "interval", "rho", "epsilon", "budget_left"} <= study.keys()
    assert study["interval"] == pytest.approx(25, rel=0.01)
    assert 0 < study["rho"] < study["budget_left"]
    assert [cell["nfa"] for cell in study["estimates"]] == ["Y", "N"]
    # The made-up population has 600 referrals or so, three in ten of them without action.
    assert 300 < sum(cell["estimate"] for cell in study["estimates"]) < 900
    for question, line in zip(QUESTIONS, lines, strict=True):
        said = json.loads(line)
        states = {answer["custodian"]: answer["state"] for answer in said["answers"]}
        assert states == dict(question.expected), question.title
        assert said["coverage"] == "COMPLETE"
        assert len(said["lookup_id"]) == 32
        assert said["outcome"] == ("KNOWN" if "Tobias" not in question.options else "NOTHING_RETURNED")
        assert all("strength" in answer for answer in said["answers"])
