"""A custodian that could not be reached is asked again, counted once, and its late answer is found."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select

from elsewhere.asking import Coverage, State
from node.store.exchange import log, opening, question, waiting
from tests.federation import PATIENCE_S, ZOE, Federation, ask_about, federation


async def _until_answered(made: Federation, lookup_id: str, custodian: str) -> State:
    """Wait until the history of a lookup has an answer of a custodian."""
    node = made.nodes["social"]
    async with asyncio.timeout(PATIENCE_S):
        while True:
            states = {answer.custodian: answer.state for answer in node.answers(lookup_id)}
            if states[custodian].is_answer:
                return states[custodian]
            await asyncio.sleep(0.02)


async def _began(made: Federation) -> None:
    made.join("social", lookup={"retry_s": 0.1})
    made.join("police", [ZOE])
    await made.start("social", "police")


async def test_a_late_answer_arrives_in_the_history_and_the_custodian_is_asked_no_more(
    tmp_path: Path,
) -> None:
    async with federation(tmp_path) as made:
        await _began(made)
        await made.stop("police")

        found = await made.ask("social", ask_about(ZOE))
        assert found.state("police") in (State.UNREACHABLE, State.MAINTENANCE)
        assert found.coverage is Coverage.NONE

        await made.start("police")
        assert await _until_answered(made, found.started.lookup_id, "police") is State.KNOWN_CURRENT
        with made.nodes["social"]._store.read() as connection:
            assert connection.execute(select(func.count()).select_from(waiting)).scalar_one() == 0
            kinds = connection.execute(select(log.c.kind).order_by(log.c.seq)).scalars().all()
        assert [kind for kind in kinds if kind != "catalogue"] == ["asked", "told", "late"]


async def test_a_question_asked_again_is_counted_once(tmp_path: Path) -> None:
    async with federation(tmp_path) as made:
        await _began(made)
        found = await made.ask("social", ask_about(ZOE))
        social = made.nodes["social"]
        with social._store.read() as connection:
            what = social._history.opening(connection, found.started.lookup_id)
        assert what is not None
        member = social.trust.roster.active("police")
        lookup_id = bytes(range(16))
        answers = [await social.searcher.again(what, member, lookup_id) for _ in range(3)]
        assert {answer.state for answer in answers} == {State.KNOWN_CURRENT}

        with made.nodes["police"]._store.read() as connection:
            rows = connection.execute(select(question.c.counted, question.c.lookup_id)).all()
        assert sorted(row.counted for row in rows if row.lookup_id == lookup_id) == [False, False, True]


async def test_after_the_window_nobody_is_asked_and_after_a_month_nothing_is_kept(tmp_path: Path) -> None:
    async with federation(tmp_path) as made:
        made.join("social", lookup={"retry_s": 900.0})
        made.join("police", [ZOE])
        await made.start("social", "police")
        await made.stop("police")
        await made.ask("social", ask_about(ZOE))
        social, clock = made.nodes["social"], made.clocks["social"]

        clock.by = timedelta(hours=5)  # a RED question is asked again for four hours
        assert await social.retrier.work_off(social.searcher.again) == 1
        with social._store.read() as connection:
            assert connection.execute(select(waiting)).all() == []
            assert len(connection.execute(select(opening)).all()) == 1

        with social._store.write() as connection:
            social._history.forget(connection, clock() + timedelta(days=31))
            assert connection.execute(select(opening)).all() == []


async def test_what_opens_a_question_is_kept_encrypted(tmp_path: Path) -> None:
    async with federation(tmp_path) as made:
        await _began(made)
        await made.ask("social", ask_about(ZOE))
        await made.stop("social")
        kept = b"".join(path.read_bytes() for path in (tmp_path / "social").glob("store.sqlite*"))
        assert b"Zofia" not in kept
        assert b"Wielopolska" not in kept
