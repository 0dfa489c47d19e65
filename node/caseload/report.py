"""What a load did, in counts and codes: the one thing of a load that is printed, logged and kept.

Promises: row numbers and codes only; no value of any row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_LISTED = 10_000

# Told (phase, done, total) as a load goes on; a total of 0 means not known.
Progress = Callable[[str, int, int], None]


def no_progress(_phase: str, _done: int, _total: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """The outcome of one load or dry run. Counts are of rows unless they say otherwise."""

    source: str
    is_dry_run: bool
    read: int
    loaded: int  # in force after this load, or would be
    unchanged: int  # of those, found as they were
    removed: int  # persons in force before and no longer
    expired: int  # good, and not loaded as they may no longer be kept
    refused: int
    refused_codes: dict[str, int]
    refused_rows: tuple[tuple[int, str], ...]  # (row number, code), the first MAX_LISTED
    notes: dict[str, int]  # loaded with something to look at, by code
    shields: dict[str, int]  # records in force by the shield of their child
    children: int  # groups among all sources' records
    tags: int  # new with this load
    resumed: int  # records of which a load that was killed had made the tags
    new_entries: int  # short tags that no catalogue of their epoch had yet
    load: int  # its number, as in the log; 0 for a dry run


@dataclass(slots=True)
class Tally:
    """Counts kept while a load runs."""

    source: str
    is_dry_run: bool
    read: int = 0
    good: int = 0
    unchanged: int = 0
    removed: int = 0
    expired: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    refused_rows: list[tuple[int, str]] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    shields: Counter[str] = field(default_factory=Counter)
    children: int = 0
    tags: int = 0
    resumed: int = 0
    new_entries: int = 0
    load: int = 0

    def refuse(self, row: int, code: str) -> None:
        """Count a refused row; list it while the list is of a size that a person reads."""
        self.refused[code] += 1
        if len(self.refused_rows) < MAX_LISTED:
            self.refused_rows.append((row, code))

    def report(self) -> LoadReport:
        """Close the count."""
        return LoadReport(
            source=self.source,
            is_dry_run=self.is_dry_run,
            read=self.read,
            loaded=self.good,
            unchanged=self.unchanged,
            removed=self.removed,
            expired=self.expired,
            refused=self.refused.total(),
            refused_codes=dict(sorted(self.refused.items())),
            refused_rows=tuple(self.refused_rows),
            notes=dict(sorted(self.notes.items())),
            shields=dict(sorted(self.shields.items())),
            children=self.children,
            tags=self.tags,
            resumed=self.resumed,
            new_entries=self.new_entries,
            load=self.load,
        )
