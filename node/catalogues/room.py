"""How much memory the copies of all catalogues together may take, and which part of it is whose.

Sees:     sizes, and how many custodians there are.
Refuses:  whatever would go over the bound, so that no member can publish the others out of memory; nor can
          one take what another has, or its part.
Promises: half of the room is kept in equal parts, one for each custodian. The other half is for whoever
          needs more, and of it no custodian has more than half while there is another. What is counted for a
          catalogue has an eighth to spare where there is room, as sizes are coarse to an eighth: its deltas
          and its next snapshot are then no matter of what others have taken since.

Two members who collude can take all that is in nobody's part; whoever needs more than a part feels it then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from node.catalogues.holding import CatalogueName
from node.errors import CatalogueNoRoom

_SPARE = 8  # an eighth


class Room:
    """Counts tags, of each catalogue those of the newest version that was begun. Any thread may call it.

    While a snapshot comes in place of another, the one held is on top of the bound. So is, once there are
    more custodians, what those before them have, until it is dropped.
    """

    def __init__(self, max_tags: int, custodians: Callable[[], int]) -> None:
        """Divide so many tags between so many custodians, as they are at each moment."""
        self._max_tags, self._custodians = max_tags, custodians
        self._taken: dict[CatalogueName, int] = {}
        self._lock = threading.Lock()

    def take(self, name: CatalogueName, tags: int) -> None:
        """Count so many tags for a catalogue, in the place of what was counted for it before.

        Raises:
            CatalogueNoRoom: with those of all the others it would be too many. The count stays as it was.
        """
        with self._lock:
            if tags <= self._taken.get(name, 0):
                return  # its own already
            left = self._left(name)
            if tags > left:
                raise CatalogueNoRoom(
                    f"expected room for {tags} tags; {max(left, 0)} are left to that agency"
                )
            self._taken[name] = min(tags + tags // _SPARE, left)

    def leave(self, name: CatalogueName) -> None:
        """Count nothing for a catalogue any more."""
        with self._lock:
            self._taken.pop(name, None)

    def _left(self, name: CatalogueName) -> int:
        """How many tags a catalogue may have with all others as they are."""
        count = max(1, self._custodians())
        part = self._max_tags // (2 * count)
        common = self._max_tags - part * count
        of_each: dict[str, int] = {}
        for other, taken in self._taken.items():
            if other != name:
                of_each[other.custodian] = of_each.get(other.custodian, 0) + taken
        own = of_each.pop(name.custodian, 0)
        of_others = sum(max(0, taken - part) for taken in of_each.values())
        most = common if count == 1 else common // 2
        return part + max(0, min(most, common - of_others)) - own
