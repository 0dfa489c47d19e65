"""What cannot run here is named in the very last line, with the command that would allow it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.architecture.sources import ROOT

ONE_TEST = """
import pytest

@pytest.mark.needs("chromium")
def test_that_needs_a_browser():
    pass

def test_that_needs_nothing():
    pass
"""


def _run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the one test where no program can be found."""
    (folder / "test_one.py").write_text(ONE_TEST, "utf-8")
    options = ["-c", str(ROOT / "pyproject.toml"), "-p", "tests.conftest", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, folder / "test_one.py"],
        cwd=ROOT,
        env={**os.environ, "PATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_could_not_run_is_the_last_line(tmp_path: Path) -> None:
    run = _run(tmp_path, STRICT="")

    assert run.returncode == 0
    assert run.stdout.rstrip().endswith("\ncould not run: 1 for want of chromium (make system)")


def test_strict_makes_it_a_failure(tmp_path: Path) -> None:
    run = _run(tmp_path, STRICT="1")

    assert run.returncode == 1
    assert "needs chromium; to allow it: make system" in run.stdout
    assert run.stdout.rstrip().endswith("\ncould not run: 1 for want of chromium (make system)")
