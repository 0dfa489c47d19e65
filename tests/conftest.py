"""Tests that need an outside program: named in the last line where it is absent, failed when STRICT=1.

Mark such a test `@pytest.mark.needs("chromium")`. A new program gets a row in PROGRAMS.
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from tests import postgres_server, stores

ROOT = Path(__file__).resolve().parent.parent

# On how many examples a property is tried, unless the test itself says so. No deadline: a busy machine is no
# fault of the code.
hypothesis.settings.register_profile("quick", max_examples=60, deadline=None)
hypothesis.settings.register_profile("full", max_examples=1000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# Program -> how to see that it is here, and the command that brings it.
PROGRAMS: dict[str, tuple[Callable[[], bool], str]] = {
    "buf": (lambda: (ROOT / ".tools/node_modules/.bin/buf").exists(), "make check"),
    "chromium": (lambda: shutil.which("chromium") is not None, "make system"),
    "git": (
        lambda: shutil.which("git") is not None and (ROOT / ".git").exists(),
        "git clone, not an archive",
    ),
    "libsodium": (lambda: ctypes.util.find_library("sodium") is not None, "make system"),
    "postgres": (lambda: postgres_server.find_programs() is not None, "make system"),
}
_not_run: Counter[str] = Counter()


def _is_strict() -> bool:
    return os.environ.get("STRICT", "") not in ("", "0")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """A command run in the tests' own process hardens it; the next test begins as any program does."""
    before, is_safe_path = os.umask(0o077), os.environ.get("PYTHONSAFEPATH")
    os.umask(before)
    try:
        return (yield)
    finally:
        os.umask(before)
        if is_safe_path is None:
            os.environ.pop("PYTHONSAFEPATH", None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out, or with STRICT=1 fail, a test whose outside program is not here."""
    for mark in item.iter_markers("needs"):
        is_here, command = PROGRAMS[mark.args[0]]
        if is_here():
            continue
        _not_run[mark.args[0]] += 1
        reason = f"needs {mark.args[0]}; to allow it: {command}"
        if _is_strict():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Say as the very last line what could not run, and the command that would allow it."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not _not_run or reporter is None:
        return
    parts = [f"{count} for want of {name} ({PROGRAMS[name][1]})" for name, count in sorted(_not_run.items())]
    reporter.write_line(f"could not run: {', '.join(parts)}")
    _not_run.clear()


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A test that runs a program's start in this process leaves no logger on a stream that is closed."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.Server]:
    """A PostgreSQL server of this session's own; only tests that need one start it."""
    server = postgres_server.Server()
    server.start()
    yield server
    server.stop("immediate")
    server.remove()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgres"))])
def each_engine(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run a test once for each engine: the rigs' stores are put there."""
    if request.param == "postgresql":
        stores.PLACES.server = request.getfixturevalue("postgres")
    yield
    stores.PLACES.end()


@pytest.fixture
def store_url(each_engine: None, tmp_path: Path) -> str:
    """The URL of an empty database, once for each engine."""
    return stores.PLACES.url(tmp_path)
