"""A question that is left to a person: it waits, is let through once or refused, and is logged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Table, func, select

from elsewhere.asking import Ask, CustodianAnswer, State
from elsewhere.reviewing import ReviewDecision, ReviewGone, WaitingReview
from elsewhere.sdk.desk import AsyncDesk
from node.answering.reviewing import DECIDED_WITHIN, forget_reviews
from node.asking.history import Opening
from node.program import Node
from node.store.exchange import log, question, waiting
from node.store.reviewing import review
from tests.federation import KAI, ZOE, Federation, Lookup, ask_about, federation

pytestmark = pytest.mark.asyncio(loop_scope="module")
REVIEWED = "CIN_ASSESSMENT"


class World:
    """Social care asks; at the police a person decides about assessments of children in need."""

    def __init__(self, made: Federation) -> None:
        self.made = made

    @property
    def social(self) -> Node:
        return self.made.nodes["social"]

    @property
    def police(self) -> Node:
        return self.made.nodes["police"]

    async def ask(self, row: Mapping[str, str] = ZOE, **terms: Any) -> Lookup:
        return await self.made.ask("social", ask_about(row, purpose=REVIEWED, urgency="AMBER", **terms))

    async def queue(self) -> tuple[WaitingReview, ...]:
        async with AsyncDesk(self.made.folder / "police") as desk:
            return await desk.reviews()

    async def decide(self, number: str, *, releases: bool) -> None:
        async with AsyncDesk(self.made.folder / "police") as desk:
            await desk.decide_review(
                ReviewDecision(number, releases, "spoke to the duty worker", "reviewer-1")
            )

    async def later(self, minutes: float) -> int:
        """Let time pass for both, and have social care's node ask those who are due."""
        for clock in self.made.clocks.values():
            clock.by += timedelta(minutes=minutes)
        return await self.social.retrier.work_off(self.social.searcher.again)

    def history(self, lookup: Lookup) -> CustodianAnswer:
        (found,) = self.social.answers(lookup.started.lookup_id)
        return found

    async def again(self, lookup: Lookup, lookup_id: bytes, **changes: Any) -> CustodianAnswer:
        """Ask the police once more with what the question was made of, under another lookup id."""
        with self.social._store.read() as connection:
            what = self.social._history.opening(connection, lookup.started.lookup_id)
        assert what is not None
        fields = ("person", "purpose", "urgency", "case_reference", "basis", "role", "asker")
        ask = Ask(**{**{name: getattr(what.ask, name) for name in fields}, **changes})
        member = self.social.trust.roster.active("police")
        return await self.social.searcher.again(Opening(ask, what.secrets), member, lookup_id)


def entries(node: Node, kind: str) -> list[dict[str, Any]]:
    with node._store.read() as connection:
        rows = connection.execute(select(log.c.body).where(log.c.kind == kind).order_by(log.c.seq))
        return [json.loads(row.body) for row in rows]


def count(node: Node, table: Table, *where: Any) -> int:
    with node._store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async def idle(node: Node) -> None:
        await asyncio.Event().wait()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Node, "_retry", idle)  # the tests have those asked again who are due, each at its time
        async with federation(tmp_path_factory.mktemp("review")) as made:
            made.join("social", [])
            made.join("police", [ZOE, KAI], policy={"review_purposes": [REVIEWED]})
            await made.start("social", "police")
            yield World(made)


@pytest.fixture(autouse=True)
def empty(world: World) -> None:
    """Each test begins with no question that waits, at either side."""
    for node, table in ((world.police, review), (world.social, waiting)):
        with node._store.write() as connection:
            connection.execute(table.delete())


async def test_a_question_waits_is_let_through_once_and_answered_late(world: World) -> None:
    counted = count(world.police, question, question.c.counted.is_(True))
    lookup = await world.ask(case_reference="C-7")
    assert lookup.state("police") is State.REVIEW
    assert lookup.answers["police"].expected_by is not None

    (one,) = await world.queue()
    assert (one.searcher, one.purpose, one.urgency, one.role) == ("social", REVIEWED, "AMBER", "practitioner")
    assert not any(word in repr(one) for word in (*ZOE.values(), "worker-1", "C-7"))
    assert await world.later(3) == 1  # nobody has decided yet
    assert world.history(lookup).state is State.REVIEW
    assert await world.queue() == (one,)

    await world.decide(one.number, releases=True)
    assert await world.queue() == ()
    assert await world.later(10) == 1

    assert world.history(lookup).state is State.KNOWN_CURRENT
    assert count(world.social, waiting) == 0
    assert count(world.police, question, question.c.counted.is_(True)) == counted + 1
    (act,) = entries(world.police, "review")[-1:]
    assert (act["review"], act["reviewer"], act["reason"]) == (
        "released",
        "reviewer-1",
        "spoke to the duty worker",
    )
    assert act["counterparty"] == "social"
    assert act["request_digest"].startswith(one.number)
    told = [entry["states"] for kind in ("told", "late") for entry in entries(world.social, kind)]
    assert told[-1] == {"police": "KNOWN_CURRENT"}
    answered = entries(world.police, "answered")[-1]
    assert (answered["decision"], answered["state"]) == ("PERMIT", "KNOWN_CURRENT")


