"""`elsewhere node reload` as a service that stays: when it looks at what; a failed load ends nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner

from elsewhere.cli import node_reload
from elsewhere.errors import StoreUnavailable
from node.caseload import opening
from node.caseload.remembered import Remembered, remember
from node.caseload.report import LoadReport, Tally
from node.errors import NothingRemembered

HOUR = 3600


class Ended(Exception):
    """The service was stopped."""


@dataclass
class Service:
    """A clock that only sleeping turns, and what is loaded by it."""

    until: float
    now: float = 0.0
    events: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    loaded: list[tuple[str, float]] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        for event in [event for event in self.events if event[0] <= self.now]:
            self.events.remove(event)
            event[1]()
        if self.now > self.until:
            raise Ended

    def load(self, directory: Path, one: Remembered) -> LoadReport:
        self.loaded.append((one.name, self.now))
        if one.name in self.failing:
            raise StoreUnavailable("the server is gone")
        return Tally(one.name, is_dry_run=False, good=1).report()

    def run(self, patch: pytest.MonkeyPatch, folder: Path, *options: str) -> str:
        patch.setattr(node_reload, "time", self)
        patch.setattr(node_reload, "_load", self.load)
        patch.setattr(opening, "loads_in_force", lambda directory: {"cases": 0, "visits": 0})
        found = CliRunner().invoke(node_reload.reload, ["--dir", str(folder), *options])
        assert isinstance(found.exception, Ended), found.output
        return found.output

    def times(self, name: str) -> list[float]:
        return [when for loaded, when in self.loaded if loaded == name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("cases.csv", "m.toml"):
        (tmp_path / name).write_text("a", "utf-8")
    cases = Remembered("cases", tmp_path / "cases.csv", tmp_path / "m.toml")
    remember(tmp_path, cases, cases.marker_now())
    remember(tmp_path, Remembered("visits", None, tmp_path / "m.toml"), "")
    return tmp_path


def test_watching_loads_a_file_once_it_stopped_growing_and_tables_every_hour(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grow() -> None:
        with (folder / "cases.csv").open("a") as file:
            file.write("more")

    service = Service(2 * HOUR + 60, events=[(102, grow), (106, grow), (111, grow)])
    service.run(monkeypatch, folder, "--watch")

    assert service.times("cases") == [120], "looked at every five seconds, and the same at two of them"
    assert service.times("visits") == pytest.approx([0, HOUR, 2 * HOUR], abs=10)


def test_it_says_first_what_it_looks_at_and_how_often(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = Service(1).run(monkeypatch, folder, "--watch", "--every", "30m").splitlines()

    assert said[:4] == [
        f"loading 2 sources into {folder} again when they change, until stopped:",
        f"  cases: file {folder / 'cases.csv'}, looked at every 5 s",
        f"  visits: table of {folder / 'm.toml'}, read every 30 m",
        "sources that are loaded later are looked at as well; one line a load follows here",
    ]


@pytest.mark.parametrize("options", [[], ["--watch"], ["--every", "1h"]])
def test_without_a_source_it_says_how_to_give_one_and_ends_as_failed(
    tmp_path: Path, options: list[str]
) -> None:
    found = CliRunner().invoke(node_reload.reload, ["--dir", str(tmp_path), *options])

    assert isinstance(found.exception, NothingRemembered)
    assert "elsewhere node load FILE --mapping MAPPING" in str(found.exception)


def test_every_looks_at_everything_so_often_and_at_nothing_in_between(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(HOUR + 60, events=[(100, lambda: (folder / "cases.csv").write_text("longer"))])
    service.run(monkeypatch, folder, "--every", "30m")

    assert service.times("visits") == pytest.approx([0, HOUR / 2, HOUR], abs=10)
    assert service.times("cases") == pytest.approx([HOUR / 2], abs=10)


def test_watching_goes_on_after_loads_that_failed_and_tries_them_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(200, failing={"cases", "visits"})
    service.events = [(20, lambda: (folder / "cases.csv").write_text("longer")), (150, service.failing.clear)]
    said = service.run(monkeypatch, folder, "--watch", "--every", "1m")

    assert said.count("not loaded, error [store.unavailable]") == 2, "once for each"
    assert said.count("cases: 1 rows loaded") == 1
    assert service.times("cases")[-1] == pytest.approx(150, abs=10)
    assert service.times("visits")[-1] == pytest.approx(180, abs=10)
