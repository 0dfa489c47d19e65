"""Limits hold exactly: under many questions at once, over a restart, and for the same thing asked twice."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

import node.answering.repeats
from elsewhere.agreement.local import LocalPolicy
from elsewhere.asking import Ask
from elsewhere.clock import to_ms
from elsewhere.lookup import RESERVE, AnswerState, Decision, RedeemReply, RedeemRequest, Reveal
from elsewhere.matchkeys import question_keys
from elsewhere.question import build_question
from elsewhere.wire import kinds
from elsewhere.wire.convert import lookup as convert
from node.asking.part import Part
from node.errors import ReplayRefused
from node.store.exchange import log
from tests.fault.direct import Pair, pair, with_request
from tests.fault.rig import counted, leaves, somebody
from tests.federation import KAI, ZOE, ask_about

pytestmark = pytest.mark.usefixtures("each_engine")

AMBER: dict[str, Any] = {"urgency": "AMBER"}


def _ask(asker: str, **changes: Any) -> Ask:
    return replace(ask_about(ZOE, **changes), asker=asker)


def _many(two: Pair, count: int, asker: str = "worker", **changes: Any) -> list[Part]:
    """That many lookups by one person."""
    ask, maker = _ask(asker, **changes), two.social.searcher._exchange._parts.maker
    return two.parts(ask, maker.prepare(ask, maker.new_secrets(ask), maker.clock()), count)


async def _codes(two: Pair, parts: list[Part]) -> Counter[str]:
    """What became of questions asked all at once: PERMIT, or the code of what was decided."""
    replies = await asyncio.gather(*(two.evaluate(part) for part in parts))
    assert all(reply is not None for reply in replies)
    return Counter(reply.ruling.code or reply.ruling.decision.name for reply in replies if reply is not None)


async def test_a_burst_of_fifty_at_once_is_cut_at_exactly_the_limit_also_after_a_restart(
    tmp_path: Path,
) -> None:
    async with pair(tmp_path) as two:
        assert await _codes(two, _many(two, 50)) == {"PERMIT": 20, "limits.burst": 30}
        assert counted(two.police) == 20
        two.restart_police()
        assert await _codes(two, _many(two, 5)) == {"limits.burst": 5}
        # Another person of the agency is not held up, and a minute later this one is not either.
        assert await _codes(two, _many(two, 1, "colleague")) == {"PERMIT": 1}
        two.clock.by = timedelta(seconds=61)
        assert await _codes(two, _many(two, 25)) == {"PERMIT": 20, "limits.burst": 5}
        assert counted(two.police) == 41


async def test_a_persons_day_has_its_limit_and_a_reserve_for_red(tmp_path: Path) -> None:
    edits = (("per_person_per_day = 60", "per_person_per_day = 4"), ("red_reserve = 20", "red_reserve = 2"))
    async with pair(tmp_path, *edits) as two:
        assert await _codes(two, _many(two, 7, **AMBER)) == {"PERMIT": 4, "limits.person_day": 3}
        assert await _codes(two, _many(two, 4)) == {RESERVE: 2, "limits.person_day": 2}
        assert await _codes(two, _many(two, 1, "colleague", **AMBER)) == {"PERMIT": 1}
        two.clock.by = timedelta(hours=23, minutes=59)
        two.restart_police()
        assert await _codes(two, _many(two, 1)) == {"limits.person_day": 1}
        two.clock.by = timedelta(hours=24, minutes=1)
        assert await _codes(two, _many(two, 1)) == {"PERMIT": 1}


async def test_of_questions_asked_all_at_once_just_those_beyond_the_limit_draw_on_the_reserve(
    tmp_path: Path,
) -> None:
    edits = (("per_person_per_day = 60", "per_person_per_day = 4"), ("red_reserve = 20", "red_reserve = 2"))
    async with pair(tmp_path, *edits) as two:
        parts = _many(two, 9)
        assert await _codes(two, parts) == {"PERMIT": 4, RESERVE: 2, "limits.person_day": 3}


async def test_an_agencys_day_has_its_limit_whoever_asks_there(tmp_path: Path) -> None:
    edits = (("per_agency_per_day = 2000", "per_agency_per_day = 6"), ("red_reserve = 20", "red_reserve = 0"))
    async with pair(tmp_path, *edits) as two:
        parts = [part for n in range(10) for part in _many(two, 1, f"worker-{n}")]
        assert await _codes(two, parts) == {"PERMIT": 6, "limits.agency_day": 4}
        two.restart_police()
        assert await _codes(two, _many(two, 1, "somebody else")) == {"limits.agency_day": 1}


async def test_what_is_refused_fills_no_limit_and_what_a_person_decides_does(tmp_path: Path) -> None:
    async with pair(tmp_path, ("per_person_per_day = 60", "per_person_per_day = 3")) as two:
        skewed = {"issued_ms": to_ms(two.clock()) - 3_600_000}
        for change in ({"match_key_version": "0"}, {"epoch": 9}, skewed):
            parts = [with_request(part, **change) for part in _many(two, 2, **AMBER)]
            assert "PERMIT" not in await _codes(two, parts)
        denied = [
            with_request(part, terms=replace(part.request.terms, purpose="EMPLOYMENT_CHECK"))
            for part in _many(two, 5, **AMBER)
        ]
        assert await _codes(two, denied) == {"question.vocabulary": 5}
        assert counted(two.police) == 0
        review = LocalPolicy(review_everything=True)
        object.__setattr__(two.police.custodian.guard, "policy", review)
        assert await _codes(two, _many(two, 4, **AMBER)) == {"agreement.review": 3, "limits.person_day": 1}
        assert counted(two.police) == 3


async def test_the_same_question_again_counts_once_and_another_child_under_its_id_counts_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.answering.repeats, "LEAST_PAUSE", timedelta(0))
    async with pair(tmp_path, ("per_person_per_day = 60", "per_person_per_day = 2")) as two:
        first = _many(two, 1, **AMBER)[0]
        ask, maker = _ask("worker", **AMBER), two.social.searcher._exchange._parts.maker

        def again(lookup_id: bytes, prepared: Any) -> Part:
            return with_request(two.parts(ask, prepared, 1)[0], lookup_id=lookup_id)

        prepared = maker.prepare(ask, maker.new_secrets(ask), maker.clock())
        same = [again(first.request.lookup_id, prepared) for _ in range(2)]
        assert await _codes(two, [first]) == {"PERMIT": 1}
        # Under one id, but blinded anew: for all the custodian can see it is about another child.
        assert await _codes(two, same[:1]) == {"PERMIT": 1}
        assert counted(two.police) == 2
        assert await _codes(two, same[1:]) == {"PERMIT": 1}
        assert counted(two.police) == 2
        kai = replace(ask, person=ask_about(KAI).person)
        other = maker.prepare(kai, maker.new_secrets(kai), maker.clock())
        assert await _codes(two, [again(first.request.lookup_id, other)]) == {"limits.person_day": 1}


async def test_a_refusal_by_a_limit_looks_like_an_answer_and_says_what_to_do(tmp_path: Path) -> None:
    async with pair(tmp_path, ("burst = 20", "burst = 1")) as two:
        one, other = _many(two, 2)
        permitted = await two.evaluate(one)
        limited = await two.evaluate(other)
        assert permitted is not None
        assert limited is not None
        assert limited.ruling.decision is Decision.RATE_LIMITED
        assert limited.ruling.clause == "limits: 1 questions a minute to one person"
        assert limited.ruling.remedy
        assert len(limited.elements) == len(permitted.elements) == 40
        # Tags of the permitted one do not help: this one was never evaluated under the real key.
        before = leaves(two.police)
        said = await two.redeem(other, two.every_hit(one, permitted)[:4])
        assert said is not None
        assert said.answer.tier == ""
        assert leaves(two.police) == before + 1
        assert await _codes(two, [two.part(somebody())]) == {"PERMIT": 1}


class Asking:
    """An altered searcher's question, half of whose slots are of one child and half of another."""

    def __init__(self, two: Pair) -> None:
        maker, self._ask = two.social.searcher._exchange._parts.maker, _ask("worker", **AMBER)
        secrets, self._two, self._asked = maker.new_secrets(self._ask), two, 0
        zofia, kai = (question_keys(ask_about(child).person, slots=20) for child in (ZOE, KAI))
        made = build_question([key.data for key in (*zofia, *kai)], secrets)
        as_asked = maker.prepare(self._ask, secrets, maker.clock())
        self._prepared, self._zofias = replace(as_asked, question=made, keys=(*zofia, *kai)), len(zofia)

    async def again(self) -> None:
        """Ask it, eleven seconds after the last time, under the same id and with the same elements."""
        self._two.clock.by = timedelta(seconds=11 * self._asked)
        self._asked += 1
        self.part = with_request(self._two.parts(self._ask, self._prepared, 1)[0], lookup_id=b"L" * 16)
        reply = await self._two.evaluate(self.part)
        assert reply is not None
        assert reply.ruling.decision is Decision.PERMIT
        self.reply = reply

    def hits(self, child: str) -> list[Reveal]:
        """Up to four reveals of one of the two children; of anybody else none."""
        key_of = self.part.question.key_of_slot
        hits = self._two.every_hit(self.part, self.reply)
        zofias = [hit for hit in hits if (key_of[hit.slot] or 0) < self._zofias]
        return {"Zofia": zofias, "Kai": [hit for hit in hits if hit not in zofias]}.get(child, [])[:4]

    async def redeem(self, child: str) -> RedeemReply | None:
        """Redeem the newest asking."""
        return await self._two.redeem(self.part, self.hits(child))


