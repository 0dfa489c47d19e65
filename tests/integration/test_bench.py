"""Every benchmark runs in its smallest size: one that no longer works is found before it is wanted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.needs("libsodium")
@pytest.mark.timeout(300)
def test_every_group_measures_something_and_keeps_it(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-P", "-m", "bench", "--tiny", "--out", str(out)]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=290)

    assert done.returncode == 0, done.stdout + done.stderr
    figures = [figure for run in json.loads(out.read_text())["runs"] for figure in run["figures"]]
    groups = {
        "tagging",
        "catalogue",
        "disk",
        "loading",
        "killed",
        "lookups",
        "memory",
        "gateway",
        "linkage in memory",
        "log",
        "study-core",
        "study-rows",
        "studies",
    }
    assert {figure["group"] for figure in figures} == groups
    assert all(figure["value"] >= 0 for figure in figures)
    assert "## lookups" in done.stdout
    assert not list((tmp_path / "build" / "bench").glob("**/desk.sock")), "a node was left behind"
