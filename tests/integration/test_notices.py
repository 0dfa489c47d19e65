"""Where it is agreed, the duty desk gets a message with the answer, and nobody does where it is not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from elsewhere.asking import State
from elsewhere.noticing import Notice, NoticeDone, NoticeGone
from elsewhere.sdk.desk import Desk
from elsewhere.sdk.notices import finish_notice, read_notices
from gateway.agreed import TEXT_FILE
from gateway.proposing import Change, propose
from node.answering.noticing import forget_notices, is_notified
from node.program import Node
from node.store.exchange import log
from node.store.reviewing import notice
from tests import partnership
from tests.fault.rig import until
from tests.federation import KAI, ZOE, Federation, ask_about, federation

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def agree(made: Federation, words: str) -> None:
    """Have every rule of the agreement ask for these obligations, and wait until all nodes have it."""
    gw = made.folder / "gw"
    path = gw / TEXT_FILE
    lines = path.read_text("utf-8").splitlines()
    changed = [f"obligations = [{words}]" if line.startswith("obligations") else line for line in lines]
    path.write_text("\n".join(changed) + "\n", "utf-8")
    found = propose(gw, Change(), now=datetime.now(UTC))
    partnership.sign_all(gw, found)
    version = found.agreement.version if found.agreement is not None else 0
    trusts = [node.trust for node in made.nodes.values()]
    await until(lambda: all(t.agreement is not None and t.agreement.version == version for t in trusts))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Federation]:
    async with federation(tmp_path_factory.mktemp("noticed")) as running:
        running.join("social", [])
        running.join("police", [ZOE])
        await running.start("social", "police")
        await agree(running, '"NO_ONWARD", "NOTIFY_DESK"')
        yield running


def read(made: Federation) -> tuple[Notice, ...]:
    with Desk(made.folder / "police") as desk:
        return read_notices(desk)


def rows(node: Node, *, is_open: bool) -> int:
    with node._store.read() as connection:
        query = select(func.count()).select_from(notice).where(notice.c.is_open.is_(is_open))
        return int(connection.execute(query).scalar_one())


def logged(node: Node) -> list[dict[str, Any]]:
    with node._store.read() as connection:
        found = connection.execute(select(log.c.body).where(log.c.kind == "notice_done"))
        return [json.loads(row.body) for row in found]


async def test_the_duty_desk_gets_a_message_with_the_answer_until_it_is_dealt_with(made: Federation) -> None:
    police = made.nodes["police"]
    answer = (await made.ask("social", ask_about(ZOE))).answers["police"]
    assert answer.state is State.KNOWN_CURRENT

    (one,) = await asyncio.to_thread(read, made)

    assert (one.reference, one.searcher) == (answer.call_reference, "social")
    assert (one.purpose, one.state, one.tier) == ("S47_ENQUIRY", "KNOWN_CURRENT", answer.tier)
    assert len(one.records) == 1
    assert rows(made.nodes["social"], is_open=True) == 0, "whoever asked has the answer"

    def finish() -> None:
        with Desk(made.folder / "police") as desk:
            finish_notice(desk, NoticeDone(one.reference, "duty-1"))
            with pytest.raises(NoticeGone):
                finish_notice(desk, NoticeDone(one.reference, "duty-1"))

    await asyncio.to_thread(finish)
    assert await asyncio.to_thread(read, made) == ()
    (entry,) = logged(police)
    assert entry["by"] == "duty-1"


async def test_nobody_hears_of_a_question_that_found_nothing_though_it_wrote_as_much(
    made: Federation,
) -> None:
    police = made.nodes["police"]
    before = rows(police, is_open=True), rows(police, is_open=False)

    answer = (await made.ask("social", ask_about(KAI))).answers["police"]

    assert answer.state is State.NOTHING_RETURNED
    assert rows(police, is_open=True) == before[0]
    # The node itself drops such rows every minute, so there may be fewer than before.
    assert rows(police, is_open=False) >= 1
    with police._store.write() as connection:
        forget_notices(connection)
    assert (rows(police, is_open=True), rows(police, is_open=False)) == (before[0], 0)


async def test_what_is_agreed_to_be_silent_sends_no_message(made: Federation) -> None:
    await agree(made, '"SILENT"')
    police = made.nodes["police"]
    before = rows(police, is_open=True)

    answer = (await made.ask("social", ask_about(ZOE))).answers["police"]

    assert answer.state is State.KNOWN_CURRENT
    assert rows(police, is_open=True) == before


@pytest.mark.parametrize(
    ("owed", "found", "notified"),
    [
        (["LOG", "NOTIFY_DESK"], True, True),
        (["LOG", "NOTIFY_DESK"], False, False),
        (["LOG"], True, False),
        (["NOTIFY_DESK", "SILENT"], True, False),
    ],
)
async def test_silence_beats_a_message(owed: list[str], found: bool, notified: bool) -> None:
    assert is_notified(owed, found=found) is notified
