"""Sources are loaded again when they change, once each, and what fails leaves the old records in force."""

from __future__ import annotations

import errno
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from elsewhere.errors import ConfigInvalid, ElsewhereError, StoreBusy, StoreUnavailable
from node.caseload.reload import SETTLE_S, STORE_EVERY, Reloading
from node.caseload.remembered import FILE_NAME, Remembered, read_remembered, remember
from node.caseload.report import LoadReport, Tally
from node.errors import LoadRunning, SourceUnreadable
from tests.caseload import NOW


@dataclass
class Loads:
    """Stands in for loading: notes what is loaded, and fails on demand."""

    done: list[str] = field(default_factory=list)
    error: ElsewhereError | OSError | None = None

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
    return Reloading(folder, loads, _all_stand, said.append, lambda: NOW, _no_pause)


def _all_stand() -> dict[str, int]:
    """The store has every source as it was last loaded."""
    return {"cases": 0, "visits": 0}


def _is_due(folder: Path) -> bool:
    (one,) = read_remembered(folder)
    return one.is_due(one.marker_now(), None)


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
    assert Reloading(folder, load_noted, _all_stand, said.append, lambda: NOW, _no_pause).every()

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
    reloading = Reloading(folder, loads, _all_stand, said.append, lambda: NOW, grow)

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

    assert Reloading(folder, Loads(), _all_stand, list[str]().append, lambda: NOW, pauses.append).every()

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
    assert not _is_due(folder)


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
    Reloading(folder, load_and_change, _all_stand, said.append, lambda: NOW, _no_pause).every()

    assert _is_due(folder)


def test_a_source_that_cannot_be_reached_is_told_once_and_ends_no_other(folder: Path) -> None:
    (folder / "away").symlink_to("away")  # as a file server that is gone: it cannot even be looked at
    for name in ("away", "zoo"):
        remember(
            folder,
            Remembered(name, folder / ("away" if name == "away" else "cases.csv"), folder / "m.toml"),
            "x",
        )
    loads, said = Loads(), list[str]()
    reloading = _reloading(folder, loads, said)

    for _ in range(3):
        reloading.changed()
    assert not reloading.every()

    assert loads.done == ["zoo", "zoo"]
    assert [line for line in said if "away" in line] == [
        "2026-03-02T09:00:00Z away: not loaded, error [source.unreadable]: expected to look at file and "
        "mapping: Too many levels of symbolic links; the old records stay in force"
    ]


def test_a_file_server_that_goes_away_under_a_load_ends_no_other(folder: Path) -> None:
    remember(folder, Remembered("visits", None, folder / "m.toml"), "")
    (folder / "cases.csv").write_text("new", "utf-8")
    loads, said = Loads(error=OSError(errno.ESTALE, os.strerror(errno.ESTALE))), list[str]()

    assert not _reloading(folder, loads, said).every()

    assert loads.done == ["cases", "visits"]
    assert all("error [source.unreadable]: expected to read all of it: Stale" in line for line in said)


@pytest.mark.parametrize("stands", [{}, {"cases": 6}, {"cases": 8}], ids=["lost", "older", "of another load"])
def test_a_source_that_the_store_has_not_as_it_was_loaded_is_loaded_again(
    folder: Path, stands: dict[str, int]
) -> None:
    (cases,) = read_remembered(folder)
    remember(folder, cases, cases.marker, 7)
    loads, store = Loads(), {"cases": 7}
    reloading = Reloading(folder, loads, lambda: store, list[str]().append, lambda: NOW, _no_pause)
    for _ in range(STORE_EVERY + 1):
        reloading.changed()
    assert reloading.every()
    assert loads.done == []

    store = stands
    assert reloading.every()
    assert loads.done == ["cases"]
    remember(folder, cases, cases.marker, 7)
    for _ in range(STORE_EVERY):
        reloading.changed()
    assert loads.done == ["cases"] * 2, "so does a service that stays, without a full look"


def test_a_store_that_cannot_be_looked_into_is_no_reason_to_say_that_all_is_well(folder: Path) -> None:
    def away() -> dict[str, int]:
        raise StoreUnavailable("away")

    loads, said = Loads(error=StoreUnavailable("away")), list[str]()
    reloading = Reloading(folder, loads, away, said.append, lambda: NOW, _no_pause)
    reloading.changed()
    reloading.changed()
    assert loads.done == []
    assert not reloading.every()

    assert "error [store.unavailable]" in said[0]


def test_two_processes_that_remember_at_once_lose_nothing(tmp_path: Path) -> None:
    def remember_some(first: str) -> None:
        for n in range(20):
            remember(tmp_path, Remembered(f"{first}{n}", None, tmp_path / "m.toml"), "")

    with ThreadPoolExecutor() as pool:
        list(pool.map(remember_some, ["a", "b", "c"]))

    assert len(read_remembered(tmp_path)) == 60


def test_a_list_of_sources_changed_by_hand_is_refused(folder: Path) -> None:
    (folder / FILE_NAME).write_text('{"cases": 3}', "utf-8")

    with pytest.raises(ConfigInvalid, match="remove it"):
        read_remembered(folder)
