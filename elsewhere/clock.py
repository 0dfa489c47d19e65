"""The one name for a clock; programs hand `utc_now` in, tests a clock of their own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def to_ms(moment: datetime) -> int:
    """Whole milliseconds since 1970 UTC, as times travel on the wire."""
    return int(moment.timestamp() * 1000)


def from_ms(value: int) -> datetime:
    """The aware UTC moment of a wire time in milliseconds."""
    return datetime.fromtimestamp(value / 1000, UTC)
