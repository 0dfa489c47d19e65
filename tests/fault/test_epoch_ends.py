"""Where an epoch begins and ends for a custodian, and what is left of one in the next."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from elsewhere.clock import CLOCK_TOLERANCE
from elsewhere.lookup import AnswerState, Decision
from node.caseload.load import retag
from node.caseload.opening import open_job
from node.keys.orders import Wish, order_epochs
from tests.fault.direct import Pair, introduce, pair, with_request
from tests.fault.rig import somebody

pytestmark = pytest.mark.asyncio(loop_scope="module")
A_LITTLE = timedelta(seconds=2)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    """The police state epoch 2 beside epoch 1, which goes on for an hour from then."""
    folder: Path = tmp_path_factory.mktemp("pair")
    async with pair(folder) as made:
        police = made.police
        rotation = replace(police.rotation, check_leading=lambda connection: None)  # it has not been started
        order_epochs(folder / "police", police._store, Wish(timedelta(hours=1)), made.clock())
        rotation.step()
        with open_job(folder / "police", made.clock()) as job:
            retag(job)
        rotation.step()
        introduce(made.made, made.social, police)
        yield made


def _until(two: Pair, moment: datetime) -> None:
    """Let that moment come, for everybody."""
    two.clock.by += moment - two.clock()


async def _code(two: Pair, epoch: int) -> str:
    """What becomes of a question under an epoch: PERMIT, or a code."""
    reply = await two.evaluate(with_request(two.part(somebody()), epoch=epoch))
    assert reply is not None
    return reply.ruling.code or reply.ruling.decision.name


async def test_an_epoch_is_answered_under_from_the_tolerance_before_it_to_the_tolerance_after(
    two: Pair,
) -> None:
    ending, coming = (two.police.keys.view.own.statement.oprf_key("protected", n) for n in (1, 2))
    assert ending is not None
    assert coming is not None
    begin, end = coming.valid_from_utc - CLOCK_TOLERANCE, ending.valid_until_utc + CLOCK_TOLERANCE
    seen = []
    for epoch, moment in (
        (2, begin - A_LITTLE),
        (2, begin + A_LITTLE),
        (1, end - A_LITTLE),
        (1, end + A_LITTLE),
    ):
        _until(two, moment)
        seen.append(await _code(two, epoch))

    assert seen == ["version.epoch", "PERMIT", "PERMIT", "version.epoch"]


async def test_a_tag_kept_from_the_epoch_before_opens_nothing(two: Pair) -> None:
    coming = two.police.keys.view.own.statement.oprf_key("protected", 2)
    assert coming is not None
    _until(two, coming.valid_from_utc + A_LITTLE)
    maker, ask = two.social.searcher._exchange._parts.maker, somebody()
    prepared = maker.prepare(ask, maker.new_secrets(ask), maker.clock())
    before, after, right = two.parts(ask, prepared, 3)  # with the same elements, so the same slots and blinds
    old = await two.evaluate(with_request(before, epoch=1))
    assert old is not None
    kept = two.every_hit(before, old)[:4]
    assert len(kept) == 4
    states = []
    for part in (after, right):
        reply = await two.evaluate(part)
        assert reply is not None
        assert (part.request.epoch, reply.ruling.decision) == (2, Decision.PERMIT)
        said = await two.redeem(part, kept if part is after else two.every_hit(part, reply)[:4])
        assert said is not None
        states.append(said.answer.state)

    assert states == [AnswerState.NOTHING_RETURNED, AnswerState.KNOWN_CURRENT]
