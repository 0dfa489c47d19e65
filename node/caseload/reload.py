"""Loads remembered sources again when they have changed, one after another, and says one line about each.

Promises: what cannot be loaded leaves the records of before in force, is told once, and is tried again when
          it changes; a file is not read while it still grows. Lines hold counts and codes, never a value.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from elsewhere.clock import Clock
from elsewhere.errors import ElsewhereError, StoreBusy, StoreUnavailable
from node.caseload.remembered import Remembered, read_remembered, remember
from node.caseload.report import LoadReport
from node.errors import LoadRefused, LoadRunning

_PASSING = (LoadRunning, StoreBusy, StoreUnavailable)  # no fault of the export


class Reloading:
    """The sources of one node, and what became of them so far."""

    def __init__(
        self, folder: Path, load: Callable[[Remembered], LoadReport], say: Callable[[str], None], clock: Clock
    ) -> None:
        """Do nothing yet.

        Args:
            folder: the node's.
            load: loads one source; raises as `load_file`.
            say: told one line a load.
        """
        self._folder, self._load, self._say, self._clock = folder, load, say, clock
        self._failed: dict[str, str] = {}  # markers of exports that could not be loaded
        self._seen: dict[str, str] = {}  # markers at the last look

    def every(self) -> bool:
        """Load every table, and every file that has changed; tells whether all went well."""
        return all([self._again(one) for one in read_remembered(self._folder)])

    def changed(self) -> None:
        """Load every file that has changed, and not since the last look: then nobody is writing it."""
        for one in read_remembered(self._folder):
            if one.file is None:
                continue
            now = one.marker_now()
            is_settled, self._seen[one.name] = self._seen.get(one.name) == now, now
            if is_settled and one.has_changed() and self._failed.get(one.name) != now:
                self._again(one)

    def _again(self, one: Remembered) -> bool:
        """Load one source, unless it is as it was."""
        if not one.has_changed():
            self._tell(one, "unchanged")
            return True
        marker = one.marker_now()
        try:
            report = self._load(one)
        except ElsewhereError as err:
            if not isinstance(err, _PASSING):
                self._failed[one.name] = marker
            self._tell(
                one, f"not loaded, error [{err.code}]: {err}{_codes(err)}; the old records stay in force"
            )
            return False
        remember(self._folder, one, marker)
        self._failed.pop(one.name, None)
        self._tell(
            one,
            f"{report.loaded} rows loaded, {report.loaded - report.unchanged} of them new or changed, "
            f"{report.removed} persons gone, {report.refused} rows refused",
        )
        return True

    def _tell(self, one: Remembered, words: str) -> None:
        self._say(f"{self._clock():%Y-%m-%dT%H:%M:%SZ} {one.name}: {words}")


def _codes(err: ElsewhereError) -> str:
    """What a refused export's rows were refused for."""
    report = err.report if isinstance(err, LoadRefused) else None
    if not isinstance(report, LoadReport):
        return ""
    return "".join(f"; {code} {count}" for code, count in report.refused_codes.items())
