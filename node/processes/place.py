"""What one process of a node has to itself: a name, a folder for its socket and copies, a lock.

Holds:    nothing; keys, trust, settings and own catalogues lie in the node's folder, which all share.
Refuses:  a second process of one name: it would take the desk's socket, and the first one's link.

The first process is `main` and lives in the node's folder itself; any other lives in `processes/NAME` there.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from elsewhere.errors import ConfigInvalid
from elsewhere.locks import try_lock
from node.errors import NodeRunning

MAIN: Final = "main"
OTHERS: Final = "processes"
LOCK: Final = "running.lock"
PROCESS_NAME: Final = "[a-z][a-z0-9-]{0,31}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one process of a node lives."""

    node: Path  # the node's folder
    process: str = MAIN

    def __post_init__(self) -> None:
        if not re.fullmatch(PROCESS_NAME, self.process):
            raise ConfigInvalid("--process: expected a lower-case letter, then up to 31 of a-z, 0-9 and -")

    @property
    def folder(self) -> Path:
        """What only this process writes in."""
        return self.node if self.process == MAIN else self.node / OTHERS / self.process

    @property
    def desk_socket(self) -> Path:
        """Where the desk API listens: a Unix socket of mode 0600."""
        return self.folder / "desk.sock"

    @property
    def catalogues(self) -> Path:
        """Copies of the other agencies' catalogues."""
        return self.folder / "catalogues"

    def make(self) -> None:
        """Make the folder, for its owner alone."""
        for folder in (self.node / OTHERS, self.folder):
            if self.process != MAIN:
                folder.mkdir(mode=0o700, exist_ok=True)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep a second process of this name out; the system lets go of the lock if this one is killed.

        Raises:
            NodeRunning: there is one.
        """
        self.make()
        with try_lock(self.folder / LOCK) as is_mine:
            if not is_mine:
                raise NodeRunning(
                    f"expected no other process {self.process!r} of this node; one is running. "
                    "Stop it, or give this one a name: --process NAME"
                )
            yield


def other_places(node: Path) -> list[Place]:
    """The places of all processes but `main` that there are or were, by name."""
    try:
        names = sorted(path.name for path in (node / OTHERS).iterdir() if path.is_dir())
    except FileNotFoundError:
        return []
    return [Place(node, name) for name in names if name != MAIN and re.fullmatch(PROCESS_NAME, name)]
