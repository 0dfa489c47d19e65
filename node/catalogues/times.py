"""How long publishing may take before others are told that it has not worked.

Promises: a load is out within so many ticks: what would take longer goes out as a snapshot.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

CALL_TIMEOUT_S: Final = 30.0
PATIENCE_TICKS: Final = 1  # and a call's timeout: for so long a version may wait to be taken
MAX_BACKLOG_TICKS: Final = 10  # a backlog that would take longer goes out as a snapshot


def patience_s(tick_s: float) -> float:
    """How long a version may wait to be taken while an older one is stated."""
    return PATIENCE_TICKS * tick_s + CALL_TIMEOUT_S


def within(tick_s: float) -> timedelta:
    """How long it takes at most, with a gateway that listens, until all of a load can be found."""
    return timedelta(seconds=(MAX_BACKLOG_TICKS + 1) * tick_s + patience_s(tick_s))
