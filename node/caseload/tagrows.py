"""One tag as it is handed from worker to file to store: 40 bytes.

Holds:    set, tag, which record of its chunk or file it belongs to, and the ordinal of its match key.

Arrays of rows are joined with `dtype=ROW`: left to itself, numpy turns the numbers' bytes round.
"""

from __future__ import annotations

from typing import Final

import numpy as np

# `lead` is the tag's first 8 bytes: the short tag, and enough to sort by. Nothing lies between the fields.
ROW: Final = np.dtype(
    [("set", ">u2"), ("lead", ">u8"), ("rest", "V24"), ("place", "<u4"), ("ordinal", "<u2")]
)
DECOY: Final = 0xFFFF  # the ordinal of a row that is an entry of the catalogue only: nobody can ask for it


def head_of(set_id: int) -> bytes:
    """What stands before a tag."""
    return set_id.to_bytes(2)


def tail_of(place: int, ordinal: int) -> bytes:
    """What stands behind a tag."""
    return place.to_bytes(4, "little") + ordinal.to_bytes(2, "little")
