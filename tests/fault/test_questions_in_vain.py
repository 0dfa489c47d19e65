"""Questions that fill no agreed limit - refused, asked again - fill neither disk nor log without end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_bytes
from typing import Any

import pytest
from sqlalchemy import func, select, update
from structlog.testing import capture_logs

from elsewhere.clock import to_ms
from elsewhere.lookup import Decision, Head
from elsewhere.oprf import voprf
from elsewhere.wire.v1 import link_pb2
from node.answering import guard, intake, service
from node.answering.kept import forget
from node.asking.part import Part
from node.store.engine import Store
from node.store.exchange import log, question, tally
from tests.fault.direct import Pair, pair, with_request
from tests.fault.rig import somebody

pytestmark = pytest.mark.usefixtures("each_engine")

# One question a day to one agency, so four new ones in all.
EDITS = (("per_agency_per_day = 2000", "per_agency_per_day = 1"), ("red_reserve = 20", "red_reserve = 0"))
MOST = 4


@pytest.fixture(autouse=True)
def no_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small agreed limits make a small day here, as a test has no time for a thousand questions."""
    monkeypatch.setattr(guard, "LEAST_A_DAY", 1)


def frame_of(part: Part) -> link_pb2.Dispatch:
    """A first round as a gateway would hand it over."""
    frame = link_pb2.Dispatch(route=token_bytes(16), round=1, searcher="social", remaining_ms=30_000)
    frame.lookup_id, frame.sealed = part.request.lookup_id, part.seal_question()
    return frame


async def hand(two: Pair, part: Part) -> link_pb2.Reply | None:
    """Hand a first round over; None if it was dropped."""
    reply: link_pb2.Reply | None = await two.police.links[0]._parts.handle(frame_of(part))
    return reply


def again(two: Pair, urgency: str) -> Callable[[], Part]:
    """Make one question, as often as it is asked."""
    maker = two.social.searcher._exchange._parts.maker
    ask, lookup_id = somebody(urgency=urgency), token_bytes(16)
    prepared = maker.prepare(ask, maker.new_secrets(ask), maker.clock())

    def make() -> Part:
        now = maker.clock()
        member = maker.trust.member("police", now)
        route = maker.route(member, maker.collection(ask, member, now), now)
        assert route is not None
        return maker.part(ask, prepared, route, Head(0), lookup_id)

    return make


def pass_to(two: Pair, minutes: int) -> None:
    """Let it be so many minutes after the full hour that comes next, so that no test meets its end."""
    real = datetime.now(UTC)
    full = real.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    two.clock.by = full + timedelta(minutes=minutes) - real


def skewed(two: Pair, urgency: str = "RED") -> Part:
    """A question that is answered ERROR, whenever."""
    return with_request(
        two.part(somebody(urgency=urgency)), issued_ms=to_ms(two.clock() - timedelta(hours=1))
    )


async def send(two: Pair, count: int, urgency: str = "RED") -> list[bool]:
    """Ask so often in vain; whether each was answered."""
    return [await hand(two, skewed(two, urgency)) is not None for _ in range(count)]


def rows(store: Store) -> int:
    with store.read() as connection:
        return connection.execute(select(func.count()).select_from(question)).scalar_one()


def entries(two: Pair) -> Iterator[dict[str, Any]]:
    with two.police._store.read() as connection:
        found = (
            connection.execute(select(log.c.body).where(log.c.kind == "unredeemed").order_by(log.c.seq))
            .scalars()
            .all()
        )
    return map(json.loads, found)


async def test_questions_in_vain_end_with_the_day_for_all_processes_also_after_a_restart(
    tmp_path: Path,
) -> None:
    async with pair(tmp_path, *EDITS) as two:
        pass_to(two, 5)
        with capture_logs() as said:
            assert await send(two, MOST + 2) == [True] * MOST + [False] * 2
        assert [line["code"] for line in said if line["event"] == "question.dropped"] == ["queue.day"]
        assert rows(two.police._store) == MOST
        two.restart_police()
        assert await send(two, 1) == [False]
        # What would be permitted is dropped as well: nothing that is decided makes a difference.
        assert await hand(two, two.part(somebody())) is None
        assert rows(two.police._store) == MOST
        pass_to(two, 24 * 60 + 5)
        assert await send(two, MOST + 1) == [True] * MOST + [False]


