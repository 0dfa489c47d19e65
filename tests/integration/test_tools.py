"""The scripts behind make: they find a usable Python, or say what is missing, and build nothing twice."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT

MISSING = 3
TOO_OLD = '#!/bin/sh\n[ "$1" = -V ] && echo "Python 3.9.2"\nexit 1\n'
WITHOUT_VENV = f'#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\nexec "{sys.executable}" "$@"\n'
GOOD = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder that is the whole PATH: what the scripts need, and no Python."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("sh", "cat", "cut", "dirname", "echo", "rm", "sed", "sha256sum"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return folder


def _put(programs: Path, name: str, script: str) -> None:
    (programs / name).write_text(script, "utf-8")
    (programs / name).chmod(0o755)


def _run(script: Path, *words: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [script, *words], env={"PATH": str(path)}, capture_output=True, text=True, check=False
    )


def _find(programs: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return _run(ROOT / "tools/find_python.sh", *words, path=programs)


def test_no_python_is_named_with_how_to_get_it(programs: Path) -> None:
    run = _find(programs)

    assert run.returncode == MISSING
    assert run.stdout == ""
    assert "missing: Python 3.11 or newer" in run.stderr
    assert "apt-get install python3" in run.stderr


def test_a_python_that_is_too_old_is_named(programs: Path) -> None:
    _put(programs, "python3", TOO_OLD)

    run = _find(programs)

    assert run.returncode == MISSING
    assert "`python3` is Python 3.9.2" in run.stderr


def test_a_newer_python_is_taken_where_the_first_is_too_old(programs: Path) -> None:
    _put(programs, "python3", TOO_OLD)
    _put(programs, "python3.12", GOOD)

    assert _find(programs).stdout == "python3.12\n"


def test_a_python_of_ones_own_is_taken_first(programs: Path) -> None:
    _put(programs, "python3", GOOD)
    _put(programs, "mine", GOOD)

    assert _find(programs, "mine").stdout == "mine\n"


def test_a_missing_venv_module_is_named_with_its_package(programs: Path) -> None:
    _put(programs, "python3", WITHOUT_VENV)

    run = _find(programs)

    assert run.returncode == MISSING
    assert "missing: the venv module" in run.stderr
    assert f"apt-get install python{sys.version_info[0]}.{sys.version_info[1]}-venv" in run.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the environment script reads, in a folder of its own, with an environment already there."""
    folder = tmp_path / "checkout"
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").symlink_to(sys.executable)
    shutil.copytree(ROOT / "tools", folder / "tools")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    read = b"".join((folder / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
    digest = hashlib.sha256(f"{folder}\n".encode() + read).hexdigest()
    (folder / ".venv/stamp-dev").write_text(digest + "\n", "ascii")
    return folder


@pytest.mark.parametrize("kind", ["run", "dev"])
def test_an_environment_for_these_versions_is_not_built_again(
    checkout: Path, programs: Path, kind: str
) -> None:
    run = _run(checkout / "tools/environment.sh", kind, path=programs)

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_an_environment_for_other_versions_is_built_again(checkout: Path, programs: Path, name: str) -> None:
    with (checkout / name).open("a") as file:
        file.write("# changed\n")

    run = _run(checkout / "tools/environment.sh", "run", path=programs)

    # It looks for a Python to build with, and this PATH has none.
    assert (run.returncode, run.stdout) == (MISSING, "")
    assert "missing: Python" in run.stderr
