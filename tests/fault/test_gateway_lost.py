"""A gateway that goes while a lookup is under way: everybody has one state at once, and what came is kept."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime

import pytest

from elsewhere.asking import Coverage, State
from elsewhere.lookup import Decision, EvaluateReply, RedeemReply, Reveal, Ruling
from node.asking.part import Part
from node.catalogues.holding import Held
from node.links import link as linking
from tests.fault.rig import Asking, Hold, check_absent, check_healed, kept, somebody
from tests.federation import Federation

pytestmark = pytest.mark.asyncio(loop_scope="module")
Found = tuple[tuple[Reveal, ...], Ruling]
AT_ONCE_S = 10  # half of the deadline, so that no deadline can have brought it about


async def _lose_gateway(made: Federation, asking: Asking) -> None:
    """End the gateway as a crash would and take the end of the lookup; then bring it back."""
    try:
        await made.kill_gateway()
        await asking.end(AT_ONCE_S)
    finally:
        await made.start_gateway()


@pytest.mark.parametrize("round_", [1, 2])
@pytest.mark.parametrize("after", [False, True])
async def test_a_gateway_killed_while_a_custodian_works_leaves_it_unreachable(
    made: Federation, round_: int, after: bool
) -> None:
    police = made.nodes["police"]
    before = kept(police)
    hold = Hold(police, round_, after=after)
    asking = Asking(made)
    await asyncio.wait_for(hold.reached.wait(), AT_ONCE_S)
    await asking.heard_of("hospital")
    await _lose_gateway(made, asking)
    hold.end()
    found = await asking.end()

    check_absent(found, police=State.UNREACHABLE)
    # What the hospital had said before is kept: losing the way to one is not losing the other's answer.
    assert found.state("hospital") is State.KNOWN_CURRENT
    assert found.answers["police"].code == "gateway.unreachable"
    await asyncio.wait_for(hold.passed.wait(), AT_ONCE_S)
    await check_healed(made)
    # The question counted once; it was answered only if its Redeem had come.
    assert kept(police) == (before[0] + 2, before[1] + (2 if round_ == 2 else 1))


async def test_a_gateway_killed_before_any_reply_leaves_everybody_unreachable(made: Federation) -> None:
    holds = [Hold(made.nodes[name], 1) for name in ("police", "hospital")]
    asking = Asking(made)
    for hold in holds:
        await asyncio.wait_for(hold.reached.wait(), AT_ONCE_S)
    await _lose_gateway(made, asking)
    for hold in holds:
        hold.end()
    check_absent(await asking.end(), police=State.UNREACHABLE, hospital=State.UNREACHABLE)
    await check_healed(made)


async def test_without_any_link_everybody_is_unreachable_at_once(made: Federation) -> None:
    social = made.nodes["social"]
    before = kept(made.nodes["police"])
    await made.kill_gateway()
    async with asyncio.timeout(AT_ONCE_S):
        while social.links[0].attached.is_set():
            await asyncio.sleep(0.01)
        found = await made.ask("social", somebody())
    check_absent(found, police=State.UNREACHABLE, hospital=State.UNREACHABLE)
    assert found.coverage is Coverage.NONE
    assert all(answer.elapsed_ms < AT_ONCE_S * 1000 for answer in found.answers.values())
    await made.start_gateway()
    await check_healed(made)
    assert kept(made.nodes["police"]) == (before[0] + 1, before[1] + 1)


async def test_an_answer_that_came_before_the_gateway_went_is_kept(
    made: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, may_read = threading.Event(), threading.Event()
    open_answer = Part.open_answer

    def slowly(part: Part, sealed: bytes, now: datetime) -> RedeemReply:
        if part.request.custodian == "police":
            reading.set()
            assert may_read.wait(AT_ONCE_S)
        return open_answer(part, sealed, now)

    monkeypatch.setattr(Part, "open_answer", slowly)
    asking = Asking(made)
    assert await asyncio.to_thread(reading.wait, AT_ONCE_S)
    await asking.heard_of("hospital")
    await made.kill_gateway()
    while made.nodes["social"].links[0].attached.is_set():
        await asyncio.sleep(0.01)
    may_read.set()
    found = await asking.end(AT_ONCE_S)
    await made.start_gateway()
    check_absent(found, police=State.KNOWN_CURRENT)
    await check_healed(made)


@pytest.mark.parametrize(
    ("ruled", "state"),
    [
        (Ruling(Decision.DENY, "local.purpose", "clause 7", "call"), State.DENIED),
        (Ruling(Decision.ERROR, "catalogue.stale"), State.STALE),
        (Ruling(Decision.INCOMPATIBLE, "version.protocol"), State.INCOMPATIBLE),
    ],
)
async def test_what_round_one_said_stands_when_round_two_is_lost(
    made: Federation, monkeypatch: pytest.MonkeyPatch, ruled: Ruling, state: State
) -> None:
    find = Part.find_reveals

    def find_reveals(
        part: Part, reply: EvaluateReply, held: Held | None
    ) -> tuple[tuple[Reveal, ...], Ruling]:
        return ((), ruled) if part.request.custodian == "police" else find(part, reply, held)

    monkeypatch.setattr(Part, "find_reveals", find_reveals)
    hold = Hold(made.nodes["police"], 2)
    asking = Asking(made)
    await asyncio.wait_for(hold.reached.wait(), AT_ONCE_S)
    await asking.heard_of("hospital")
    await _lose_gateway(made, asking)
    hold.end()
    found = await asking.end()
    monkeypatch.undo()
    check_absent(found, police=state)
    assert (found.answers["police"].code, found.answers["police"].clause) == (ruled.code, ruled.clause)
    assert found.answers["police"].receipt == b""
    await check_healed(made)


async def test_the_pause_before_dialling_again_does_not_grow_with_every_link_lost(
    made: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linking, "BACKOFF_FIRST_S", 0.001)
    lives = 0

    class Lost(linking.Link):
        async def _attach_once(self) -> None:
            nonlocal lives
            lives += 1
            self._was_welcome = True
            if lives == 15:
                self.close()
            raise OSError("lost")

    # Doubling every time, the fifteenth pause alone would be 16 s.
    await asyncio.wait_for(Lost(made.nodes["social"].links[0]._parts).run(), 5)
