"""Whose question is worked on next: bounded queues, one a searcher, so that none can keep out the others.

Sees:     searchers and times; never a message.
Refuses:  what comes faster than one searcher may ask, what finds its queue full, what nobody waits for any
          more: all before anything is opened, so whatever a question would have come to costs the same here.
Promises: searchers take turns, second rounds before first ones, and no more work than threads can do.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Hashable
from dataclasses import dataclass, field

WAITING = 64  # of one searcher and round
BEYOND_WORKERS = 4  # at once: some wait for the store while the crypto threads work on
LOG_EVERY_S = 10.0  # for one kind of drop, however many there are


class Dropped(Exception):
    """A dispatch is not worked on; the gateway finds that this custodian timed out."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one searcher may ask: `burst` at once, then `per_s` a second."""

    per_s: float
    burst: int

    def __post_init__(self) -> None:
        if self.per_s <= 0 or self.burst < 1:
            raise ValueError("expected a pace that lets something pass")


@dataclass(slots=True)
class Bucket:
    """What one searcher may still ask at once, through one gateway."""

    pace: Pace
    left: float
    filled: float  # when, in seconds of any one clock

    def take(self, now: float) -> bool:
        """Take one out, if there is one."""
        self.left = min(self.pace.burst, self.left + max(0.0, now - self.filled) * self.pace.per_s)
        self.filled = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass(slots=True)
class Turns:
    """Hands out turns on one loop. Callers bound who is a searcher: a member of the roster on one link."""

    at_once: int
    pace: Pace
    _working: int = 0
    _buckets: dict[Hashable, Bucket] = field(default_factory=dict)
    # By round, the searchers that wait: the first of them is next, and goes to the end with what is left.
    _lines: dict[int, dict[Hashable, deque[asyncio.Future[None]]]] = field(
        default_factory=lambda: {2: {}, 1: {}}
    )

    @contextlib.asynccontextmanager
    async def turn(self, searcher: Hashable, round_: int, within_s: float) -> AsyncIterator[None]:
        """Wait for a turn and hold it.

        Args:
            searcher: whose turn.
            round_: 1 or 2; only first rounds are held to the pace, as each admits one second round.
            within_s: from now until nobody waits for the reply any more.

        Raises:
            Dropped: too fast, too many waiting, or too late. Nothing is held.
        """
        now = asyncio.get_running_loop().time()
        if within_s <= 0:
            raise Dropped("queue.expired")
        if round_ == 1 and not self._bucket(searcher, now).take(now):
            raise Dropped("queue.rate")
        await self._wait(searcher, round_, now + within_s)
        try:
            yield
        finally:
            self._working -= 1
            self._call_next()

    @property
    def waiting(self) -> int:
        """How many wait, of all searchers and both rounds."""
        return sum(len(line) for lines in self._lines.values() for line in lines.values())

    async def _wait(self, searcher: Hashable, round_: int, until: float) -> None:
        """Stand in line until called; leave it when it is too late, or when whoever waits gave up."""
        line = self._lines[round_].setdefault(searcher, deque())
        if len(line) >= WAITING:
            raise Dropped("queue.full")
        called = asyncio.get_running_loop().create_future()
        line.append(called)
        self._call_next()
        try:
            async with asyncio.timeout_at(until):
                await called
        except BaseException as err:
            if called.done() and not called.cancelled():
                self._working -= 1  # called in the very moment of giving up
            else:
                self._leave(searcher, round_, called)
            self._call_next()
            if isinstance(err, TimeoutError):
                raise Dropped("queue.expired") from None
            raise

    def _call_next(self) -> None:
        """Give free turns away."""
        while self._working < self.at_once and (called := self._next()) is not None:
            if not called.done():
                self._working += 1
                called.set_result(None)

    def _next(self) -> asyncio.Future[None] | None:
        """Take whoever is next out of line: second rounds first, then searcher by searcher."""
        for lines in self._lines.values():
            for searcher in lines:
                line = lines.pop(searcher)
                called = line.popleft()
                if line:
                    lines[searcher] = line
                return called
        return None

    def _leave(self, searcher: Hashable, round_: int, called: asyncio.Future[None]) -> None:
        lines = self._lines[round_]
        line = lines.get(searcher, deque())
        if called in line:
            line.remove(called)
            if not line:
                del lines[searcher]

    def _bucket(self, searcher: Hashable, now: float) -> Bucket:
        return self._buckets.setdefault(searcher, Bucket(self.pace, self.pace.burst, now))


@dataclass(frozen=True, slots=True)
class Told:
    """What was dropped since the last line: by the searcher that had most, and by all others together."""

    searcher: str
    dropped: int
    of_others: int


@dataclass(slots=True)
class Drops:
    """Counts what was dropped, so that a flood of questions is no flood of log lines and hides nobody's."""

    _since: dict[str, Counter[str]] = field(default_factory=dict)
    _told: dict[str, float] = field(default_factory=dict)

    def note(self, code: str, searcher: str, now: float) -> Told | None:
        """Count one drop; gives the line that is due, or None."""
        since = self._since.setdefault(code, Counter())
        since[searcher] += 1
        told = self._told.get(code)
        if told is not None and now - told < LOG_EVERY_S:
            return None
        return self.rest(code, now)

    def is_first_untold(self, code: str) -> bool:
        """Whether one drop alone waits to be told, so that somebody has to see to it that it is."""
        return self._since[code].total() == 1

    def rest(self, code: str, now: float) -> Told | None:
        """Give the line about what was dropped since the last one; None if nothing was."""
        since = self._since[code]
        if not since:
            return None
        self._told[code] = now
        (searcher, dropped), every = since.most_common(1)[0], since.total()
        since.clear()
        return Told(searcher, dropped, every - dropped)
