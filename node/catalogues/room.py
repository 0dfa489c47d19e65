"""How much memory the copies of all catalogues together may take.

Sees:     sizes.
Refuses:  whatever would go over the bound, so that no member can publish the others out of memory.
"""

from __future__ import annotations

import threading

from node.catalogues.holding import CatalogueName
from node.errors import CatalogueNoRoom


class Room:
    """Counts tags, of each catalogue those of the newest version that was begun. Any thread may call it.

    While a snapshot comes in place of another, the one held is on top of the bound.
    """

    def __init__(self, max_tags: int) -> None:
        self._max_tags = max_tags
        self._taken: dict[CatalogueName, int] = {}
        self._lock = threading.Lock()

    def take(self, name: CatalogueName, tags: int) -> None:
        """Count so many tags for a catalogue, in the place of what was counted for it before.

        Raises:
            CatalogueNoRoom: with those of all the others it would be too many. The count stays as it was.
        """
        with self._lock:
            others = sum(taken for other, taken in self._taken.items() if other != name)
            if others + tags > self._max_tags:
                raise CatalogueNoRoom(f"expected room for {tags} tags; {self._max_tags - others} are left")
            self._taken[name] = tags

    def leave(self, name: CatalogueName) -> None:
        """Count nothing for a catalogue any more."""
        with self._lock:
            self._taken.pop(name, None)
