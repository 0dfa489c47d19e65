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


def to_ms(moment: datetime) -> int:
    """Whole milliseconds since 1970 UTC, as times travel on the wire."""
    return int(moment.timestamp() * 1000)


def from_ms(value: int) -> datetime:
    """The aware UTC moment of a wire time in milliseconds."""
    return datetime.fromtimestamp(value / 1000, UTC)
