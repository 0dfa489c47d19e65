"""Chance for made-up people: the same seed and place give the same draws, on every machine and Python.

Promises: only Mersenne Twister's `random()` seeded by a whole number is used, which Python keeps the same
          over its versions; text seeds go through SHA-256, so Python's hash seed has no say.
"""

from __future__ import annotations

import bisect
import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draw:
    """A stream of chances for one thing, such as one household or one agency's view of one child."""

    __slots__ = ("next",)

    def __init__(self, seed: int, *about: str | int) -> None:
        text = "/".join(map(str, (seed, *about)))
        self.next = random.Random(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")).random

    def chance(self, share: float) -> bool:
        """Whether something of this share, 0 to 1, comes about."""
        return self.next() < share

    def below(self, count: int) -> int:
        """A whole number from 0 to count - 1."""
        return int(self.next() * count)

    def between(self, first: int, last: int) -> int:
        """A whole number from first to last."""
        return first + int(self.next() * (last - first + 1))

    def pick(self, things: Sequence[T]) -> T:
        """One of them, each as likely."""
        return things[int(self.next() * len(things))]

    def weighted(self, sums: Sequence[float]) -> int:
        """A place in a list of running sums, as likely as its step up."""
        return min(bisect.bisect_right(sums, self.next() * sums[-1]), len(sums) - 1)

    def shuffle(self, things: list[T]) -> None:
        """Put a list into another order (Fisher and Yates)."""
        for at in range(len(things) - 1, 0, -1):
            other = int(self.next() * (at + 1))
            things[at], things[other] = things[other], things[at]