async def test_each_asking_goes_under_another_id_so_that_a_gateway_cannot_tell_it(world: World) -> None:
    await world.ask()
    for _ in range(3):
        assert await world.later(16) == 1

    with world.police._store.read() as connection:
        rows = connection.execute(
            select(question.c.lookup_id).order_by(question.c.received_ms.desc()).limit(4)
        )
        assert len({row.lookup_id for row in rows}) == 4


async def test_a_release_is_good_for_one_asking_of_this_question_and_no_other(world: World) -> None:
    lookup = await world.ask(case_reference="C-8")
    (one,) = await world.queue()
    await world.decide(one.number, releases=True)
    await world.later(0)

    other_child = await world.ask(KAI, case_reference="C-8")
    assert other_child.state("police") is State.REVIEW
    for changes in ({"asker": "worker-2"}, {"case_reference": "C-9"}, {"role": "safeguarding_lead"}):
        assert (await world.again(lookup, bytes(16), **changes)).state is State.REVIEW, changes
    assert (await world.again(lookup, b"1" * 16)).state is State.KNOWN_CURRENT
    # The reply may have been lost: who used it may ask again, and nobody else.
    for clock in world.made.clocks.values():
        clock.by += timedelta(minutes=1)
    assert (await world.again(lookup, b"1" * 16)).state is State.KNOWN_CURRENT
    assert (await world.again(lookup, b"2" * 16)).state is State.REVIEW


async def test_a_release_that_two_use_at_once_is_used_by_one(world: World) -> None:
    lookup = await world.ask(case_reference="C-10")
    (one,) = await world.queue()
    await world.decide(one.number, releases=True)
    custodian = world.police.custodian
    judged: list[object] = []
    plain = type(custodian.guard).judge

    def judge(*args: Any) -> Any:
        """Let another asking use the release up between the decision and its count."""
        verdict = plain(*args)
        if verdict.is_released and not judged:
            judged.append(verdict)
            with world.police._store.write() as connection:
                connection.execute(review.update().values(used_by=b"9" * 16))
        return verdict

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(custodian.guard), "judge", judge)
        answer = await world.again(lookup, b"3" * 16)

    assert judged
    assert (answer.state, answer.code) == (State.DENIED, "review.used")


async def test_a_refusal_reaches_the_asker_without_its_reason(world: World) -> None:
    lookup = await world.ask(case_reference="C-11")
    (one,) = await world.queue()
    await world.decide(one.number, releases=False)
    assert await world.later(3) == 1

    answer = world.history(lookup)
    assert (answer.state, answer.code) == (State.DENIED, "review.refused")
    assert "duty" in answer.remedy
    assert "spoke" not in answer.remedy
    assert entries(world.police, "review")[-1]["review"] == "refused"
    assert count(world.social, waiting) == 0


async def test_what_nobody_decides_lapses_and_is_in_the_log_as_such(world: World) -> None:
    await world.ask(case_reference="C-12")
    (one,) = await world.queue()
    now: datetime = world.police._clock() + DECIDED_WITHIN + timedelta(minutes=1)

    with world.police._store.write() as connection:
        forget_reviews(connection, now)

    assert entries(world.police, "review")[-1]["review"] == "lapsed"
    assert await world.queue() == ()
    with pytest.raises(ReviewGone):
        await world.decide(one.number, releases=True)


async def test_a_decision_is_taken_once(world: World, tmp_path: Path) -> None:
    await world.ask(case_reference="C-13")
    (one,) = await world.queue()
    await world.decide(one.number, releases=False)

    with pytest.raises(ReviewGone):
        await world.decide(one.number, releases=True)
    with pytest.raises(ReviewGone):
        await world.decide("0" * 16, releases=True)
