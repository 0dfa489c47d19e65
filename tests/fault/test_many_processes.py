"""Two real processes on one store answer as one: limits exact, a nonce used once, rounds at either."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_bytes
from typing import Any

import pytest

from elsewhere.lookup import EvaluateReply, RedeemRequest
from elsewhere.wire import kinds
from elsewhere.wire.convert import lookup as convert
from elsewhere.wire.v1 import link_pb2
from node.asking.part import Part
from tests import partnership
from tests.fault import answer_process
from tests.fault.direct import Pair, pair
from tests.fault.rig import counted, leaves
from tests.federation import ZOE, ask_about

pytestmark = pytest.mark.usefixtures("each_engine")

PATIENCE_S = 60.0


@dataclass
class Process:
    """One process of the police, at the other end of a pipe."""

    child: asyncio.subprocess.Process
    waiting: dict[bytes, asyncio.Future[link_pb2.Reply]] = field(default_factory=dict)

    async def say(self, part: Part, sealed: bytes, round_: int) -> bytes | None:
        """Hand sealed bytes over; None if they were refused."""
        dispatch = link_pb2.Dispatch(
            route=token_bytes(16),
            round=round_,
            searcher="social",
            lookup_id=part.request.lookup_id,
            sealed=sealed,
            remaining_ms=30_000,
        )
        data = dispatch.SerializeToString()
        said = self.waiting[dispatch.route] = asyncio.get_running_loop().create_future()
        assert self.child.stdin is not None
        self.child.stdin.write(len(data).to_bytes(4) + data)
        reply = await asyncio.wait_for(said, PATIENCE_S)
        return None if reply.refused else reply.sealed

    async def listen(self) -> None:
        """Take what it says until it ends."""
        assert self.child.stdout is not None
        while True:
            size = int.from_bytes(await self.child.stdout.readexactly(4))
            reply = link_pb2.Reply.FromString(await self.child.stdout.readexactly(size))
            self.waiting.pop(reply.route).set_result(reply)


@asynccontextmanager
async def processes(two: Pair, *names: str) -> AsyncIterator[list[Process]]:
    """Start processes of the police; each knows what the node in this process knows."""
    two.police.trust.keep()
    made = []
    for name in names:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            answer_process.__file__,
            two.made.folder / "police",
            name,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        made.append(Process(child))
    listening = [asyncio.create_task(process.listen()) for process in made]
    try:
        yield made
    finally:
        for process, task in zip(made, listening, strict=True):
            task.cancel()
            assert process.child.stdin is not None
            process.child.stdin.close()
            await process.child.wait()


def _parts(two: Pair, count: int, asker: str = "worker") -> list[Part]:
    """That many lookups by one person."""
    ask = replace(ask_about(ZOE), asker=asker)
    maker = two.social.searcher._exchange._parts.maker
    return two.parts(ask, maker.prepare(ask, maker.new_secrets(ask), maker.clock()), count)


async def _ask(process: Process, part: Part) -> EvaluateReply:
    sealed = await process.say(part, part.seal_question(), 1)
    assert sealed is not None
    return part.open_reply(sealed)


def _redeem(two: Pair, part: Part, reply: EvaluateReply, **changes: Any) -> bytes:
    """Seal round two."""
    terms: dict[str, Any] = {"request_digest": part.digest, "nonce": token_bytes(16), "names_asked": True}
    terms |= {"reveals": tuple(two.every_hit(part, reply)[:4])} | changes
    payload = convert.redeem_request_to_wire(RedeemRequest(**terms))
    sealed, part.redeem_digest = two.seal(part, payload, kinds.REDEEM_REQUEST, 2)
    return sealed


def _codes(replies: Sequence[EvaluateReply]) -> Counter[str]:
    return Counter(reply.ruling.code or reply.ruling.decision.name for reply in replies)


@pytest.mark.parametrize("seed", range(2))
async def test_of_questions_spread_over_two_processes_exactly_the_limit_is_permitted(
    tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)
    burst, day = draw.randint(3, 12), draw.randint(14, 24)
    edits = (("burst = 20", f"burst = {burst}"), ("per_agency_per_day = 2000", f"per_agency_per_day = {day}"))
    async with pair(tmp_path, *edits, ("red_reserve = 20", "red_reserve = 0")) as two:
        async with processes(two, "a", "b") as both:
            parts = [part for asker in "uvw" for part in _parts(two, 2 * burst, asker)]
            draw.shuffle(parts)
            replies = await asyncio.gather(*(_ask(draw.choice(both), part) for part in parts))
        permitted = _codes(replies)["PERMIT"]
        assert permitted == min(3 * burst, day)
        assert counted(two.police) == permitted
        assert len(_codes(replies)) > 1, "some were refused"


async def test_one_question_sent_to_both_at_once_gets_one_reply_and_is_counted_once(tmp_path: Path) -> None:
    async with pair(tmp_path, ("burst = 20", "burst = 5")) as two, processes(two, "a", "b") as both:
        for number in range(5):  # the fifth also meets the limit that it fills itself
            part = _parts(two, 1)[0]
            sealed = part.seal_question()
            said = await asyncio.gather(*(process.say(part, sealed, 1) for process in both * 2))
            assert said[0] is not None
            assert len(set(said)) == 1
            assert counted(two.police) == number + 1
            assert _codes([part.open_reply(said[0])]) == {"PERMIT": 1}


async def test_the_second_round_may_go_to_the_other_process_and_is_good_once_in_all(tmp_path: Path) -> None:
    async with pair(tmp_path) as two, processes(two, "a", "b") as (first, second):
        one, other = _parts(two, 2)
        reply = await _ask(first, one)
        before, sealed = leaves(two.police), _redeem(two, one, reply)
        said = await asyncio.gather(*(process.say(one, sealed, 2) for process in (second, first, second)))
        assert said[0] is not None
        assert len(set(said)) == 1, "the same bytes get the same bytes"
        assert one.open_answer(said[0], two.clock()).answer.state.name == "KNOWN_CURRENT"
        assert leaves(two.police) == before + 1

        reply = await _ask(second, other)
        rivals = [_redeem(two, other, reply) for _ in range(4)]
        both = (first, second, first, second)
        said = await asyncio.gather(
            *(process.say(other, rival, 2) for process, rival in zip(both, rivals, strict=True))
        )
        assert sum(answer is not None for answer in said) == 1, "one of several redeems"
        assert leaves(two.police) == before + 2


@pytest.mark.parametrize("round_", [1, 2])
async def test_a_member_of_whose_revocation_one_process_hears_is_refused_by_the_others(
    tmp_path: Path, round_: int
) -> None:
    async with pair(tmp_path) as two, processes(two, "a") as (other,):
        one, following = _parts(two, 2)
        reply = await _ask(other, one)
        before = counted(two.police), leaves(two.police)

        # A gateway that the other process is not linked to shows the process here the new roster.
        partnership.set_state(tmp_path / "gw", "social", "revoked", now=datetime.now(UTC))
        trust = two.police.trust
        assert trust.take_directory((tmp_path / "gw" / "roster.json").read_bytes(), b"", []) == []
        trust.keep()

        if round_ == 1:
            assert await other.say(following, following.seal_question(), 1) is None
        else:
            assert await other.say(one, _redeem(two, one, reply), 2) is None
        assert (counted(two.police), leaves(two.police)) == before
