"""One searcher's flood is its own: bounded, paced, dropped in time, and nobody else's wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from node.answering.queueing import LOG_EVERY_S, WAITING, Bucket, Dropped, Drops, Pace, Told, Turns

OPEN = Pace(1000.0, 1000)
LONG_S = 600.0


class Floor:
    """Work that ends when a test says so, and a note of the order in which it began."""

    def __init__(self, turns: Turns) -> None:
        self.turns, self.began = turns, list[str]()
        self.tasks: list[asyncio.Task[None]] = []
        self._end = asyncio.Semaphore(0)

    async def _work(self, name: str, searcher: str, round_: int, within_s: float) -> None:
        async with self.turns.turn(searcher, round_, within_s):
            self.began.append(name)
            await self._end.acquire()

    async def come(self, name: str, searcher: str, round_: int = 1, within_s: float = LONG_S) -> None:
        """Ask for a turn, and let everybody go as far as they can."""
        self.tasks.append(asyncio.create_task(self._work(name, searcher, round_, within_s)))
        await settle()

    async def finish(self, count: int = 1) -> None:
        """End that much work, one after the other."""
        for _ in range(count):
            self._end.release()
            await settle()

    async def codes(self) -> list[str]:
        """Why those that were dropped so far were, in the order they came."""
        done = [task for task in self.tasks if task.done()]
        return [err.code for task in done if isinstance(err := task.exception(), Dropped)]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def floor(at_once: int = 1, pace: Pace = OPEN) -> AsyncIterator[Floor]:
    made = Floor(Turns(at_once, pace))
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)
    assert made.turns.waiting == 0
    assert made.turns._working == 0


async def test_searchers_take_turns_however_many_one_of_them_has_waiting() -> None:
    async with floor() as made:
        for number in range(5):
            await made.come(f"police {number}", "police")
        await made.come("social 0", "social")
        await made.come("hospital 0", "hospital")
        await made.come("social 1", "social")
        await made.finish(7)
        assert made.began == [
            "police 0",
            "police 1",
            "social 0",
            "hospital 0",
            "police 2",
            "social 1",
            "police 3",
            "police 4",
        ]
        await made.finish()


async def test_second_rounds_come_before_first_ones_and_take_turns_too() -> None:
    async with floor() as made:
        await made.come("police first", "police")
        await made.come("social first", "social")
        for number in range(2):
            await made.come(f"police second {number}", "police", 2)
        await made.come("social second", "social", 2)
        await made.finish(4)
        wanted = ["police second 0", "social second", "police second 1", "social first"]
        assert made.began == ["police first", *wanted]
        await made.finish()


async def test_no_more_is_worked_on_at_once_than_there_are_turns() -> None:
    async with floor(at_once=3) as made:
        for number in range(8):
            await made.come(f"{number}", f"agency-{number}")
        assert made.began == ["0", "1", "2"]
        await made.finish(2)
        assert made.began == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("round_", [1, 2])
async def test_a_full_queue_drops_what_comes_and_is_no_other_searchers(round_: int) -> None:
    async with floor() as made:
        for number in range(WAITING + 10):
            await made.come(f"{number}", "police", round_)
        # One is worked on, the rest of the room is full.
        assert await made.codes() == ["queue.full"] * 9
        assert made.turns.waiting == WAITING
        await made.come("social", "social", round_)
        assert made.turns.waiting == WAITING + 1
        await made.finish(2)
        assert made.began[-1] == "social"


async def test_what_nobody_waits_for_any_more_never_begins() -> None:
    async with floor() as made:
        await made.come("too late", "police", within_s=0)
        await made.come("at work", "police")
        await made.come("waits", "police", within_s=0.001)
        with pytest.raises(Dropped, match=r"^queue\.expired$"):
            await made.tasks[-1]
        assert made.turns.waiting == 0
        assert await made.codes() == ["queue.expired", "queue.expired"]
        await made.come("in time", "police")
        await made.finish()
        assert made.began == ["at work", "in time"]


async def test_whoever_gives_up_leaves_its_place_and_its_turn() -> None:
    async with floor() as made:
        for name in ("works", "waits", "last"):
            await made.come(name, "police")
        made.tasks[1].cancel()
        await settle()
        assert made.turns.waiting == 1
        # Called, and cancelled in the same moment: the turn goes to the next one.
        await made.come("after", "police")
        made._end.release()
        made.tasks[0].add_done_callback(lambda _: made.tasks[2].cancel())
        await settle()
        await made.finish()
        assert made.began[0] == "works"
        assert made.turns.waiting == 0
        assert "after" in made.began


async def test_a_turn_is_given_on_when_its_work_fails() -> None:
    turns = Turns(1, OPEN)
    with pytest.raises(ZeroDivisionError):
        async with turns.turn("police", 1, LONG_S):
            raise ZeroDivisionError
    async with turns.turn("police", 1, LONG_S):
        assert turns.waiting == 0


async def test_only_first_rounds_are_held_to_the_pace_each_searcher_to_its_own() -> None:
    async with floor(at_once=100, pace=Pace(0.001, 3)) as made:
        for number in range(5):
            await made.come(f"police {number}", "police")
        await made.come("social", "social")
        await made.come("second", "police", 2)
        assert await made.codes() == ["queue.rate"] * 2
        assert made.began == ["police 0", "police 1", "police 2", "social", "second"]


def test_a_bucket_fills_at_its_pace_up_to_its_burst() -> None:
    bucket = Bucket(Pace(2.0, 3), 3, 100.0)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(100.5), bucket.take(100.5)] == [True, False]
    assert [bucket.take(1000.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.take(900.0) is False  # a clock that goes back fills nothing


@pytest.mark.parametrize("pace", [(0.0, 1), (-1.0, 1), (1.0, 0)])
def test_a_pace_lets_something_pass(pace: tuple[float, int]) -> None:
    with pytest.raises(ValueError, match="pace"):
        Pace(*pace)


def test_a_flood_is_one_line_for_each_kind_of_drop_and_a_while() -> None:
    drops = Drops()
    assert drops.note("queue.full", "police", 0.0) == Told("police", 1, 0)
    assert not drops.is_first_untold("queue.full")
    assert drops.note("queue.full", "social", 1.0) is None
    assert drops.is_first_untold("queue.full")
    told = [drops.note("queue.full", "police" if n % 3 else "social", 1.0) for n in range(100)]
    assert told == [None] * 100
    assert not drops.is_first_untold("queue.full"), "somebody sees to it since the first of them"
    assert drops.note("queue.rate", "social", 1.0) == Told("social", 1, 0)
    assert drops.note("queue.full", "social", LOG_EVERY_S) == Told("police", 66, 36)
    assert drops.note("queue.full", "social", LOG_EVERY_S + 1) is None
    # The flood has ended: what was not told yet is told by itself.
    assert drops.rest("queue.full", 2 * LOG_EVERY_S) == Told("social", 1, 0)
    assert drops.rest("queue.full", 3 * LOG_EVERY_S) is None
