"""How often one agency may do what all others are told of: some times at once, then one every so often.

Sees:     agency ids and times.
"""

from __future__ import annotations


class Pace:
    """Counts for each agency. All calls are made on the event loop.

    Args:
        burst: how many at once, at least 1.
        every_s: after how long there is room for one more, in seconds.
    """

    def __init__(self, burst: int, every_s: float) -> None:
        self._burst, self._every_s = burst, every_s
        self._left: dict[str, tuple[float, float]] = {}  # by agency: how many are left, and when that was

    def take(self, agency: str, now_s: float) -> bool:
        """Count one, unless there is no room; tells which.

        Args:
            agency: has a certificate: callers check that, or made-up ids would fill the memory.
            now_s: seconds of any steady clock.
        """
        left, then_s = self._left.get(agency, (self._burst, now_s))
        left = min(self._burst, left + (now_s - then_s) / self._every_s)
        self._left[agency] = (left - 1 if left >= 1 else left, now_s)
        return left >= 1