async def test_of_a_question_asked_often_before_it_is_redeemed_only_the_newest_asking_is(
    tmp_path: Path,
) -> None:
    async with pair(tmp_path) as two:
        asking, asked = Asking(two), []
        for number in range(8):
            await asking.again()
            asked.append((asking.part, asking.hits("Kai" if number % 2 else "Zofia")))
        assert counted(two.police) == 1
        answers = [await two.redeem(part, hits) for part, hits in asked]

        assert [answer is not None for answer in answers] == [False] * 7 + [True]
        assert (counted(two.police), leaves(two.police)) == (1, 1)


async def test_a_question_asked_again_that_opens_other_slots_counts_as_another(tmp_path: Path) -> None:
    async with pair(tmp_path, ("per_person_per_day = 60", "per_person_per_day = 2")) as two:
        asking = Asking(two)
        seen = []
        for child in ("nobody", "Zofia", "Zofia", "Kai"):
            await asking.again()
            answer = await asking.redeem(child)
            assert answer is not None
            seen.append((answer.answer.state is not AnswerState.NOTHING_RETURNED, counted(two.police)))

        assert seen == [(False, 1), (True, 1), (True, 1), (True, 2)]
        with two.police._store.read() as connection:
            bodies = connection.execute(select(log.c.body).order_by(log.c.seq)).scalars().all()
        told = [json.loads(body)["counted"] for body in bodies if b"subject" in body]
        assert told == [True, False, False, True]


