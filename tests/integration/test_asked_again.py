"""A custodian that could not be reached is asked again, counted once, and its late answer is found."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from elsewhere.asking import Coverage, State
from elsewhere.wire.v1 import link_pb2
from gateway.lookups import Lookups
from node.answering.kept import forget
from node.links.link import Link
from node.store.exchange import log, opening, question, waiting
from tests.federation import EVA, PATIENCE_S, ZOE, Federation, ask_about, federation


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


@pytest.mark.usefixtures("each_engine")
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


async def _ask_again(made: Federation, lookup_id: str, **terms: Any) -> State:
    """Ask the police the question of a lookup again, under one fixed id."""
    social = made.nodes["social"]
    with social._store.read() as connection:
        what = social._history.opening(connection, lookup_id)
    assert what is not None
    what = replace(what, ask=replace(what.ask, **terms))
    answer = await social.searcher.again(what, social.trust.roster.active("police"), bytes(range(16)))
    return answer.state


def _counted(made: Federation) -> list[bool]:
    """Of the questions under that id, in their order, whether each was counted."""
    with made.nodes["police"]._store.read() as connection:
        query = select(question.c.counted).where(question.c.lookup_id == bytes(range(16)))
        return list(connection.execute(query.order_by(question.c.received_ms)).scalars())


@pytest.mark.usefixtures("each_engine")
async def test_a_question_asked_again_is_counted_once(tmp_path: Path) -> None:
    async with federation(tmp_path) as made:
        await _began(made)
        found = await made.ask("social", ask_about(ZOE))
        for _ in range(3):
            assert await _ask_again(made, found.started.lookup_id) is State.KNOWN_CURRENT
            made.clocks["police"].by += timedelta(seconds=11)

        assert _counted(made) == [True, False, False]


async def test_a_repeat_for_another_purpose_person_or_case_or_too_soon_is_counted(tmp_path: Path) -> None:
    async with federation(tmp_path) as made:
        await _began(made)
        found = await made.ask("social", ask_about(ZOE))
        first = found.started.lookup_id
        await _ask_again(made, first)
        await _ask_again(made, first)  # within ten seconds
        for change in ({"purpose": "MASH_TRIAGE"}, {"asker": "worker-2"}, {"case_reference": "C-2"}):
            made.clocks["police"].by += timedelta(seconds=11)
            await _ask_again(made, first, **change)

        assert _counted(made) == [True] * 5


async def test_repeats_end_with_the_urgency_and_soon_after_an_answer(tmp_path: Path) -> None:
    async with federation(tmp_path) as made:
        await _began(made)
        found = await made.ask("social", ask_about(ZOE))
        for clock in (made.clocks["police"], made.clocks["social"]):
            clock.by = timedelta(0)
        for _ in range(5):
            await _ask_again(made, found.started.lookup_id)
            made.clocks["police"].by += timedelta(seconds=11)
        assert _counted(made) == [True, False, False, False, True]  # answered four times by then

        for clock in (made.clocks["police"], made.clocks["social"]):
            clock.by += timedelta(hours=5)
        await _ask_again(made, found.started.lookup_id)
        assert _counted(made)[-1] is True


async def test_whoever_did_not_finish_round_two_is_asked_again_whatever_was_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = Lookups.reply

    def without_second(self: Lookups, custodian: str, reply: link_pb2.Reply) -> None:
        """A gateway that keeps second replies back, to see what it is asked about again."""
        _, part = self._routes.get(reply.route, (None, None))
        if part is None or part.round == 1:
            handle(self, custodian, reply)

    monkeypatch.setattr(Lookups, "reply", without_second)
    async with federation(tmp_path) as made:
        made.join("social", lookup={"retry_s": 900.0, "deadline_ms": 1500})
        made.join("police", [ZOE], policy={"denied_purposes": ["MASH_TRIAGE"]})
        await made.start("social", "police")
        states = [
            (await made.ask("social", ask_about(child, purpose=purpose))).state("police")
            for child, purpose in ((ZOE, "S47_ENQUIRY"), (EVA, "S47_ENQUIRY"), (ZOE, "MASH_TRIAGE"))
        ]
        assert states == [State.TIMED_OUT, State.TIMED_OUT, State.DENIED]
        with made.nodes["social"]._store.read() as connection:
            assert len(connection.execute(select(waiting)).all()) == 3


@pytest.mark.usefixtures("each_engine")
async def test_a_question_nobody_redeemed_stays_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(self: Link, session: object, custodian: str, sealed: bytes) -> None:
        """An altered searcher stops after round one: it has seen whether its tags are there."""

    async with federation(tmp_path) as made:
        made.join("social", lookup={"retry_s": 900.0, "deadline_ms": 1500})
        made.join("police", [ZOE])
        await made.start("social", "police")
        monkeypatch.setattr(Link, "redeem", never)
        await made.ask("social", ask_about(ZOE))

        police = made.nodes["police"]
        with police._store.write() as connection:
            assert forget(connection, police._clock() + timedelta(minutes=11)) == 1
            bodies = connection.execute(select(log.c.body).where(log.c.kind == "unredeemed")).scalars().all()
        assert [json.loads(body)["purpose"] for body in bodies] == ["S47_ENQUIRY"]
        assert [json.loads(body)["counterparty"] for body in bodies] == ["social"]


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
