"""Which version of each own catalogue this agency states as its newest.

Holds:    for each catalogue the newest version made, the newest one taken, and since when something waits.
Promises: what is stated never goes back. A gateway that takes nothing newer, or forgets what it took, cannot
          keep searchers on an old copy for longer than the patience: from then on the newest version made is
          stated, which they cannot fetch, so that they report STALE and not that nothing was found.

Any thread may read; only one may write.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from elsewhere.lookup import Head

Name = tuple[str, int]  # collection, epoch


_MAX_WAITING = 64  # whose times are kept apart


@dataclass(frozen=True, slots=True)
class _Entry:
    """One catalogue's standing; replaced whole."""

    newest: Head
    taken: Head  # the newest that every gateway in use had at some time
    waiting: tuple[tuple[int, float], ...] = ()  # versions above `taken`, and when each was made


_NOTHING = _Entry(Head(0), Head(0))


class Standing:
    """What is stated of all own catalogues.

    Args:
        patience_s: how long a version may wait to be taken while an older one is stated.
        now_s: a clock that never goes back.
    """

    def __init__(self, patience_s: float, now_s: Callable[[], float]) -> None:
        self._patience_s, self._now_s = patience_s, now_s
        self._entries: dict[Name, _Entry] = {}

    def begin(self, name: Name, newest: Head, stated: Head) -> None:
        """Take up what an earlier term made and stated; whatever is not stated yet waits from now on."""
        self._entries[name] = _Entry(stated, stated)
        self.made(name, newest)

    def forget(self, name: Name) -> None:
        """State nothing of a catalogue any more: its key is gone."""
        self._entries.pop(name, None)

    def made(self, name: Name, head: Head) -> None:
        """Note a version that is durable now, and waits unless it has been taken already."""
        found = self._entries.get(name, _NOTHING)
        if head.version <= found.newest.version:
            return
        waiting = found.waiting
        if head.version > found.taken.version and len(waiting) < _MAX_WAITING:
            waiting = (*waiting, (head.version, self._now_s()))
        self._entries[name] = replace(found, newest=head, waiting=waiting)

    def taken(self, name: Name, head: Head) -> None:
        """Note a version that all gateways in use have."""
        found = self._entries.get(name, _NOTHING)
        if head.version <= found.taken.version:
            return
        waiting = tuple(entry for entry in found.waiting if entry[0] > head.version)
        if not waiting and head.version < found.newest.version:
            # Its time was not kept; it was made after those that were.
            waiting = found.waiting[-1:]
        self._entries[name] = replace(found, taken=head, waiting=waiting)

    def head(self, name: Name) -> Head:
        """Give the version to state; version 0, with which nobody can answer for us, before there is any."""
        found = self._entries.get(name, _NOTHING)
        return found.newest if self._is_late(found) else found.taken

    def late(self) -> set[Name]:
        """Give the catalogues whose newest version has waited longer than the patience."""
        return {name for name, found in self._entries.items() if self._is_late(found)}

    def _is_late(self, found: _Entry) -> bool:
        """Whether something has waited for too long."""
        return bool(found.waiting) and self._now_s() - found.waiting[0][1] > self._patience_s