async def test_of_what_is_beyond_the_day_nothing_is_evaluated_and_the_log_says_how_many_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated = []
    evaluate = voprf.blind_evaluate

    def note(*given: Any, **named: Any) -> Any:
        evaluated.append(1)
        return evaluate(*given, **named)

    async with pair(tmp_path, *EDITS) as two:
        pass_to(two, 5)
        await send(two, MOST)
        monkeypatch.setattr(voprf, "blind_evaluate", note)
        assert await send(two, 5) == [False] * 5
        assert not evaluated
        await two.police._writer.run(lambda connection: None)  # what was noted before is durable now
        pass_to(two, 72)
        with two.police._store.write() as connection:
            forget(connection, two.clock())
        said = [(entry["code"], entry["questions"], entry["counterparty"]) for entry in entries(two)]
        assert said == [("clock.skew", MOST, "social"), ("queue.day", 5, "social")]


async def test_no_number_of_other_questions_takes_the_room_of_red_ones(tmp_path: Path) -> None:
    async with pair(tmp_path, *EDITS) as two:
        assert await send(two, MOST + 1, "AMBER") == [True] * MOST + [False]
        reply = await hand(two, part := two.part(somebody(urgency="RED")))
        assert reply is not None
        assert part.open_reply(reply.sealed).ruling.decision is Decision.PERMIT
        # And it has an end of its own.
        assert await send(two, MOST, "RED") == [True] * (MOST - 1) + [False]


async def test_asking_again_takes_no_room_of_new_questions_and_is_one_entry_an_hour(tmp_path: Path) -> None:
    async with pair(tmp_path, *EDITS) as two:
        pass_to(two, 5)
        ask = again(two, "AMBER")
        for number in range(3 * MOST):
            pass_to(two, 5 + number)
            assert await hand(two, ask()) is not None
        # Nor does asking again what was refused.
        refused = two.part(somebody(urgency="AMBER"))
        for number in range(3 * MOST):
            came = to_ms(two.clock() - timedelta(hours=1)) + number
            assert await hand(two, with_request(refused, issued_ms=came, nonce=token_bytes(16))) is not None
        assert await send(two, MOST, "AMBER") == [True] * (MOST - 2) + [False] * 2
        await two.police._writer.run(lambda connection: None)  # what was noted before is durable now
        pass_to(two, 72)
        with two.police._store.write() as connection:
            forget(connection, two.clock())
        said = [(entry["code"] or entry["decision"], entry.get("questions")) for entry in entries(two)]
        refusals = ("clock.skew", 3 * MOST + MOST - 2)
        assert said == [("PERMIT", None), ("asked.again", 3 * MOST - 1), refusals, ("queue.day", 2)]


async def test_asking_again_has_an_end_too_which_ends_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "AGAIN_FOR_ONE", 2)
    async with pair(tmp_path, *EDITS) as two:
        ask, answered = again(two, "RED"), []
        for _ in range(2 * MOST + 2):
            answered.append(await hand(two, ask()) is not None)
            two.clock.by += timedelta(minutes=1)
        assert answered == [True] * (2 * MOST + 1) + [False]
        assert await send(two, 2, "RED") == [True] * 2


def test_one_question_asked_as_often_as_a_node_may_stays_far_below_the_end() -> None:
    every_quarter = 24 * 4 + 6  # after 30 s, then twice that, up to every 15 minutes
    for limit in (1, 2000):
        new = max(guard.LEAST_A_DAY, MOST * limit)
        assert new * intake.AGAIN_FOR_ONE > 3 * limit * every_quarter  # of three days, none of them answered


