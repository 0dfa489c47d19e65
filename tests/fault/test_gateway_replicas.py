"""Two gateways: one of them dies, hangs or falls behind, and nobody who asks or is asked can tell."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from elsewhere.asking import Coverage, State
from elsewhere.errors import ConfigInvalid
from tests import partnership
from tests.fault.rig import (
    Asking,
    Hold,
    check_absent,
    check_healed,
    deadline,
    kept,
    lateness,
    somebody,
    until,
)
from tests.replicas import Replicas, two_gateways

pytestmark = pytest.mark.asyncio(loop_scope="module")
MOMENT_S = 10
BACK_WITHIN_S = 10.0  # docs/configuration.md, "Several gateways"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Replicas]:
    settings = {"catalogue": {"tick_s": 3600}, "lookup": {"retry_s": 900.0, "deadline_ms": 20_000}}
    async with two_gateways(tmp_path_factory.mktemp("replicas"), **settings) as replicas:
        yield replicas


@pytest.mark.parametrize("round_", [1, 2])
@pytest.mark.parametrize("after", [False, True])
async def test_a_lookup_goes_on_through_the_other_gateway_when_its_own_is_killed(
    both: Replicas, round_: int, after: bool
) -> None:
    police, social = both.made.nodes["police"], both.made.nodes["social"]
    before = kept(police)
    await until(lambda: not social.links[0].is_doubtful)  # on a slow machine a beat may be late
    hold = Hold(police, round_, after=after)
    asking = Asking(both.made)
    await asyncio.wait_for(hold.reached.wait(), MOMENT_S)
    both.first.kill()
    found = await asking.end(MOMENT_S)
    hold.end()
    await asyncio.wait_for(hold.passed.wait(), MOMENT_S)

    check_absent(found, police=State.KNOWN_CURRENT)
    assert found.coverage is Coverage.COMPLETE
    await both.first.start()
    await both.linked()
    # The very same question came twice; it was counted and answered once.
    assert kept(police) == (before[0] + 1, before[1] + 1)


async def test_a_gateway_that_hangs_is_passed_over_within_the_deadline_and_then_asked_last(
    both: Replicas,
) -> None:
    social = both.made.nodes["social"]
    before = kept(both.made.nodes["police"])
    deadline(social, 3000)
    both.first.signal(signal.SIGSTOP)
    try:
        found = await asyncio.wait_for(both.made.ask("social", somebody()), MOMENT_S)
        assert social.links[0].is_doubtful
        again = await asyncio.wait_for(both.made.ask("social", somebody()), MOMENT_S)
    finally:
        both.first.signal(signal.SIGCONT)
        deadline(social, 20_000)

    for lookup in (found, again):
        check_absent(lookup, police=State.KNOWN_CURRENT)
    assert max(answer.elapsed_ms for answer in again.answers.values()) < 900  # it did not wait for the first
    await both.linked()
    assert kept(both.made.nodes["police"]) == (before[0] + 2, before[1] + 2)


async def test_a_custodian_that_one_gateway_cannot_reach_is_asked_through_the_other(both: Replicas) -> None:
    police = both.made.nodes["police"]
    lives = police.links[0]
    lives.close()
    await until(lambda: not lives.attached.is_set())
    await check_healed(both.made)

    await both.made.stop("police")
    await both.made.start("police")
    await both.linked()


async def test_both_gateways_gone_is_unreachable_at_once(both: Replicas) -> None:
    hold = Hold(both.made.nodes["police"], 1, by_every_link=True)
    asking = Asking(both.made)
    await asyncio.wait_for(hold.reached.wait(), MOMENT_S)
    both.second.kill()
    both.first.kill()
    found = await asking.end(MOMENT_S)
    hold.end()
    assert found.state("police") is State.UNREACHABLE
    assert found.answers["police"].code == "gateway.unreachable"

    await both.first.start()
    await both.second.start()
    began = asyncio.get_running_loop().time()
    async with lateness() as late:
        await both.linked()
    took_s = asyncio.get_running_loop().time() - began
    # A busy machine is no fault of ours: two gateways and three nodes may each have been kept waiting.
    assert took_s < BACK_WITHIN_S + 5 * late.most_s
    await check_healed(both.made)


async def test_a_gateway_killed_and_started_again_under_load_leaves_no_lookup_without_an_outcome(
    both: Replicas,
) -> None:
    made, before = both.made, kept(both.made.nodes["police"])
    asked = [asyncio.create_task(made.ask("social", somebody())) for _ in range(4)]
    for gateway in (both.first, both.second, both.first):
        gateway.kill()
        asked += [asyncio.create_task(made.ask("social", somebody())) for _ in range(4)]
        await asyncio.wait_for(asked[-4], MOMENT_S)
        await gateway.start()
        await both.linked()
    found = await asyncio.wait_for(asyncio.gather(*asked), 2 * MOMENT_S)

    # At every moment one gateway was up and linked, so nobody had to be called unreachable.
    for lookup in found:
        check_absent(lookup, police=State.KNOWN_CURRENT)
    # Whatever was sent again, each question was counted once and answered once.
    assert kept(made.nodes["police"]) == (before[0] + len(asked), before[1] + len(asked))


async def test_what_is_signed_at_one_gateway_is_soon_in_force_at_the_other(both: Replicas) -> None:
    gw, gw2 = both.first.folder, both.second.folder
    version = partnership.set_state(gw, "hospital", "suspended", now=datetime.now(UTC))
    await until(lambda: _same(gw, gw2, "roster.json"))
    hospital = both.made.nodes["hospital"]
    await until(lambda: not any(link.attached.is_set() for link in hospital.links))
    assert both.made.nodes["social"].trust.roster.version == version

    partnership.set_state(gw, "hospital", "active", now=datetime.now(UTC))
    await until(lambda: _same(gw, gw2, "roster.json"))
    await both.linked()
    await check_healed(both.made)


async def test_a_further_gateway_signs_nothing_and_says_where_to(both: Replicas) -> None:
    with pytest.raises(ConfigInvalid, match="in the folder that was made first"):
        partnership.set_state(both.second.folder, "hospital", "suspended", now=datetime.now(UTC))


def _same(one: Path, other: Path, name: str) -> bool:
    """Whether a document is the same in both folders."""
    return (one / name).read_bytes() == (other / name).read_bytes()
