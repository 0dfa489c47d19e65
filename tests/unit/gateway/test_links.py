"""Links without a network: beats, queues, succession, and since when an agency is away."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from elsewhere.errors import GatewayDraining, LinkOutOfOrder, LinkReplaced, LinkSilent, LinkSlow
from elsewhere.wire.status import LinksTaken
from elsewhere.wire.v1 import directory_pb2, link_pb2
from gateway.links import Absence, Link, Links
from tests.gateway_timing import FakeTiming

SEEN = datetime(2026, 2, 28, tzinfo=UTC)


class Left(list[str]):
    """Whose links are gone, in order."""

    def __call__(self, link: Link) -> None:
        self.append(link.agency)


@pytest.fixture
def left() -> Left:
    return Left()


@pytest.fixture
def links(timing: FakeTiming, left: Left) -> Links:
    return Links(timing, beat_ms=1000, last_seen={"schools": SEEN}, left=left, most=2)


def new(agency: str = "police", capacity: int = 4, owed: int = 4, process: str = "") -> Link:
    return Link(agency, capacity=capacity, owed=owed, process=process)


def frame(number: int) -> link_pb2.AttachResponse:
    return link_pb2.AttachResponse(beat=link_pb2.Beat(sequence=number))


async def sent(link: Link) -> list[link_pb2.AttachResponse]:
    """Everything that waits on a link."""
    found = []
    while link.waiting:
        found.append(await link.next_frame())
    return [one for one in found if one is not None]


async def test_beats_go_out_once_a_period_and_are_numbered(links: Links, timing: FakeTiming) -> None:
    link = new()
    links.attach(link)
    for _ in range(3):
        link.heard = True
        timing.advance(1)

    assert [one.beat.sequence for one in await sent(link)] == [1, 2, 3]


async def test_three_silent_periods_end_a_link_and_two_do_not(
    links: Links, timing: FakeTiming, left: Left
) -> None:
    link = new()
    links.attach(link)
    timing.advance(2)
    link.heard = True
    timing.advance(3)
    assert not link.is_ended

    timing.advance(1)

    assert isinstance(link.error, LinkSilent)
    assert left == ["police"]
    assert links.absence("police") == Absence(False, timing.utc_now())
    assert timing.pending == 0


@pytest.mark.parametrize("sequence", [1, 0])
def test_a_beat_that_does_not_go_up_is_out_of_order(sequence: int) -> None:
    link = new()
    link.beat(1)

    with pytest.raises(LinkOutOfOrder):
        link.beat(sequence)


async def test_the_newest_link_of_a_process_takes_over_without_the_agency_leaving(
    links: Links,
    timing: FakeTiming,
    left: Left,
) -> None:
    older, newer = new(), new()
    links.attach(older)
    links.attach(newer)

    assert isinstance(older.error, LinkReplaced)
    assert links.all() == (newer,)
    assert left == ["police"]
    assert links.absence("police") is None
    assert await older.next_frame() is None
    assert timing.pending == 1  # the newer one's beat


def test_a_link_that_is_taken_over_keeps_what_it_has_and_is_asked_nothing_new(
    links: Links, timing: FakeTiming, left: Left
) -> None:
    one, other, newer, newest = new(process="one"), new(process="two"), new(process="one"), new(process="one")
    for link in (one, other):
        links.attach(link)
    links.attach(newer, takes_over=True)

    assert not one.is_ended
    assert links.for_question("police", not_new=False) == [other, newer]
    assert one in links.for_question("police", not_new=True)
    with pytest.raises(LinksTaken):
        links.attach(new(process="three"), takes_over=True)

    links.attach(newest, takes_over=True)  # no third one of a process
    assert isinstance(one.error, LinkReplaced)
    assert not newer.is_ended
    newer.end(None)
    assert set(links.all()) == {other, newest}
    newest.end(None)
    other.end(None)
    assert links.absence("police") == Absence(False, timing.utc_now())
    assert left == ["police"] * 4
    assert timing.pending == 0


def test_processes_of_one_agency_stand_side_by_side_until_there_are_too_many(
    links: Links, left: Left
) -> None:
    one, two = new(process="one"), new(process="two")
    links.attach(one)
    links.attach(two)
    with pytest.raises(LinksTaken):
        links.attach(new(process="three"))
    assert links.all() == (one, two)

    again = new(process="one")
    links.attach(again)

    assert isinstance(one.error, LinkReplaced)
    assert set(links.all()) == {two, again}
    two.end(None)
    assert links.absence("police") is None
    again.end(None)
    assert links.absence("police") is not None
    assert left == ["police"] * 3


def test_an_agency_is_in_maintenance_only_once_all_of_its_processes_drain(
    links: Links, timing: FakeTiming
) -> None:
    one, two = new(process="one"), new(process="two")
    for link in (one, two):
        links.attach(link)
    links.drain(one, draining=True)

    assert links.absence("police") is None
    assert links.for_question("police", not_new=False) == [two]
    assert links.for_question("police", not_new=True) == [two, one]

    timing.start += timedelta(seconds=5)
    links.drain(two, draining=True)
    assert links.absence("police") == Absence(True, timing.utc_now())
    assert links.for_question("police", not_new=False) == []


def test_an_agency_is_away_since_it_was_last_seen(links: Links) -> None:
    assert links.absence("schools") == Absence(False, SEEN)
    assert links.absence("nobody") == Absence(False, None)


def test_a_drain_stays_announced_when_the_link_ends_and_goes_with_the_next(
    links: Links, timing: FakeTiming
) -> None:
    link = new()
    links.attach(link)
    assert links.absence("police") is None
    links.drain(link, draining=True)
    since = timing.utc_now()
    timing.start += timedelta(seconds=5)
    links.drain(link, draining=True)
    assert links.absence("police") == Absence(True, since)
    link.end(None)
    assert links.absence("police") == Absence(True, since)
    links.attach(new())
    assert links.absence("police") is None


def test_a_full_queue_takes_no_more_questions_but_still_takes_answers() -> None:
    link = new(capacity=2, owed=2)
    assert [link.offer(frame(n)) for n in (1, 2, 3)] == [True, True, False]
    link.send(frame(3))
    link.send(frame(4))
    before = link.error

    link.send(frame(5))

    assert before is None
    assert isinstance(link.error, LinkSlow)
    assert link.waiting == 0
    assert not link.offer(frame(6))


async def test_whoever_does_not_read_is_not_read_from_until_there_is_room() -> None:
    link = new(capacity=1)
    await link.has_room()
    link.send(frame(1))
    waiting = asyncio.ensure_future(link.has_room())
    await asyncio.wait([waiting], timeout=0)
    assert not waiting.done()

    await link.next_frame()

    await waiting


async def test_a_directory_that_has_not_gone_out_is_replaced_by_the_newer_one() -> None:
    link = new()
    for roster in (b"old", b"new"):
        link.show_directory(link_pb2.AttachResponse(directory=directory_pb2.Directory(roster=roster)))
    link.send(frame(1))

    first, second = await link.next_frame(), await link.next_frame()

    assert first is not None
    assert first.WhichOneof("frame") == "beat"
    assert second is not None
    assert second.directory.roster == b"new"


async def test_an_ended_link_lets_go_of_whoever_waits_on_it(links: Links) -> None:
    link = new()
    links.attach(link)
    waiting = asyncio.ensure_future(link.next_frame())
    await asyncio.wait([waiting], timeout=0)

    links.end_all(GatewayDraining("going down"))

    assert await waiting is None
    assert links.all() == ()
