"""Sources are loaded again when they change, once each, and what fails leaves the old records in force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from elsewhere.cli.node_load import load
from elsewhere.cli.node_reload import reload
from elsewhere.errors import ConfigInvalid, ElsewhereError, StoreBusy, StoreUnavailable
from node.caseload import index
from node.caseload import reload as reload_module
from node.caseload.reload import SETTLE_S, Reloading
from node.caseload.remembered import FILE_NAME, Remembered, read_remembered, remember
from node.caseload.report import LoadReport, Tally
from node.errors import LoadRunning, SourceUnreadable
from node.keys.ring import KeyRing
from node.store.caseload import record
from node.store.engine import Store, open_store
from tests.caseload import ANN, BOB, EVA, MAPPING, NOW, write_csv


@dataclass
class Loads:
    """Stands in for loading: notes what is loaded, and fails on demand."""

    done: list[str] = field(default_factory=list)
    error: ElsewhereError | None = None

    def __call__(self, one: Remembered) -> LoadReport:
        self.done.append(one.name)
        if self.error is not None:
            raise self.error
        return Tally(one.name, is_dry_run=False, good=3, unchanged=1).report()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "m.toml").write_text("x", "utf-8")
    (tmp_path / "cases.csv").write_text("a", "utf-8")
    cases = Remembered("cases", tmp_path / "cases.csv", tmp_path / "m.toml")
    remember(tmp_path, cases, cases.marker_now())
    return tmp_path


def _reloading(folder: Path, loads: Loads, said: list[str]) -> Reloading:
    return Reloading(folder, loads, said.append, lambda: NOW, _no_pause)


def _no_pause(seconds: float) -> None:
    """Nobody writes meanwhile."""


def test_a_file_is_loaded_again_when_it_or_its_mapping_has_changed_and_not_before(folder: Path) -> None:
    loads, said = Loads(), list[str]()
    reloading = _reloading(folder, loads, said)

    assert reloading.every()
    assert (loads.done, said) == ([], ["2026-03-02T09:00:00Z cases: unchanged"])
    (folder / "cases.csv").write_text("ab", "utf-8")
    assert reloading.every()
    (folder / "m.toml").write_text("xy", "utf-8")
    assert reloading.every()
    assert reloading.every()

    assert loads.done == ["cases"] * 2
    assert said[1].endswith("cases: 3 rows loaded, 2 of them new or changed, 0 persons gone, 0 rows refused")


def test_the_line_of_a_load_says_what_was_noted_most_often(folder: Path) -> None:
    said = list[str]()

    def load_noted(one: Remembered) -> LoadReport:
        noted = Counter({"b.odd": 7, "a.odd": 7, "c.odd": 9, "d.odd": 1, "e.odd": 1})
        return Tally(one.name, is_dry_run=False, good=9, notes=noted).report()

    (folder / "cases.csv").write_text("ab", "utf-8")
    assert Reloading(folder, load_noted, said.append, lambda: NOW, _no_pause).every()

    assert said[0].endswith("0 rows refused; to be looked at: c.odd 9, a.odd 7, b.odd 7, d.odd 1, ...")


def test_a_table_is_read_every_time_and_never_by_looking_for_changed_files(folder: Path) -> None:
    loads = Loads()
    remember(folder, Remembered("visits", None, folder / "m.toml"), "")
    reloading = _reloading(folder, loads, [])

    reloading.changed()
    reloading.changed()
    assert loads.done == []
    reloading.every()
    reloading.every()

    assert loads.done == ["visits"] * 2


def test_a_file_is_not_read_while_it_grows(folder: Path) -> None:
    loads = Loads()
    reloading = _reloading(folder, loads, [])
    for size in range(2, 5):
        (folder / "cases.csv").write_text("a" * size, "utf-8")
        reloading.changed()
    assert loads.done == []

    reloading.changed()
    reloading.changed()

    assert loads.done == ["cases"]


def test_looking_at_everything_reads_no_file_that_grows_meanwhile(folder: Path) -> None:
    loads, said, pauses = Loads(), list[str](), list[float]()

    def grow(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) < 3:
            (folder / "cases.csv").write_text("new" * 2 ** len(pauses), "utf-8")

    (folder / "cases.csv").write_text("new", "utf-8")
    reloading = Reloading(folder, loads, said.append, lambda: NOW, grow)

    assert not reloading.every()
    assert not reloading.every()
    assert loads.done == []
    assert reloading.every()

    assert loads.done == ["cases"]
    assert pauses == [SETTLE_S] * 3
    assert [line.partition(": ")[2].partition(";")[0] for line in said] == [
        "not loaded, as it is still being written",
        "3 rows loaded, 2 of them new or changed, 0 persons gone, 0 rows refused",
    ]


def test_a_look_at_what_has_not_changed_waits_for_nothing(folder: Path) -> None:
    remember(folder, Remembered("visits", None, folder / "m.toml"), "")
    pauses = list[float]()

    assert Reloading(folder, Loads(), list[str]().append, lambda: NOW, pauses.append).every()

    assert pauses == []


@pytest.mark.parametrize(
    "error",
    [SourceUnreadable("expected text"), LoadRunning("another"), StoreBusy("busy"), StoreUnavailable("away")],
    ids=lambda error: error.code,
)
def test_the_same_trouble_is_told_once_and_again_after_a_load_that_went_well(
    folder: Path, error: ElsewhereError
) -> None:
    loads, said = Loads(error=error), list[str]()
    remember(folder, Remembered("visits", None, folder / "m.toml"), "")
    (folder / "cases.csv").write_text("new", "utf-8")
    reloading = _reloading(folder, loads, said)

    for _ in range(3):
        reloading.changed()
        assert not reloading.every()
    assert [line.split()[1] for line in said] == ["cases:", "visits:"]
    loads.error = None
    assert reloading.every()
    loads.error = error
    assert not reloading.every()
    assert not reloading.every()

    assert [error.code in line for line in said if "visits" in line] == [True, False, True]


def test_a_broken_export_is_told_once_and_tried_again_when_it_changes(folder: Path) -> None:
    loads, said = Loads(error=SourceUnreadable("expected text", line=3)), list[str]()
    reloading = _reloading(folder, loads, said)
    (folder / "cases.csv").write_text("broken", "utf-8")
    for _ in range(4):
        reloading.changed()
    assert loads.done == ["cases"]
    assert said == [
        "2026-03-02T09:00:00Z cases: not loaded, error [source.unreadable]: line 3: expected text; "
        "the old records stay in force"
    ]
    assert not reloading.every()

    loads.error = None
    (folder / "cases.csv").write_text("mended", "utf-8")
    reloading.changed()
    reloading.changed()

    assert "3 rows loaded" in said[-1]
    assert not read_remembered(folder)[0].has_changed()


def test_what_is_no_fault_of_the_export_is_tried_again_soon(folder: Path) -> None:
    loads = Loads(error=LoadRunning("another one is running"))
    reloading = _reloading(folder, loads, [])
    (folder / "cases.csv").write_text("new", "utf-8")
    for _ in range(4):
        reloading.changed()

    assert loads.done == ["cases"] * 3


def test_a_change_during_a_load_is_not_missed(folder: Path) -> None:
    loads = Loads()

    def load_and_change(one: Remembered) -> LoadReport:
        (folder / "cases.csv").write_text("written meanwhile" * len(loads.done), "utf-8")
        return loads(one)

    (folder / "cases.csv").write_text("new", "utf-8")
    said = list[str]()
    Reloading(folder, load_and_change, said.append, lambda: NOW, _no_pause).every()

    assert read_remembered(folder)[0].has_changed()


def test_a_list_of_sources_changed_by_hand_is_refused(folder: Path) -> None:
    (folder / FILE_NAME).write_text('{"cases": 3}', "utf-8")

    with pytest.raises(ConfigInvalid, match="remove it"):
        read_remembered(folder)


@pytest.fixture
def node(tmp_path: Path, settled: None) -> Path:
    """The folder of a node with one source loaded."""
    (tmp_path / "node.toml").write_text('agency = "police"\nname = "Police"\n', "utf-8")
    (tmp_path / "mapping.toml").write_text(MAPPING, "utf-8")
    KeyRing.create(tmp_path, tls_pem=b"pem", random=Random(3).randbytes)
    path = write_csv(tmp_path / "export.csv", [ANN, BOB])
    given = [str(path), "--mapping", str(tmp_path / "mapping.toml"), "--dir", str(tmp_path)]
    assert CliRunner().invoke(load, given).exit_code == 0
    return tmp_path


@pytest.fixture
def store(node: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{node / 'store.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command waits for no writer, as there is none."""
    monkeypatch.setattr(reload_module, "SETTLE_S", 0.001)


