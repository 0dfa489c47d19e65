"""Questions on vital interests: a reason before, a second person after, and both agencies know of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from elsewhere.asking import State
from elsewhere.sdk.desk import AsyncDesk
from elsewhere.secondlook import (
    MAX_LOOKS,
    MAX_NAME,
    MAX_NOTE,
    ReasonMissing,
    SamePerson,
    SecondLookGone,
    SecondLookOverdue,
    SecondOpinion,
)
from elsewhere.workdays import end_of_next_working_day
from node.program import Node
from node.store.exchange import log
from node.store.reviewing import second_look
from tests.federation import ZOE, Federation, federation, person

pytestmark = pytest.mark.asyncio(loop_scope="module")
REASON = "found alone at the station"
VITAL: dict[str, Any] = {
    "purpose": "S47_ENQUIRY",
    "urgency": "RED",
    "basis": "A6D_VITAL",
    "asker": "worker-1",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Federation]:
    async with federation(tmp_path_factory.mktemp("vital")) as running:
        running.join("social", [])
        running.join("police", [ZOE])
        await running.start("social", "police")
        yield running


@pytest.fixture(autouse=True)
def empty(made: Federation) -> None:
    with made.nodes["social"]._store.write() as connection:
        connection.execute(second_look.delete())


def desk_of(made: Federation) -> AsyncDesk:
    return AsyncDesk(made.folder / "social")


def entries(node: Node, kind: str) -> list[dict[str, Any]]:
    with node._store.read() as connection:
        rows = connection.execute(select(log.c.body).where(log.c.kind == kind).order_by(log.c.seq))
        return [json.loads(row.body) for row in rows]


async def test_a_question_on_vital_interests_needs_a_reason_and_is_in_both_logs(made: Federation) -> None:
    social, police = made.nodes["social"], made.nodes["police"]
    before = len(entries(social, "asked"))
    async with desk_of(made) as desk:
        for reason in ("", "   "):
            with pytest.raises(ReasonMissing):
                await desk.ask(person(ZOE), **VITAL, reason=reason)
        assert len(entries(social, "asked")) == before
        assert await desk.second_looks() == ()
        found = await desk.ask(person(ZOE), **VITAL, reason=REASON)
        (one,) = await desk.second_looks()

    assert (one.lookup_id, one.asker, one.reason) == (found.lookup_id, "worker-1", REASON)
    assert one.due_utc == end_of_next_working_day(one.asked_utc)
    mine, theirs = entries(social, "asked")[-1], entries(police, "answered")[-1]
    assert (mine["basis"], mine["reason"]) == ("A6D_VITAL", REASON)
    assert theirs["basis"] == "A6D_VITAL"
    assert REASON not in json.dumps(theirs)


async def test_nobody_looks_at_their_own_question(made: Federation) -> None:
    async with desk_of(made) as desk:
        found = await desk.ask(person(ZOE), **VITAL, reason=REASON)
        for same in ("worker-1", " Worker-1 "):
            with pytest.raises(SamePerson):
                await desk.give_second_look(SecondOpinion(found.lookup_id, True, "it was", same))
        await desk.give_second_look(SecondOpinion(found.lookup_id, False, "there was time", "lead-1"))
        with pytest.raises(SecondLookGone):
            await desk.give_second_look(SecondOpinion(found.lookup_id, True, "it was", "lead-1"))
        assert await desk.second_looks() == ()

    entry = entries(made.nodes["social"], "second_look")[-1]
    told = ("asker", "reason", "justified", "note", "by", "was_overdue")
    assert [entry[name] for name in told] == ["worker-1", REASON, False, "there was time", "lead-1", False]


async def test_none_is_asked_while_a_look_is_overdue(made: Federation) -> None:
    async with desk_of(made) as desk:
        first = await desk.ask(person(ZOE), **VITAL, reason=REASON)
        assert (await desk.status()).second_looks_overdue == 0
        with made.nodes["social"]._store.write() as connection:
            past = int((datetime.now(UTC) - timedelta(seconds=1)).timestamp() * 1000)
            connection.execute(second_look.update().values(due_ms=past))
        asked = len(entries(made.nodes["social"], "asked"))

        assert (await desk.status()).second_looks_overdue == 1
        with pytest.raises(SecondLookOverdue):
            await desk.ask(person(ZOE), **VITAL, reason=REASON)
        assert len(entries(made.nodes["social"], "asked")) == asked
        usual = await desk.ask(person(ZOE), **{**VITAL, "basis": ""})
        await desk.give_second_look(SecondOpinion(first.lookup_id, True, "it was", "lead-1"))
        again = await desk.ask(person(ZOE), **VITAL, reason=REASON)

    assert usual.state_of("police") is State.KNOWN_CURRENT
    assert again.lookup_id
    assert entries(made.nodes["social"], "second_look")[-1]["was_overdue"] is True


async def test_a_list_that_is_full_of_long_reasons_is_shown(made: Federation) -> None:
    row = {"asker": "\u00e9" * MAX_NAME, "purpose": "S47_ENQUIRY", "reason": "\U00020000" * MAX_NOTE}
    rows = [
        {
            **row,
            "lookup_id": f"{number:032x}",
            "asked_ms": 1_700_000_000_000,
            "due_ms": 1_700_000_000_000 + number * 1000,
        }
        for number in range(MAX_LOOKS + 1)
    ]
    with made.nodes["social"]._store.write() as connection:
        connection.execute(second_look.insert(), rows)
    async with desk_of(made) as desk:
        found = await desk.second_looks()
    assert [one.lookup_id for one in found] == [one["lookup_id"] for one in rows[:MAX_LOOKS]]
