"""The wire contract is compared with the last release, or it is said why not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT

# Stands for the program: writes down what it was asked, and what the contract was before.
BUF = '#!/bin/sh\necho "$@" >>asked\n[ "$1" != breaking ] || cat "$3/proto/a.proto" >>asked\n'
NOTHING = "#!/bin/sh\n"

pytestmark = pytest.mark.needs("git")


def git(folder: Path, *words: str) -> None:
    """Run git as somebody, whatever this account's own settings are."""
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def commit(folder: Path, contract: str) -> None:
    (folder / "proto/a.proto").write_text(contract, "utf-8")
    git(folder, "add", "proto", "buf.yaml")
    git(folder, "commit", "-m", contract)


def prepare(folder: Path) -> None:
    """Put the script into a folder, with stand-ins for all that it calls."""
    for name, script in {
        ".tools/node_modules/.bin/buf": BUF,
        "tools/buf.sh": NOTHING,
        ".venv/bin/python": NOTHING,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(script, "utf-8")
        (folder / name).chmod(0o755)
    shutil.copy(ROOT / "tools/wire.sh", folder / "tools")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one commit."""
    folder = tmp_path / "checkout"
    (folder / "proto").mkdir(parents=True)
    git(folder, "init")
    (folder / "buf.yaml").write_text("version: v2\n", "utf-8")
    prepare(folder)
    commit(folder, "first")
    return folder


def check(folder: Path, strict: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / "tools/wire.sh"],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "STRICT": strict},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_contract_is_compared_with_the_last_release_however_many_commits_ago(checkout: Path) -> None:
    git(checkout, "tag", "v0.1.0")
    commit(checkout, "second")
    git(checkout, "tag", "v0.2.0")
    for contract in ("third", "fourth"):
        commit(checkout, contract)

    run = check(checkout, "1")

    assert run.returncode == 0
    asked = (checkout / "asked").read_text("utf-8").splitlines()
    assert asked[0] == "lint"
    assert asked[1].startswith("breaking --against ")
    assert asked[2:] == ["second"]
    assert list((checkout / ".tools").glob("before.*")) == []


@pytest.mark.parametrize("strict", ["", "1"])
def test_before_the_first_release_nothing_is_promised(checkout: Path, strict: str) -> None:
    run = check(checkout, strict)

    assert run.returncode == 0
    assert "there is none yet" in run.stderr
    assert (checkout / "asked").read_text("utf-8") == "lint\n"


@pytest.fixture
def shallow(checkout: Path, tmp_path: Path) -> Path:
    """A clone of the last commit alone, the one after a release."""
    git(checkout, "tag", "v0.1.0")
    commit(checkout, "second")
    git(tmp_path, "clone", "--depth=1", f"file://{checkout}", "shallow")
    prepare(tmp_path / "shallow")
    return tmp_path / "shallow"


def test_a_shallow_clone_says_that_it_could_not_compare(shallow: Path) -> None:
    run = check(shallow, "")

    assert run.returncode == 0
    assert "this clone is shallow" in run.stderr
    assert (shallow / "asked").read_text("utf-8") == "lint\n"


def test_a_shallow_clone_is_deepened_where_everything_is_wanted(shallow: Path) -> None:
    run = check(shallow, "1")

    assert run.returncode == 0
    assert (shallow / "asked").read_text("utf-8").endswith("\nfirst")


def test_a_shallow_clone_that_cannot_be_deepened_fails_where_everything_is_wanted(shallow: Path) -> None:
    git(shallow, "remote", "remove", "origin")

    run = check(shallow, "1")

    assert run.returncode == 1
    assert "this clone is shallow" in run.stderr
