"""Who may reach what: the parts of the import rules that import-linter cannot see."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.sources import ROOT, Source, dotted_name, imported_modules, sources

# Below `wire` stands everything of the library but these.
ABOVE_THE_CORE = ("elsewhere.wire", "elsewhere.database", "elsewhere.sdk", "elsewhere.cli", "elsewhere.demo")
CORE = [s for s in sources("elsewhere") if not s.module.startswith(ABOVE_THE_CORE)]

# A clock, a source of randomness, or the network. `datetime` is a value; reading it off a clock is not.
FORBIDDEN_MODULES = {
    *("time", "random", "secrets", "uuid", "socket", "ssl", "select", "selectors", "asyncio", "signal"),
    *("http", "urllib", "urllib.request", "grpc", "sqlalchemy", "sqlite3", "subprocess", "numpy.random"),
}
FORBIDDEN_CALLS = {
    *("os.urandom", "os.getrandom", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"),
    *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"),
    *("np.random.default_rng", "numpy.random.default_rng"),
}
BINDINGS = ("ctypes", "cffi", "rbcl", "nacl", "pysodium")
GENERATED = "elsewhere.wire.v1"


def _id(source: Source) -> str:
    return source.path


def _touches(source: Source, modules: set[str]) -> set[str]:
    """Return those of `modules` that a file imports, whole or in part; `elsewhere.random` is not `random`."""
    return {
        name for name in imported_modules(source) for m in modules if name == m or name.startswith(f"{m}.")
    }


@pytest.mark.parametrize("source", CORE, ids=_id)
def test_the_core_imports_no_clock_no_randomness_and_no_network(source: Source) -> None:
    assert _touches(source, FORBIDDEN_MODULES) == set()


@pytest.mark.parametrize("source", CORE, ids=_id)
def test_the_core_reads_no_clock_and_draws_no_randomness(source: Source) -> None:
    calls = (dotted_name(node.func) for node in ast.walk(source.tree) if isinstance(node, ast.Call))

    assert {name for name in calls if name in FORBIDDEN_CALLS} == set()


@pytest.mark.parametrize("source", sources(), ids=_id)
def test_only_the_group_file_touches_libsodium(source: Source) -> None:
    if source.path != "elsewhere/oprf/group.py":
        assert _touches(source, set(BINDINGS)) == set()


@pytest.mark.parametrize("source", sources(), ids=_id)
def test_generated_types_stop_at_the_conversions_and_the_services(source: Source) -> None:
    """Only the wire, the SDK and the programs' frame handlers meet messages; rules and stores meet values."""
    if not source.module.startswith(("elsewhere.wire", "elsewhere.sdk")):
        handles_frames = source.module.startswith(("gateway.", "node."))
        keeps = source.module.startswith(("node.caseload", "node.store", "gateway.store"))
        assert not _touches(source, {GENERATED}) or (handles_frames and not keeps)


@pytest.mark.parametrize("source", sources("elsewhere/demo"), ids=_id)
def test_the_demo_imports_neither_node_nor_gateway(source: Source) -> None:
    assert _touches(source, {"node", "gateway"}) == set()


def test_the_contract_folder_is_no_python_package() -> None:
    assert list((ROOT / "proto").rglob("*.py")) == []


def test_every_room_of_the_library_has_its_place_in_the_layers() -> None:
    layers = (
        (ROOT / ".importlinter").read_text("utf-8").partition("layers =")[2].partition("[importlinter:")[0]
    )
    placed = set(re.findall(r"elsewhere\.\w+", layers))
    rooms = {".".join(source.module.split(".")[:2]) for source in sources("elsewhere")}

    assert rooms - {"elsewhere"} - placed == set()