async def test_what_was_recorded_on_the_way_is_dropped_once_its_row_has_gone(tmp_path: Path) -> None:
    async with pair(tmp_path, *EDITS) as two:
        start = two.clock.by
        kept = []
        # Also of a clock that is wrong, as far as such a question is answered at all.
        for off in (timedelta(), timedelta(days=-1, hours=-23), timedelta(days=1, hours=23)):
            part = with_request(two.part(somebody()), issued_ms=to_ms(two.clock() + off))
            kept.append(frame_of(part))
        handle = two.police.links[0]._parts.handle
        assert all([(reply := await handle(frame)) and reply.sealed for frame in kept])
        for later in (timedelta(days=3, hours=23), timedelta(days=4, minutes=1), timedelta(days=6)):
            two.clock.by = start + later
            with two.police._store.write() as connection:
                forget(connection, two.clock())
            replies = [await handle(frame) for frame in kept]
            assert not any(reply and reply.sealed for reply in replies)
        assert replies == [None] * 3
        assert rows(two.police._store) == 0
        with two.police._store.write() as connection:
            forget(connection, two.clock())
            assert connection.execute(select(func.count()).select_from(tally)).scalar_one() == 0


@pytest.mark.parametrize("off", [timedelta(days=-2, minutes=-1), timedelta(days=2, minutes=1)])
async def test_a_question_issued_days_before_or_after_it_comes_is_dropped_uncounted(
    tmp_path: Path, off: timedelta
) -> None:
    async with pair(tmp_path, *EDITS) as two:
        with capture_logs() as said:
            part = with_request(two.part(somebody()), issued_ms=to_ms(two.clock() + off))
            assert await hand(two, part) is None
        assert [line["code"] for line in said if line["event"] == "question.dropped"] == ["queue.old"]
        assert rows(two.police._store) == 0
        assert await send(two, MOST + 1) == [True] * MOST + [False]


async def test_the_same_bytes_again_and_again_count_once(tmp_path: Path) -> None:
    async with pair(tmp_path, *EDITS) as two:
        frame = frame_of(skewed(two))
        replies = [await two.police.links[0]._parts.handle(frame) for _ in range(3 * MOST)]
        assert len({reply and reply.sealed for reply in replies}) == 1
        assert await send(two, MOST) == [True] * (MOST - 1) + [False]


async def test_one_agencys_day_is_no_others(tmp_path: Path) -> None:
    async with pair(tmp_path, *EDITS) as two:
        assert await send(two, MOST + 1) == [True] * MOST + [False]
        with two.police._store.write() as connection:
            connection.execute(update(tally).values(searcher="health"))
        assert await send(two, MOST + 1) == [True] * MOST + [False]


async def test_refused_questions_that_nobody_redeems_are_one_entry_an_hour_and_code(tmp_path: Path) -> None:
    async with pair(tmp_path) as two:
        pass_to(two, 5)
        await send(two, 5)
        for _ in range(3):
            assert await hand(two, with_request(two.part(somebody()), epoch=9)) is not None
        assert await hand(two, two.part(somebody())) is not None
        logged = []
        for minutes in (16, 69, 71, 72):  # that hour's last question can be redeemed for another ten minutes
            pass_to(two, minutes)
            with two.police._store.write() as connection:
                forget(connection, two.clock())
            logged.append(
                [(entry["code"] or entry["decision"], entry.get("questions")) for entry in entries(two)]
            )
        permitted = ("PERMIT", None)
        assert logged[0] == logged[1] == [permitted]
        assert logged[2] == logged[3] == [permitted, ("clock.skew", 5), ("version.epoch", 3)]
        pass_to(two, 25 * 60)
        with two.police._store.write() as connection:
            forget(connection, two.clock())
            assert connection.execute(select(func.count()).select_from(tally)).scalar_one() == 0


async def test_what_is_dropped_is_told_whole_once_the_flood_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LOG_EVERY_S", 0.05)
    async with pair(tmp_path, *EDITS) as two:
        pass_to(two, 5)
        with capture_logs() as said:
            await send(two, MOST + 7)
            async with asyncio.timeout(30):
                while sum(line["dropped"] for line in said if line["event"] == "question.dropped") < 7:
                    await asyncio.sleep(0.01)
