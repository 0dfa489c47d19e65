"""Loads remembered sources again when they have changed, one after another, and says one line about each.

Promises: what cannot be loaded leaves the records of before in force, is told once, and is tried again when
          it changes; a file is not read while it still grows. Lines hold counts and codes, never a value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from elsewhere.clock import Clock
from elsewhere.errors import ElsewhereError, StoreBusy, StoreUnavailable
from node.caseload.remembered import Remembered, read_remembered, remember
from node.caseload.report import LoadReport
from node.errors import LoadOvertaken, LoadRefused, LoadRunning

MAX_NOTED: Final = 4  # codes of notes in a line
SETTLE_S: Final = 3.0  # a file that has not changed for so long is whole
_PASSING = (LoadRunning, LoadOvertaken, StoreBusy, StoreUnavailable)  # no fault of the export


@dataclass(slots=True, eq=False)
class Reloading:
    """The sources of one node, and what became of them so far."""

    folder: Path  # the node's
    load: Callable[[Remembered], LoadReport]  # raises as `load_file`
    say: Callable[[str], None]  # told one line a load
    clock: Clock
    pause: Callable[[float], None]  # for so many seconds
    _failed: dict[str, str] = field(default_factory=dict)  # markers of exports that could not be loaded
    _seen: dict[str, str] = field(default_factory=dict)  # markers at the last look
    _told: dict[str, tuple[str, str]] = field(default_factory=dict)  # the last words, and of which marker

    def every(self) -> bool:
        """Load every table, and every file that has changed and is whole; tells whether all went well."""
        found = [(one, one.marker_now()) for one in read_remembered(self.folder)]
        if any(one.file is not None and one.has_changed() for one, _ in found):
            self.pause(SETTLE_S)
        return all([self._whole(one, before) for one, before in found])

    def changed(self) -> None:
        """Load every file that has changed, and not since the last look: then nobody is writing it."""
        for one in read_remembered(self.folder):
            if one.file is None:
                continue
            now = one.marker_now()
            is_settled, self._seen[one.name] = self._seen.get(one.name) == now, now
            if is_settled and one.has_changed() and self._failed.get(one.name) != now:
                self._again(one)

    def _whole(self, one: Remembered, before: str) -> bool:
        """Load one source, unless it is as it was or still grows."""
        now = one.marker_now()
        if one.marker and one.marker == now:
            self._tell_once(one, now, "unchanged")
            return True
        if now != before:
            self._tell_once(
                one, "", "not loaded, as it is still being written; the old records stay in force"
            )
            return False
        return self._again(one)

    def _again(self, one: Remembered) -> bool:
        """Load one source; tells whether that went well."""
        marker = one.marker_now()
        try:
            report = self.load(one)
        except ElsewhereError as err:
            if not isinstance(err, _PASSING):
                self._failed[one.name] = marker
            words = f"not loaded, error [{err.code}]: {err}{_codes(err)}; the old records stay in force"
            self._tell_once(one, marker, words)
            return False
        remember(self.folder, one, marker)
        self._failed.pop(one.name, None)
        self._tell(
            one,
            f"{report.loaded} rows loaded, {report.loaded - report.unchanged} of them new or changed, "
            f"{report.removed} persons gone, {report.refused} rows refused{_noted(report)}",
        )
        return True

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
