"""One member floods a custodian: everybody else is answered, nothing late is opened, memory has a bound."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_bytes
from typing import Any

import pytest
import structlog

from elsewhere.errors import SealBroken
from elsewhere.lookup import Decision
from elsewhere.wire.envelope import Opened
from elsewhere.wire.v1 import link_pb2
from node.answering import custodian
from node.answering.queueing import BEYOND_WORKERS, WAITING
from node.links import link
from tests.fault.direct import Pair, pair
from tests.fault.rig import somebody

WORKERS = 2
AT_ONCE = WORKERS + BEYOND_WORKERS


class Work:
    """Stands in for what the custodian does: notes who was opened, and lasts until a test says so."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, int]] = []
        self.go_on = threading.Event()

    def open(self, _: custodian.Custodian, searcher: str, *given: Any) -> Opened:
        self.opened.append((searcher, given[-1]))
        self.go_on.wait()
        raise SealBroken("made up")


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    made = Work()
    monkeypatch.setattr(custodian.Custodian, "_open", lambda *given: made.open(*given))
    yield made
    made.go_on.set()


@asynccontextmanager
async def police(folder: Path, **lookup: Any) -> AsyncIterator[Pair]:
    settings = {"redeem_tick_ms": 0, "workers": WORKERS} | lookup
    async with pair(folder, lookup=settings) as two:
        yield two


def dispatch(searcher: str, round_: int = 1, remaining_ms: int = 30_000) -> link_pb2.Dispatch:
    frame = link_pb2.Dispatch(route=token_bytes(16), round=round_, searcher=searcher, sealed=b"anything")
    frame.lookup_id, frame.remaining_ms = token_bytes(16), remaining_ms
    return frame


def hand(two: Pair, count: int, frame: link_pb2.Dispatch) -> list[asyncio.Task[Any]]:
    handle = two.police.links[0]._parts.handle
    return [asyncio.ensure_future(handle(frame)) for _ in range(count)]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_searchers_flood_does_not_keep_anothers_question_waiting(
    tmp_path: Path, work: Work
) -> None:
    async with police(tmp_path) as two:
        flood = hand(two, 500, dispatch("police"))
        await settle()
        other = hand(two, 1, dispatch("social"))
        second = hand(two, 1, dispatch("social", 2))
        await settle()
        dropped = [task for task in flood if task.done()]
        assert [task.result() for task in dropped] == [None] * len(dropped)
        # What the burst let in: some at work, the others in line; the rest is gone.
        assert len(flood) - len(dropped) == 64
        assert two.police.answering.turns.waiting == 64 - AT_ONCE + 2
        work.go_on.set()
        replies = [await task for task in (*other, *second)]
        assert [reply.refused for reply in replies] == [True, True]
        # Each gets the next turn but one at most, however many of the flood came first.
        order = [(searcher, round_) for searcher, round_ in work.opened if searcher == "social"]
        assert order == [("social", 2), ("social", 1)]
        assert work.opened.index(("social", 1)) <= AT_ONCE + 2
        await asyncio.gather(*flood)


async def test_nothing_is_opened_after_its_deadline(tmp_path: Path, work: Work) -> None:
    async with police(tmp_path) as two:
        gone = hand(two, 3, dispatch("social", remaining_ms=0))
        assert await asyncio.gather(*gone) == [None] * 3
        busy = hand(two, AT_ONCE, dispatch("social"))
        await settle()
        late = hand(two, 20, dispatch("social", remaining_ms=1))
        # Nothing ends meanwhile, and still they do not stay in line.
        assert await asyncio.gather(*late) == [None] * 20
        assert two.police.answering.turns.waiting == 0
        work.go_on.set()
        await asyncio.gather(*busy)
        assert len(work.opened) == AT_ONCE


async def test_names_that_a_gateway_makes_up_share_one_queue_and_one_pace(tmp_path: Path, work: Work) -> None:
    async with police(tmp_path, others_burst=10_000) as two:
        made_up = [task for n in range(500) for task in hand(two, 1, dispatch(f"nobody-{n}", 1 + n % 2))]
        await settle()
        assert two.police.answering.turns.waiting == 2 * WAITING
        assert len(two.police.answering.turns._buckets) == 1
        work.go_on.set()
        await asyncio.gather(*made_up)


async def test_noise_in_a_members_name_keeps_its_questions_from_no_other_gateway(tmp_path: Path) -> None:
    async with police(tmp_path, others_per_s=0.1, others_burst=4) as two:
        await asyncio.gather(*hand(two, 5, dispatch("social")))
        part = two.part(somebody())
        frame = dispatch("social")
        frame.lookup_id, frame.sealed = part.request.lookup_id, part.seal_question()
        noisy = two.police.links[0]._parts.address
        assert await two.police.answering.handle(frame, link=noisy) is None
        reply = await two.police.answering.handle(frame, link="another.example:443")
        assert reply is not None
        assert part.open_reply(reply.sealed).ruling.decision is Decision.PERMIT


async def test_a_dropped_question_gets_no_reply_and_a_flood_few_lines(tmp_path: Path, work: Work) -> None:
    async with police(tmp_path, others_per_s=0.1, others_burst=1) as two:
        work.go_on.set()
        with structlog.testing.capture_logs() as lines:
            replies = [await task for task in hand(two, 200, dispatch("social"))]
    assert [reply is not None for reply in replies] == [True] + [False] * 199
    told = [line for line in lines if line["event"] == "question.dropped"]
    assert [(line["code"], line["searcher"], line["dropped"]) for line in told] == [
        ("queue.rate", "social", 1)
    ]


async def test_a_question_that_would_be_denied_uses_up_the_pace_like_any_other(tmp_path: Path) -> None:
    async with police(tmp_path, others_per_s=0.1, others_burst=4) as two:
        purposes = ("S47_ENQUIRY", "UNSCHEDULED_CARE", "UNSCHEDULED_CARE", "S47_ENQUIRY", "S47_ENQUIRY")
        parts = [two.part(somebody(purpose=purpose)) for purpose in purposes]
        frames = [dispatch("social") for _ in parts]
        for part, frame in zip(parts, frames, strict=True):
            frame.lookup_id, frame.sealed = part.request.lookup_id, part.seal_question()
        replies = [await hand(two, 1, frame)[0] for frame in frames]
        assert replies.pop() is None
        said = [
            part.open_reply(reply.sealed).ruling.decision
            for part, reply in zip(parts[:4], replies, strict=True)
        ]
        assert said == [Decision.PERMIT, Decision.DENY, Decision.DENY, Decision.PERMIT]


async def test_a_link_takes_no_more_than_it_has_room_for(
    tmp_path: Path, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "HANDLING", 3)
    async with police(tmp_path) as two:
        frames = [link_pb2.AttachResponse(dispatch=dispatch("social")) for _ in range(10)]

        async def read(call: list[link_pb2.AttachResponse]) -> Any:
            return call.pop() if call else None

        monkeypatch.setattr(link, "_read", read)
        here: Any = two.police.links[0]
        await here._receive(frames, 1.0)
        assert len(here._handling) == 3
        work.go_on.set()
        await asyncio.gather(*here._handling)
