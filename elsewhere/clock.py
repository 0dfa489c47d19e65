"""The one name for a clock, and how far two may differ; programs hand `utc_now` in, tests their own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

Clock = Callable[[], datetime]

# As much as two clocks may differ in the protocol: the oldest or newest question that is accepted. What is
# signed to be in force at once counts from this much earlier, or everybody whose clock is behind would take
# it for not in force yet.
CLOCK_TOLERANCE: Final = timedelta(minutes=5)
# The latest time that a peer may state, in the year 3084: later ones overflow what is reckoned with them.
MAX_MS: Final = 2**45
_BEGIN: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


def to_ms(moment: datetime) -> int:
    """Whole milliseconds since 1970 UTC, as times travel on the wire: those that `from_ms` was given.

    Counted in whole numbers. Through a float, some times of what was signed would come back a millisecond
    earlier, and its digest with them.
    """
    return (moment - _BEGIN) // _MS


def from_ms(value: int) -> datetime:
    """The aware UTC moment of a wire time in milliseconds."""
    return _BEGIN + value * _MS