def asked_of(two: Pair) -> list[tuple[str, str]]:
    """Decision and tier of each answer in the police's log."""
    with two.police._store.read() as connection:
        query = select(log.c.body).where(log.c.kind == "answered").order_by(log.c.seq)
        bodies = [json.loads(body) for body in connection.execute(query).scalars()]
    return [(body["decision"], body["tier"]) for body in bodies]


async def test_where_no_limit_is_left_a_question_asked_again_opens_what_it_opened_or_nothing(
    tmp_path: Path,
) -> None:
    async with pair(tmp_path, ("per_person_per_day = 60", "per_person_per_day = 1")) as two:
        asking = Asking(two)
        for child, is_answered in (("Zofia", True), ("Kai", False), ("Zofia", True)):
            await asking.again()
            answer = await asking.redeem(child)
            assert answer is not None
            assert (answer.answer.state is not AnswerState.NOTHING_RETURNED) is is_answered
            assert (asking.part.limited is None) is is_answered
        assert asked_of(two) == [("PERMIT", "R3"), ("RATE_LIMITED", ""), ("PERMIT", "R3")]
        assert (counted(two.police), leaves(two.police)) == (1, 3)


async def test_false_tags_and_blinds_among_the_reveals_do_not_make_other_slots_the_same(
    tmp_path: Path,
) -> None:
    async with pair(tmp_path, ("per_person_per_day = 60", "per_person_per_day = 1")) as two:
        asking = Asking(two)
        false = bytes(31) + b"\x01"
        for number in range(3):
            await asking.again()
            zofia, kai = asking.hits("Zofia")[:2], asking.hits("Kai")[:2]
            if number == 0:
                kai = [replace(hit, tag=false) for hit in kai]
            elif number == 1:
                zofia = [replace(hit, tag=false) for hit in zofia]
            else:
                zofia = [replace(hit, blind=false) for hit in zofia]
            answer = await two.redeem(asking.part, [*zofia, *kai])
            assert answer is not None
            assert (answer.answer.state is not AnswerState.NOTHING_RETURNED) is (number == 0)
        assert [decision for decision, _ in asked_of(two)] == ["PERMIT", "RATE_LIMITED", "RATE_LIMITED"]


async def test_a_redeem_under_way_when_its_question_is_asked_again_changes_nothing(tmp_path: Path) -> None:
    async with pair(tmp_path) as two:
        asking = Asking(two)
        await asking.again()
        first = asking.part
        payload = convert.redeem_request_to_wire(
            RedeemRequest(first.digest, bytes(16), tuple(asking.hits("Zofia")), names_asked=True)
        )
        sealed, _ = two.seal(first, payload, kinds.REDEEM_REQUEST, 2)
        prepared = two.police.custodian.redeem("social", first.request.lookup_id, sealed)
        await asking.again()  # by another process of the custodian, say
        assert prepared.change is not None
        with pytest.raises(ReplayRefused, match="asked again since"):
            await two.police._writer.run(prepared.change)
        assert leaves(two.police) == 0
