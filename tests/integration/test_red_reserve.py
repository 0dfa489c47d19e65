"""What is asked beyond a day's limit, of the reserve for RED, is answered and looked at afterwards."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from elsewhere.asking import CustodianAnswer, State
from elsewhere.cli.ask_report import describe_answer
from elsewhere.errors import AskInvalid
from elsewhere.lookup import RESERVE
from elsewhere.sdk.desk import AsyncDesk
from elsewhere.secondlook import SamePerson, SecondOpinion
from elsewhere.workdays import end_of_next_working_day
from gateway.agreed import TEXT_FILE
from node.asking.secondlook import BEYOND
from node.program import Node
from node.store.exchange import log
from node.store.reviewing import second_look
from tests import partnership
from tests.federation import ZOE, Federation, federation, person

pytestmark = pytest.mark.asyncio(loop_scope="module")
LIMIT, RESERVED = 2, 2
EDITS = (
    ("per_person_per_day = 60", f"per_person_per_day = {LIMIT}"),
    ("red_reserve = 20", f"red_reserve = {RESERVED}"),
)
RED: dict[str, Any] = {"purpose": "S47_ENQUIRY", "urgency": "RED"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Federation]:
    async with federation(tmp_path_factory.mktemp("reserve")) as running:
        running.join("social", [])
        running.join("police", [ZOE])
        path = running.folder / "gw" / TEXT_FILE
        text = path.read_text("utf-8")
        for old, new in EDITS:
            assert old in text
            text = text.replace(old, new)
        path.write_text(text, "utf-8")
        partnership.resign(running.folder / "gw", now=datetime.now(UTC))
        await running.start("social", "police")
        yield running


def entries(node: Node, kind: str) -> list[dict[str, Any]]:
    with node._store.read() as connection:
        rows = connection.execute(select(log.c.body).where(log.c.kind == kind).order_by(log.c.seq))
        return [json.loads(row.body) for row in rows]


async def ask(desk: AsyncDesk, asker: str, **terms: Any) -> tuple[str, CustodianAnswer]:
    found = await desk.ask(person(ZOE), **{**RED, **terms}, asker=asker)
    return found.lookup_id, found.answers[0]


async def test_what_draws_on_the_reserve_waits_for_a_second_person_and_nothing_else_does(
    made: Federation,
) -> None:
    social, police = made.nodes["social"], made.nodes["police"]
    async with AsyncDesk(made.folder / "social") as desk:
        within = [await ask(desk, "worker-1") for _ in range(LIMIT)]
        assert await desk.second_looks() == ()
        refused = await ask(desk, "worker-1", urgency="AMBER")
        beyond = [await ask(desk, "worker-1") for _ in range(RESERVED)]
        last = await ask(desk, "worker-1")
        waiting = await desk.second_looks()

        assert [answer.state for _, answer in [*within, *beyond]] == [State.KNOWN_CURRENT] * (
            LIMIT + RESERVED
        )
        assert {answer.state for _, answer in (refused, last)} == {State.RATE_LIMITED}
        flagged = [answer.from_reserve for _, answer in [*within, refused, *beyond, last]]
        assert flagged == [False, False, False, True, True, False]
        assert "limit" in dict(describe_answer(beyond[0][1]))
        assert {one.lookup_id for one in waiting} == {lookup_id for lookup_id, _ in beyond}
        assert {one.reason for one in waiting} == {f"{BEYOND} police"}
        assert waiting[0].due_utc == end_of_next_working_day(waiting[0].asked_utc)

        first = beyond[0][0]
        with pytest.raises(SamePerson):
            await desk.give_second_look(SecondOpinion(first, True, "it was", "worker-1"))
        await desk.give_second_look(SecondOpinion(first, False, "asked about everybody", "lead-1"))
        assert len(await desk.second_looks()) == RESERVED - 1

    assert [one["code"] for one in entries(police, "answered")] == [
        "",
        "",
        "limits.person_day",
        RESERVE,
        RESERVE,
        "limits.person_day",
    ]
    told = entries(social, "told")
    assert [one.get("from_reserve") for one in told] == [None, None, None, ["police"], ["police"], None]
    look = entries(social, "second_look")[-1]
    assert (look["lookup_id"], look["justified"], look["by"]) == (first, False, "lead-1")


async def test_on_vital_interests_nobody_asks_what_is_not_urgent(made: Federation) -> None:
    before = entries(made.nodes["social"], "asked")
    async with AsyncDesk(made.folder / "social") as desk:
        waiting = await desk.second_looks()
        with pytest.raises(AskInvalid, match="RED"):
            await ask(desk, "worker-2", urgency="AMBER", basis="A6D_VITAL", reason="it is close")
        assert await desk.second_looks() == waiting
    assert entries(made.nodes["social"], "asked") == before


async def test_a_look_that_is_late_is_seen_and_keeps_no_child_at_risk_waiting(made: Federation) -> None:
    social = made.nodes["social"]
    async with AsyncDesk(made.folder / "social") as desk:
        for _ in range(LIMIT):
            await ask(desk, "worker-3")
        (one,) = await desk.second_looks()
        with social._store.write() as connection:
            past = int((datetime.now(UTC) - timedelta(seconds=1)).timestamp()) * 1000
            connection.execute(second_look.update().values(due_ms=past))
        assert (await desk.status()).second_looks_overdue == 1
        _, answer = await ask(desk, "worker-3")
        assert answer.from_reserve
        assert one.lookup_id in {found.lookup_id for found in await desk.second_looks()}
