"""Questions that fill no agreed limit - refused, asked again - fill neither disk nor log without end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_bytes
from typing import Any

import pytest
from sqlalchemy import func, select
from structlog.testing import capture_logs

from elsewhere.wire import envelope
from elsewhere.wire.v1 import link_pb2
from node.answering import custodian, service
from node.answering.intake import take_in
from node.answering.kept import forget
from node.answering.queueing import Dropped
from node.asking.part import Part
from node.store.engine import Store
from node.store.exchange import log, question, tally
from tests.fault.direct import Pair, pair, with_request
from tests.fault.rig import somebody

pytestmark = pytest.mark.usefixtures("each_engine")

# One question a day to one agency, so four in all.
EDITS = (("per_agency_per_day = 2000", "per_agency_per_day = 1"), ("red_reserve = 20", "red_reserve = 0"))
MOST = 4


async def hand(two: Pair, part: Part) -> link_pb2.Reply | None:
    """Hand a first round over; None if it was dropped."""
    frame = link_pb2.Dispatch(route=token_bytes(16), round=1, searcher="social", remaining_ms=30_000)
    frame.lookup_id, frame.sealed = part.request.lookup_id, part.seal_question()
    reply: link_pb2.Reply | None = await two.police.links[0]._parts.handle(frame)
    return reply


def pass_to(two: Pair, minutes: int) -> None:
    """Let it be so many minutes after the full hour that comes next, so that no test meets its end."""
    real = datetime.now(UTC)
    full = real.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    two.clock.by = full + timedelta(minutes=minutes) - real


def skewed(two: Pair) -> Part:
    """A question that is answered ERROR, whenever."""
    return with_request(two.part(somebody()), issued_ms=1)


async def send(two: Pair, count: int) -> list[bool]:
    """Ask so often in vain; whether each was answered."""
    return [await hand(two, skewed(two)) is not None for _ in range(count)]


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
        # What would be permitted is dropped as well: nothing that is asked makes a difference.
        assert await hand(two, two.part(somebody())) is None
        assert rows(two.police._store) == MOST
        pass_to(two, 24 * 60 + 5)
        assert await send(two, MOST + 1) == [True] * MOST + [False]


async def test_of_what_is_beyond_the_day_one_question_an_hour_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    unwrap = envelope.unwrap

    def note(*given: Any, **named: Any) -> Any:
        opened.append(named["kind"] if "kind" in named else given[1])
        return unwrap(*given, **named)

    async with pair(tmp_path, *EDITS) as two:
        pass_to(two, 5)
        await send(two, MOST)
        monkeypatch.setattr(custodian, "unwrap", note)
        assert await send(two, 5) == [False] * 5
        assert len(opened) == 1
        pass_to(two, 65)
        assert await send(two, 5) == [False] * 5
        assert len(opened) == 2


async def test_the_same_bytes_again_and_again_count_once(tmp_path: Path) -> None:
    async with pair(tmp_path, *EDITS) as two:
        part = skewed(two)
        frame = link_pb2.Dispatch(route=token_bytes(16), round=1, searcher="social", remaining_ms=30_000)
        frame.lookup_id, frame.sealed = part.request.lookup_id, part.seal_question()
        replies = [await two.police.links[0]._parts.handle(frame) for _ in range(3 * MOST)]
        assert len({reply and reply.sealed for reply in replies}) == 1
        assert await send(two, MOST) == [True] * (MOST - 1) + [False]


async def test_one_agencys_day_is_no_others(tmp_path: Path) -> None:
    async with pair(tmp_path, *EDITS) as two:
        await send(two, MOST + 1)
        now = two.clock()
        with two.police._store.write() as connection:
            with pytest.raises(Dropped):
                take_in(connection, "social", now, MOST)
            for _ in range(MOST):
                take_in(connection, "health", now, MOST)
            with pytest.raises(Dropped):
                take_in(connection, "health", now, MOST)


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
