"""Which export and mapping each source was last loaded from, so that it can be loaded again by its name.

Holds:    paths, and what tells whether a file has changed since; nothing of what is in it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from elsewhere.errors import ConfigInvalid
from elsewhere.keyfiles import replace_file
from elsewhere.locks import hold_lock
from node.errors import SourceUnreadable

FILE_NAME = "sources.json"
_LOCK = "sources.lock"


@dataclass(frozen=True, slots=True)
class Remembered:
    """One source as it was last loaded."""

    name: str
    file: Path | None  # absolute; None: a table of a database
    mapping: Path  # absolute
    marker: str = ""  # of file and mapping when they were loaded; "": never
    load: int = 0  # that brought it into force, by its number in the store; 0: not known

    def marker_now(self) -> str:
        """What changes with file and mapping: their sizes, times and places on the disk. A table has none.

        Raises:
            SourceUnreadable: what is there cannot be told, as where a file server is away.
        """
        if self.file is None:
            return ""
        try:
            about = [one for path in (self.file, self.mapping) if (one := _about(path)) is not None]
        except OSError as err:
            raise SourceUnreadable(f"expected to look at file and mapping: {err.strerror}") from None
        facts = [(one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns) for one in about]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]

    def is_due(self, now: str, in_force: Mapping[str, int] | None) -> bool:
        """Whether it is to be loaded again, as far as can be told without reading it.

        Args:
            now: what `marker_now` gave.
            in_force: the load of each source that stands in the store; None if that is not known.
        """
        is_lost = in_force is not None and in_force.get(self.name) != self.load
        return not self.marker or self.marker != now or is_lost


def _about(path: Path) -> os.stat_result | None:
    """What the file system says of a file; None if it is not there."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_remembered(folder: Path) -> list[Remembered]:
    """Give every source that was loaded into a node, by name.

    Raises:
        ConfigInvalid: the file was changed by hand; remove it and load each source once.
    """
    try:
        found = json.loads((folder / FILE_NAME).read_bytes())
        return [
            Remembered(
                name,
                Path(one["file"]) if one["file"] else None,
                Path(one["mapping"]),
                one["marker"],
                one.get("load", 0),
            )
            for name, one in sorted(found.items())
        ]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigInvalid(
            f"expected {FILE_NAME} as loads write it; remove it, and load each source once"
        ) from None


def is_remembered(folder: Path, name: str) -> bool:
    """Whether a source is still to be loaded again by itself."""
    return any(one.name == name for one in read_remembered(folder))


def remember(folder: Path, item: Remembered, marker: str, load: int = 0) -> None:
    """Put a source down as loaded.

    Args:
        marker: `marker_now` from before the load, so that a change meanwhile is noticed.
        load: its number in the store.
    """
    with hold_lock(folder / _LOCK):
        every = {one.name: one for one in read_remembered(folder)}
        _write(folder, every | {item.name: replace(item, marker=marker, load=load)})


def forget(folder: Path, name: str) -> bool:
    """Load a source again by itself no more; tells whether it was remembered."""
    with hold_lock(folder / _LOCK):
        every = {one.name: one for one in read_remembered(folder)}
        if name not in every:
            return False
        _write(folder, {key: one for key, one in every.items() if key != name})
        return True


def _write(folder: Path, every: Mapping[str, Remembered]) -> None:
    """Put all that is remembered in the place of what was."""
    written = {
        one.name: {
            "file": str(one.file.absolute()) if one.file else "",
            "mapping": str(one.mapping.absolute()),
            "marker": one.marker,
            "load": one.load,
        }
        for one in every.values()
    }
    replace_file(folder / FILE_NAME, json.dumps(written, indent=2).encode() + b"\n")