def _again(node: Path) -> Result:
    return CliRunner().invoke(reload, ["--dir", str(node)])


def test_what_was_loaded_by_hand_is_loaded_again_by_itself(node: Path, store: Store) -> None:
    assert "cases: unchanged" in _again(node).output
    write_csv(node / "export.csv", [ANN, EVA])

    result = _again(node)

    assert result.exit_code == 0
    assert "cases: 2 rows loaded, 1 of them new or changed, 1 persons gone, 0 rows refused" in result.output
    with store.read() as conn:
        assert set(conn.execute(select(record.c.person_ref)).scalars()) == {"1", "3"}


def test_an_export_that_is_refused_leaves_the_old_records_and_ends_with_1(node: Path, store: Store) -> None:
    write_csv(node / "export.csv", [ANN, *[EVA | {"status": "?"}] * 9])

    result = _again(node)

    assert result.exit_code == 1
    assert "error [load.refused]" in result.output
    assert "status.unknown 9; the old records stay in force" in result.output
    assert not any(word in result.output for word in ("Ann", "Leeworth", "Evangeline"))
    with store.read() as conn:
        assert index.record_count(conn) == 2


@pytest.mark.parametrize("value", ["0s", "1", "h", "1w", "-1h", "1.5h"])
def test_an_interval_that_is_none_is_a_usage_error(node: Path, value: str) -> None:
    assert CliRunner().invoke(reload, ["--dir", str(node), f"--every={value}"]).exit_code == 2
