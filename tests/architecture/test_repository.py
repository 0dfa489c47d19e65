"""What may stand in a tracked file, and that versions are pinned once and for all."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.sources import ROOT

# Put together so that this file does not contain what it looks for.
MACHINE_PATH = re.compile(
    "|".join(["/ro" + "ot/", "/ho" + r"me/\w", "/wo" + "rk/", "/tm" + r"p/\w", "/Us" + r"ers/\w"])
)
REGISTRY = re.compile(
    "|".join(
        ["pypi" + r"\.org", "python" + "hosted", "npmjs" + r"\.org", "index-" + "url", "find-" + "links"]
    )
)


def _tracked_texts() -> dict[str, str]:
    """Return every tracked file that is text, by its path."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    texts = {}
    for name in filter(None, listed.decode().split("\0")):
        path = ROOT / name
        if path.is_file() and b"\0" not in path.read_bytes():
            texts[name] = path.read_bytes().decode("utf-8", "replace")
    return texts


@pytest.mark.needs("git")
@pytest.mark.parametrize("pattern", [MACHINE_PATH, REGISTRY], ids=["machine path", "registry address"])
def test_no_tracked_file_names_someones_machine_or_registry(pattern: re.Pattern[str]) -> None:
    found = {
        name: match.group() for name, text in _tracked_texts().items() if (match := pattern.search(text))
    }

    assert found == {}


# Of the extras `bench` and `fuzz`; neither asks for anything more.
ELSEWHERE_ONLY = {"atheris", "faker"}


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {name: version for name, version in pairs}


def _wanted() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    stated = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    return [Requirement(text) for text in [*stated, *(text for extra in extras for text in extra)]]


def test_constraints_hold_names_and_exact_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    wrong = [line for line in lines if not re.fullmatch(r"#.*|[a-z0-9-]+==[0-9][0-9a-z.]*", line)]

    assert wrong == []


def test_every_stated_dependency_is_pinned_within_its_range() -> None:
    pins = _pins()
    wrong = [
        str(want)
        for want in _wanted()
        if not want.specifier.contains(pins.get(canonicalize_name(want.name), "0"))
    ]

    assert wrong == []


def _requires(name: str) -> list[str]:
    """What a package asks for; nothing of one that only `make bench` or `make fuzz` installs."""
    if name in ELSEWHERE_ONLY:
        return []
    return distribution(name).requires or []


def test_every_dependency_of_a_dependency_is_pinned() -> None:
    todo, seen = _wanted(), set()
    while todo:
        name = canonicalize_name(todo.pop().name)
        if name not in seen:
            seen.add(name)
            below = (Requirement(text) for text in _requires(name))
            todo += [r for r in below if r.marker is None or r.marker.evaluate({"extra": ""})]

    assert seen - _pins().keys() == set()
