"""The opening audit's draw: which entries of a log an auditor opens, so that nobody can choose.

Sees:     signatures of witnesses; the places of entries.
Promises: an entry is drawn by the first signature of each witness over a log that holds it. That signature
          cannot be foretold without the witness's key, and was made when the entry could be altered no more;
          whoever wrote the entry decides neither. A witness that works with the log saves it from its own
          draw and not from the other's.
Source:   docs/ledger.md, "What is opened".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

RATE: Final = 0.02  # of all entries, by all witnesses together
_DOMAIN: Final = b"elsewhere/opening/v1"
_SCALE: Final = 2**64


@dataclass(frozen=True, slots=True)
class Draw:
    """One signature of a witness over a log, and the entries that it is the first to cover: [start, stop)."""

    signature: bytes
    start: int  # entries, from 0
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.stop:
            raise ValueError(f"expected a range of entries, got {self.start} to {self.stop}")

    @property
    def at_s(self) -> int:
        """When the witness signed, POSIX time: the first 8 bytes of what is in its line."""
        return int.from_bytes(self.signature[:8])


def rate_of_each(witnesses: int) -> float:
    """Give the share that each of some witnesses draws, so that all together draw `RATE`.

    Args:
        witnesses: how many there are; at least 1.
    """
    return float(1 - (1 - RATE) ** (1 / witnesses))


def is_drawn(signature: bytes, place: int, witnesses: int) -> bool:
    """Tell whether a signature draws one entry.

    Args:
        signature: of the witness, with the time before it: 72 bytes.
        place: of the entry in its log, from 0.
        witnesses: how many there are of this log.
    """
    digest = hashlib.sha256(_DOMAIN + signature + place.to_bytes(8)).digest()
    return int.from_bytes(digest[:8]) < int(rate_of_each(witnesses) * _SCALE)


def drawn(draws: Iterable[Draw], witnesses: int) -> Iterator[int]:
    """Give the places that one witness's signatures draw, in order."""
    for draw in draws:
        for place in range(draw.start, draw.stop):
            if is_drawn(draw.signature, place, witnesses):
                yield place
