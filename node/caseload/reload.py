"""Loads remembered sources again when they have changed, one after another, and says one line about each.

Promises: what cannot be loaded leaves the records of before in force, is told once, and is tried again when
          it changes; a file is not read while it still grows; a source that cannot be reached keeps no
          other from being loaded; one that the store has lost is loaded again. Lines hold counts and codes,
          never a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from elsewhere.clock import Clock
from elsewhere.errors import ElsewhereError, StoreBusy, StoreUnavailable
from node.caseload.remembered import Remembered, is_remembered, read_remembered, remember
from node.caseload.report import LoadReport
from node.errors import LoadOvertaken, LoadRefused, LoadRunning, SourceUnreadable

MAX_NOTED: Final = 4  # codes of notes in a line
SETTLE_S: Final = 3.0  # a file that has not changed for so long is whole
STORE_EVERY: Final = 12  # looks at the files for each look at the store
_PASSING = (LoadRunning, LoadOvertaken, StoreBusy, StoreUnavailable)  # no fault of the export


@dataclass(slots=True, eq=False)
class Reloading:
    """The sources of one node, and what became of them so far."""

    folder: Path  # the node's
    load: Callable[[Remembered], LoadReport]  # raises as `load_file`
    in_force: Callable[[], Mapping[str, int]]  # as `loads_in_force`
    say: Callable[[str], None]  # told one line a load
    clock: Clock
    pause: Callable[[float], None]  # for so many seconds
    _failed: dict[str, str] = field(default_factory=dict)  # markers of exports that could not be loaded
    _seen: dict[str, str] = field(default_factory=dict)  # markers at the last look
    _looks: int = 0  # at the files
    _told: dict[str, tuple[str, str]] = field(default_factory=dict)  # the last words, and of which marker

    def every(self, *, is_all: bool = False) -> bool:
        """Load every table, and every file that is due and is whole; tells whether all went well.

        Args:
            is_all: load those files as well that have not changed.
        """
        # Without a store to look into every source counts as lost; loading it then tells what is wrong.
        in_force = {} if is_all else self._in_force() or {}
        found = [(one, self._marker(one)) for one in read_remembered(self.folder)]
        if any(one.file and before is not None and one.is_due(before, in_force) for one, before in found):
            self.pause(SETTLE_S)
        return all([self._whole(one, before, in_force) for one, before in found])

    def changed(self) -> None:
        """Load every file that is due, and has not changed since the last look: then nobody is writing it."""
        in_force = self._in_force() if self._looks % STORE_EVERY == 0 else None
        self._looks += 1
        for one in read_remembered(self.folder):
            if one.file is None or (now := self._marker(one)) is None:
                continue
            is_settled, self._seen[one.name] = self._seen.get(one.name) == now, now
            if is_settled and one.is_due(now, in_force) and self._failed.get(one.name) != now:
                self._again(one, now)

    def _in_force(self) -> Mapping[str, int] | None:
        """What stands in the store; None if it cannot be looked into now."""
        try:
            return self.in_force()
        except ElsewhereError:
            return None

    def _marker(self, one: Remembered) -> str | None:
        """The marker of a source as it is now; None if it cannot be looked at, which is said."""
        try:
            return one.marker_now()
        except SourceUnreadable as err:
            self._tell_failed(one, "", err)
            return None

    def _whole(self, one: Remembered, before: str | None, in_force: Mapping[str, int]) -> bool:
        """Load one source, unless it is as it was or still grows."""
        if before is None or (now := self._marker(one)) is None:
            return False
        if not one.is_due(now, in_force):
            self._tell_once(one, now, "unchanged")
            return True
        if now != before:
            self._tell_once(
                one, "", "not loaded, as it is still being written; the old records stay in force"
            )
            return False
        return self._again(one, now)

    def _again(self, one: Remembered, marker: str) -> bool:
        """Load one source, unless it was dropped since the list was read; tells whether that went well."""
        if not is_remembered(self.folder, one.name):
            return True
        try:
            report = self._load(one)
        except ElsewhereError as err:
            if not isinstance(err, _PASSING):
                self._failed[one.name] = marker
            self._tell_failed(one, marker, err)
            return False
        if is_remembered(self.folder, one.name):
            remember(self.folder, one, marker, report.load)
        self._failed.pop(one.name, None)
        self._tell(
            one,
            f"{report.loaded} rows loaded, {report.loaded - report.unchanged} of them new or changed, "
            f"{report.removed} persons gone, {report.refused} rows refused{_noted(report)}",
        )
        return True

    def _load(self, one: Remembered) -> LoadReport:
        """Load one source; a file server that goes away meanwhile is a fault of this source alone."""
        try:
            return self.load(one)
        except OSError as err:
            raise SourceUnreadable(f"expected to read all of it: {err.strerror or 'it failed'}") from None

    def _tell_failed(self, one: Remembered, marker: str, err: ElsewhereError) -> None:
        """Say once what was wrong with a source in this state."""
        words = f"not loaded, error [{err.code}]: {err}{_codes(err)}; the old records stay in force"
        self._tell_once(one, marker, words)

    def _tell_once(self, one: Remembered, marker: str, words: str) -> None:
        """Say it, unless it was the last that was said of the same source in the same state."""
        if self._told.get(one.name) != (marker, words):
            self._tell(one, words)
        self._told[one.name] = marker, words

    def _tell(self, one: Remembered, words: str) -> None:
        self._told.pop(one.name, None)
        self.say(f"{self.clock():%Y-%m-%dT%H:%M:%SZ} {one.name}: {words}")


def _noted(report: LoadReport) -> str:
    """What a loaded export's rows were noted for, the commonest first."""
    commonest = sorted(report.notes.items(), key=lambda note: (-note[1], note[0]))
    more = ["..."] if len(commonest) > MAX_NOTED else []
    codes = [f"{code} {count}" for code, count in commonest[:MAX_NOTED]]
    return f"; to be looked at: {', '.join(codes + more)}" if codes else ""


def _codes(err: ElsewhereError) -> str:
    """What a refused export's rows were refused for."""
    report = err.report if isinstance(err, LoadRefused) else None
    if not isinstance(report, LoadReport):
        return ""
    return "".join(f"; {code} {count}" for code, count in report.refused_codes.items())
