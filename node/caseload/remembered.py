"""Which export and mapping each source was last loaded from, so that it can be loaded again by its name.

Holds:    paths, and what tells whether a file has changed since; nothing of what is in it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from elsewhere.errors import ConfigInvalid
from elsewhere.keyfiles import replace_file

FILE_NAME = "sources.json"


@dataclass(frozen=True, slots=True)
class Remembered:
    """One source as it was last loaded."""

    name: str
    file: Path | None  # absolute; None: a table of a database
    mapping: Path  # absolute
    marker: str = ""  # of file and mapping when they were loaded; "": never

    def marker_now(self) -> str:
        """What changes with file and mapping: their sizes, times and places on the disk. A table has none."""
        if self.file is None:
            return ""
        about = [path.stat() for path in (self.file, self.mapping) if path.exists()]
        facts = [(one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns) for one in about]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]

    def has_changed(self) -> bool:
        """Whether it is to be loaded again, as far as can be told without reading it."""
        return not self.marker or self.marker != self.marker_now()


def read_remembered(folder: Path) -> list[Remembered]:
    """Give every source that was loaded into a node, by name.

    Raises:
        ConfigInvalid: the file was changed by hand; remove it and load each source once.
    """
    try:
        found = json.loads((folder / FILE_NAME).read_bytes())
        return [
            Remembered(name, Path(one["file"]) if one["file"] else None, Path(one["mapping"]), one["marker"])
            for name, one in sorted(found.items())
        ]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigInvalid(
            f"expected {FILE_NAME} as loads write it; remove it, and load each source once"
        ) from None


def remember(folder: Path, item: Remembered, marker: str) -> None:
    """Put a source down as loaded.

    Args:
        marker: `marker_now` from before the load, so that a change meanwhile is noticed.
    """
    every = {one.name: one for one in read_remembered(folder)} | {item.name: replace(item, marker=marker)}
    written = {
        one.name: {
            "file": str(one.file.absolute()) if one.file else "",
            "mapping": str(one.mapping.absolute()),
            "marker": one.marker,
        }
        for one in every.values()
    }
    replace_file(folder / FILE_NAME, json.dumps(written, indent=2).encode() + b"\n")
