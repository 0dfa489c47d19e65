"""One process leads, and can prove it: terms that end in order, by silence, or under a lead that sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from node.errors import LeadLost
from node.processes.lead import Lead, LeadParts, leader
from node.store.engine import Store, open_store
from node.store.processes import lease
from node.store.writer import Writer
from tests.stores import PLACES

pytestmark = pytest.mark.usefixtures("each_engine")

LEASE_S = 10.0


@dataclass
class At:
    """A clock that says what it is told."""

    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Processes:
    """Processes of one node: a store opened by each, and one clock."""

    path: Path
    clock: At
    opened: list[tuple[Store, Writer]]

    def start(self, name: str) -> Lead:
        store = open_store(PLACES.url(self.path))
        writer = Writer(store)
        self.opened.append((store, writer))
        return Lead(LeadParts(store, writer, name, self.clock, LEASE_S))

    def check(self, lead: Lead, number: int) -> None:
        with self.opened[0][0].write() as connection:
            lead.check(connection, number)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path, At(), [])
    yield made
    for store, writer in made.opened:
        writer.close()
        store.close()


def pass_s(processes: Processes, seconds: float, *leads: Lead) -> None:
    """Let time pass second by second, in which only these processes look."""
    for _ in range(round(seconds)):
        processes.clock.now_s += 1
        for lead in leads:
            lead.look()


def test_the_first_leads_for_as_long_as_it_looks_and_the_others_wait(processes: Processes) -> None:
    first, second = processes.start("a"), processes.start("b")
    first.look()
    second.look()

    pass_s(processes, 100, first, second)

    assert (first.number, second.number) == (1, 0)
    assert first.is_leading
    assert not second.is_leading
    processes.check(first, 1)
    with pytest.raises(LeadLost):
        processes.check(second, 0)
    with pytest.raises(LeadLost):
        processes.check(second, 1)


def test_a_lead_that_falls_silent_is_followed_after_the_lease_and_not_before(processes: Processes) -> None:
    first, second = processes.start("a"), processes.start("b")
    first.look()
    second.look()

    pass_s(processes, LEASE_S - 1, second)
    assert second.number == 0
    pass_s(processes, 1, second)

    assert second.number == 2
    assert second.is_leading


def test_a_lead_that_slept_through_its_term_can_write_nothing_and_finds_out(processes: Processes) -> None:
    first, second = processes.start("a"), processes.start("b")
    first.look()
    second.look()
    pass_s(processes, LEASE_S, second)

    assert first.number == 1, "it has not looked yet"
    assert not first.is_leading, "but it knows how long it has not"
    with pytest.raises(LeadLost):
        processes.check(first, 1)
    first.look()

    assert first.number == 0
    assert second.number == 2
    processes.check(second, 2)


def test_a_lead_that_nobody_followed_goes_on_in_its_term(processes: Processes) -> None:
    first = processes.start("a")
    first.look()
    processes.clock.now_s += 10 * LEASE_S

    first.look()

    assert first.is_leading
    assert first.number == 1


def test_an_orderly_end_hands_over_at_once_and_is_final(processes: Processes) -> None:
    first, second = processes.start("a"), processes.start("b")
    first.look()
    second.look()

    first.release()
    with pytest.raises(LeadLost):
        processes.check(first, 1)
    first.look()  # a look that was under way when it ended
    second.look()

    assert (first.number, second.number) == (0, 2)


def test_a_process_that_was_killed_and_comes_back_leads_at_once_in_a_new_term(processes: Processes) -> None:
    processes.start("a").look()
    other = processes.start("b")
    other.look()

    again = processes.start("a")
    again.look()

    assert again.number == 2
    pass_s(processes, 3 * LEASE_S, again, other)
    assert other.number == 0


def test_two_processes_under_one_name_by_mistake_do_not_take_the_lead_from_each_other_for_ever(
    processes: Processes,
) -> None:
    one, other = processes.start("a"), processes.start("a")
    one.look()
    other.look()

    pass_s(processes, 100, one, other)

    assert (one.number, other.number) == (0, 2)
    with pytest.raises(LeadLost):
        processes.check(one, 1)


def test_of_two_that_see_the_lead_fall_silent_one_takes_it(processes: Processes) -> None:
    first, *others = [processes.start(name) for name in "abc"]
    for lead in (first, *others):
        lead.look()

    pass_s(processes, LEASE_S, *others)

    assert [lead.number for lead in others] == [2, 0]
    with processes.opened[0][0].read() as connection:
        assert leader(connection) == "b"
        assert connection.execute(select(func.count()).select_from(lease)).scalar() == 1


def test_a_holder_that_turns_out_to_be_alive_is_left_alone(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = processes.start("a"), processes.start("b")
    first.look()
    second.look()
    pass_s(processes, LEASE_S - 1, second)
    processes.clock.now_s += 1
    store, writer = processes.opened[1]
    submit = writer.submit

    def late(change: object) -> object:
        with store.write() as connection:  # the beat that came between its look and its turn to write
            connection.execute(update(lease).values(beat=lease.c.beat + 1))
        return submit(change)  # type: ignore[arg-type]

    monkeypatch.setattr(writer, "submit", late)
    second.look()

    assert second.number == 0
    processes.check(first, 1)


async def test_work_runs_in_each_term_and_in_no_other(processes: Processes) -> None:
    first, second = processes.start("a"), processes.start("b")
    log: list[str] = []

    async def work() -> None:
        log.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            log.append("ended")

    doing = asyncio.create_task(first.during(work))
    for lead in (first, second):
        lead.look()
        lead._tell()
    await _until(lambda: log == ["begun"])
    pass_s(processes, LEASE_S, second)
    first.look()
    first._tell()
    await _until(lambda: log == ["begun", "ended"])

    second.release()
    first.look()
    first._tell()
    await _until(lambda: log == ["begun", "ended", "begun"])
    doing.cancel()
    await asyncio.gather(doing, return_exceptions=True)
    assert log == ["begun", "ended"] * 2


async def test_work_that_ends_by_itself_is_not_begun_again_and_what_fails_is(processes: Processes) -> None:
    lead = processes.start("a")
    attempts = 0

    async def work() -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise OSError("a disk that is full for a moment")

    lead.look()
    lead._tell()
    async with asyncio.timeout(20):
        await lead.during(work)

    assert attempts == 2


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.001)
