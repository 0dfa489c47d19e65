"""Time as the gateway uses it: a wall clock for people, a steady one for deadlines, and alarms.

One object, so that a test can hold all three still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from elsewhere.clock import Clock


class Alarm(Protocol):
    """A call that will be made later unless it is cancelled."""

    def cancel(self) -> None:
        """Make it not happen; harmless after it has."""


class Timing(Protocol):
    """What the gateway asks of time."""

    def utc_now(self) -> datetime:
        """Aware UTC time, which may be set back; for what people read."""

    def steady_s(self) -> float:
        """Seconds that never go back, from any start; for deadlines."""

    def later(self, delay_s: float, call: Callable[[], None]) -> Alarm:
        """Call once, `delay_s` seconds from now, on the event loop."""


class LoopTiming:
    """Timing by the running event loop and a wall clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()

    def utc_now(self) -> datetime:
        """The wall clock handed in."""
        return self._clock()

    def steady_s(self) -> float:
        """The loop's own monotonic clock."""
        return self._loop.time()

    def later(self, delay_s: float, call: Callable[[], None]) -> Alarm:
        """The loop's own alarm."""
        return self._loop.call_later(delay_s, call)
