"""How often somebody may do what costs others work: some times at once, then one every so often.

Sees:     ids and times.
"""

from __future__ import annotations


class Pace:
    """Counts for each who does it. All calls are made on one event loop.

    Args:
        burst: how many at once, at least 1.
        every_s: after how long there is room for one more, in seconds.
    """

    def __init__(self, burst: int, every_s: float) -> None:
        self._burst, self._every_s = burst, every_s
        self._left: dict[str, tuple[float, float]] = {}  # by id: how many are left, and when that was

    def take(self, who: str, now_s: float) -> bool:
        """Count one, unless there is no room; tells which.

        Args:
            who: is known: callers check that, or made-up ids would fill the memory.
            now_s: seconds of one clock; set back, it gives no room and takes none.
        """
        left, then_s = self._left.get(who, (self._burst, now_s))
        left = min(self._burst, left + max(0.0, now_s - then_s) / self._every_s)
        self._left[who] = (left - 1 if left >= 1 else left, now_s)
        return left >= 1
