"""A custodian that is slow, gone, going or full: each is told apart, in time, and the others are heard."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta

import pytest

from elsewhere.asking import State
from elsewhere.errors import LogUnavailable
from tests.fault.rig import Asking, Hold, check_absent, check_healed, deadline, kept, leaves, somebody
from tests.federation import Federation

pytestmark = pytest.mark.asyncio(loop_scope="module")
SHORT_MS, LONG_MS = 2000, 20_000
MOMENT_S = 10


@pytest.mark.parametrize("round_", [1, 2])
async def test_a_slow_custodian_has_timed_out_at_the_deadline_and_its_late_reply_changes_nothing(
    made: Federation, round_: int
) -> None:
    social, police, gateway = made.nodes["social"], made.nodes["police"], made.gateway
    assert gateway is not None
    before, ignored = kept(police), gateway.lookups.ignored["reply on no route"]
    deadline(social, SHORT_MS)
    hold = Hold(police, round_)
    asking = Asking(made)
    found = await asking.end()
    deadline(social, LONG_MS)

    check_absent(found, police=State.TIMED_OUT)
    assert found.state("hospital") is State.KNOWN_CURRENT
    assert found.answers["police"].code == "custodian.timed_out"
    assert SHORT_MS - 200 <= found.answers["police"].elapsed_ms < SHORT_MS + 1500
    assert gateway.lookups.under_way == 0

    hold.end()
    await asyncio.wait_for(hold.passed.wait(), MOMENT_S)
    async with asyncio.timeout(MOMENT_S):
        while gateway.lookups.ignored["reply on no route"] == ignored:
            await asyncio.sleep(0.01)
    told = {answer.custodian: answer.state for answer in social.answers(found.started.lookup_id)}
    assert told["police"] is State.TIMED_OUT
    await check_healed(made)
    # The slow question was counted; only where its Redeem had come was it answered, and then once.
    assert kept(police) == (before[0] + 2, before[1] + round_)


async def test_a_hung_gateway_cannot_keep_the_asker_beyond_its_own_deadline(
    made: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert made.gateway is not None
    deadline(made.nodes["social"], SHORT_MS)
    monkeypatch.setattr(made.gateway.lookups, "ask", lambda searcher, ask: None)
    found = await Asking(made).end()
    monkeypatch.undo()
    deadline(made.nodes["social"], LONG_MS)
    check_absent(found, police=State.TIMED_OUT, hospital=State.TIMED_OUT)
    await check_healed(made)


async def test_an_announced_drain_is_maintenance_and_its_beginning_is_told(made: Federation) -> None:
    before = datetime.now(UTC)
    await made.stop("police")
    found = await made.ask("social", somebody())
    check_absent(found, police=State.MAINTENANCE)
    since = found.answers["police"].since
    assert since is not None
    assert before - timedelta(seconds=1) <= since <= datetime.now(UTC)
    assert f"in maintenance since {since:%H:%M} UTC" in found.done.summary
    await made.start("police")
    await check_healed(made)


async def test_a_custodian_that_left_without_a_word_is_unreachable_since_then(made: Federation) -> None:
    before = datetime.now(UTC)
    police = made.nodes["police"]
    police.links[0].close()
    assert made.gateway is not None
    async with asyncio.timeout(MOMENT_S):
        while made.gateway.links.get("police") is not None:
            await asyncio.sleep(0.01)
    found = await made.ask("social", somebody())
    check_absent(found, police=State.UNREACHABLE)
    since = found.answers["police"].since
    assert since is not None
    assert before - timedelta(seconds=1) <= since <= datetime.now(UTC)
    assert f"unreachable since {since:%H:%M} UTC" in found.done.summary

    # The gateway knows since when even after it was itself killed and started again.
    await made.kill_gateway()
    await made.start_gateway()
    social = made.nodes["social"]
    async with asyncio.timeout(MOMENT_S):
        while not social.links[0].attached.is_set() or made.gateway.links.get("hospital") is None:
            await asyncio.sleep(0.01)
    again = await made.ask("social", somebody())
    check_absent(again, police=State.UNREACHABLE)
    assert again.answers["police"].since == since
    await made.stop("police")
    await made.start("police")
    await check_healed(made)


async def test_a_link_lost_between_the_rounds_is_unreachable(made: Federation) -> None:
    police = made.nodes["police"]
    before = leaves(police)
    hold = Hold(police, 2)
    asking = Asking(made)
    await asyncio.wait_for(hold.reached.wait(), MOMENT_S)
    police.links[0].close()
    found = await asking.end()
    check_absent(found, police=State.UNREACHABLE)
    hold.end()
    await made.stop("police")
    await made.start("police")
    await check_healed(made)
    # Its Redeem had come, so its log says that an answer was composed: the receipt just did not get out.
    assert leaves(made.nodes["police"]) == before + 2


@pytest.mark.parametrize("round_", [1, 2])
async def test_a_custodian_that_goes_finishes_both_rounds_of_what_it_has(
    made: Federation, round_: int
) -> None:
    hold = Hold(made.nodes["police"], round_)
    asking = Asking(made)
    await asyncio.wait_for(hold.reached.wait(), MOMENT_S)
    going = asyncio.create_task(made.stop("police"))
    assert made.gateway is not None
    async with asyncio.timeout(MOMENT_S):
        while made.gateway.links.absence("police") is None:
            await asyncio.sleep(0.01)
    # Nobody new is let in, while what was asked before is answered.
    check_absent(await made.ask("social", somebody()), police=State.MAINTENANCE)
    hold.end()
    check_absent(await asking.end(), police=State.KNOWN_CURRENT)
    await asyncio.wait_for(going, MOMENT_S)
    await made.start("police")
    await check_healed(made)


async def test_a_custodian_that_cannot_write_its_log_releases_nothing_and_is_silent(
    made: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    police = made.nodes["police"]
    before = kept(police)

    def full(change: object) -> Future[None]:
        failed: Future[None] = Future()
        failed.set_exception(LogUnavailable("the store cannot be written"))
        return failed

    deadline(made.nodes["social"], SHORT_MS)
    monkeypatch.setattr(police._writer, "submit", full)
    found = await Asking(made).end()
    monkeypatch.undo()
    deadline(made.nodes["social"], LONG_MS)
    check_absent(found, police=State.TIMED_OUT)
    assert kept(police) == before
    await check_healed(made)
