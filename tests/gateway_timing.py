"""Time that stands still until a test moves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


@dataclass(eq=False)
class FakeAlarm:
    """A call to be made when its time has come."""

    due_s: float
    call: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass
class FakeTiming:
    """Clocks and alarms that a test moves by hand."""

    start: datetime = datetime(2026, 3, 1, 9, tzinfo=UTC)
    now_s: float = 0.0
    alarms: list[FakeAlarm] = field(default_factory=list)

    def utc_now(self) -> datetime:
        return self.start + timedelta(seconds=self.now_s)

    def steady_s(self) -> float:
        return self.now_s

    def later(self, delay_s: float, call: Callable[[], None]) -> FakeAlarm:
        alarm = FakeAlarm(self.now_s + delay_s, call)
        self.alarms.append(alarm)
        return alarm

    def advance(self, seconds: float) -> None:
        """Let time pass, making each call at its own moment."""
        end = self.now_s + seconds
        while due := [a for a in self.alarms if not a.is_cancelled and a.due_s <= end]:
            alarm = min(due, key=lambda a: a.due_s)
            self.alarms.remove(alarm)
            self.now_s = alarm.due_s
            alarm.call()
        self.now_s = end

    @property
    def pending(self) -> int:
        """How many calls are still to be made."""
        return sum(not alarm.is_cancelled for alarm in self.alarms)
