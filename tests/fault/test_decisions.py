"""Custodians that lie about their key, or decide otherwise than to answer: each with its own word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from elsewhere.asking import CustodianAnswer, State
from elsewhere.lookup import EvaluateRequest, Reveal
from elsewhere.oprf import voprf
from elsewhere.oprf.group import check_batch
from elsewhere.receipt import Receipt, open_receipt
from node.answering import custodian, guard, readiness
from node.answering import service as answering
from node.answering.redeem import Both, Redeemed, redeem
from node.keys.live import KeyView
from tests.fault.direct import pair
from tests.fault.rig import check_absent, check_healed, kept, somebody
from tests.federation import Federation

pytestmark = pytest.mark.asyncio(loop_scope="module")
Reveals = list[Sequence[Reveal]]


@pytest.fixture
def revealed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Reveals]:
    """What each custodian was shown in round two."""
    seen: dict[str, Reveals] = {}

    def watch(connection: Any, rounds: Both, *given: Any, **named: Any) -> Redeemed:
        seen.setdefault(rounds.request.custodian, []).append(rounds.asked.reveals)
        return redeem(connection, rounds, *given, **named)

    monkeypatch.setattr(custodian, "redeem", watch)
    return seen


def _receipt(made: Federation, answer: CustodianAnswer) -> Receipt:
    return open_receipt(answer.receipt, made.nodes[answer.custodian].keys.view.signing.public)


def _with_key(view: KeyView, key: voprf.OprfKey) -> KeyView:
    return replace(view, ring=replace(view.ring, oprf=dict.fromkeys(view.ring.oprf, key)))


async def test_a_key_made_for_one_searcher_alone_is_found_out_and_nothing_is_shown_to_it(
    made: Federation, revealed: dict[str, Reveals]
) -> None:
    police = made.nodes["police"]
    honest, before = police.keys.view, kept(police)
    other = voprf.OprfKey(b"\x05" + bytes(31))
    police.keys._view = _with_key(honest, other)
    found = await made.ask("social", somebody())
    police.keys._view = honest
    check_absent(found, police=State.ERROR)
    answer = found.answers["police"]
    assert answer.code == "proof.invalid"
    assert answer.receipt
    # Redeem was sent, and told the custodian nothing of what its mark would have found.
    assert revealed["police"] == [()]
    assert len(revealed["hospital"][0]) > 0
    assert kept(police) == (before[0] + 1, before[1] + 1)
    await check_healed(made)


@pytest.mark.parametrize("part", ["c", "s", "element", "swapped"])
async def test_a_wrong_proof_is_found_out(
    made: Federation, monkeypatch: pytest.MonkeyPatch, revealed: dict[str, Reveals], part: str
) -> None:
    evaluate, police = voprf.blind_evaluate, made.nodes["police"]
    key = police.keys.view.oprf["protected", 1]

    def lie(used: voprf.OprfKey, blinded: Sequence[bytes], *, random: Any) -> voprf.Evaluation:
        true = evaluate(used, blinded, random=random)
        if used is not key:
            return true
        elements, proof = list(true.elements), bytearray(true.proof)
        if part == "element":
            elements[7] = elements[8]
        elif part == "swapped":
            elements[7], elements[8] = elements[8], elements[7]
        else:
            proof[1 if part == "c" else 33] ^= 1
        return voprf.Evaluation(tuple(elements), bytes(proof))

    monkeypatch.setattr(voprf, "blind_evaluate", lie)
    found = await made.ask("social", somebody())
    check_absent(found, police=State.ERROR)
    assert found.answers["police"].code == "proof.invalid"
    assert revealed["police"] == [()]
    monkeypatch.undo()
    await check_healed(made)


@asynccontextmanager
async def _policy(made: Federation, **policy: Any) -> AsyncIterator[None]:
    """The police with a policy of their own, set as an operator sets it."""

    async def restart(**settings: Any) -> None:
        await made.stop("police")
        base = {"catalogue": {"tick_s": 3600}, "lookup": {"retry_s": 900.0}}
        made.configure("police", **base, **settings)
        await made.start("police")

    await restart(policy=policy)
    yield
    await restart()


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        ({"denied_purposes": ["S47_ENQUIRY"]}, "local.purpose"),
        ({"denied_agencies": ["social"]}, "local.agency"),
        ({"tier_cap": "R0"}, "local.tier"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_an_agencys_own_policy_forbids_is_denied_with_clause_and_remedy(
    made: Federation, revealed: dict[str, Reveals], policy: dict[str, Any], code: str
) -> None:
    async with _policy(made, **policy):
        police = made.nodes["police"]
        before = kept(police)
        found = await made.ask("social", somebody())
        check_absent(found, police=State.DENIED)
        answer = found.answers["police"]
        assert (answer.code, answer.clause) == (code, "the answering agency's own policy")
        assert "0000 000 001" in answer.remedy
        receipt = _receipt(made, answer)
        assert (receipt.decision, receipt.tier) == ("DENY", "")
        assert revealed["police"] == [()]
        assert kept(police) == (before[0], before[1] + 1)
    await check_healed(made)


async def test_a_purpose_that_the_agreement_gives_nobody_is_denied_by_all(made: Federation) -> None:
    found = await made.ask("social", somebody(purpose="PRACTICE_REVIEW", basis="A6E_TASK"))
    check_absent(found, police=State.DENIED, hospital=State.DENIED)
    for answer in found.answers.values():
        assert answer.code
        assert answer.clause
        assert answer.remedy
        assert _receipt(made, answer).clause == answer.clause
    await check_healed(made)


async def test_what_a_person_decides_is_in_review_and_says_by_when(
    made: Federation, revealed: dict[str, Reveals]
) -> None:
    async with _policy(made, review_agencies=["social"]):
        police = made.nodes["police"]
        before = kept(police)
        asked = datetime.now(UTC)
        found = await made.ask("social", somebody())
        check_absent(found, police=State.REVIEW)
        answer = found.answers["police"]
        assert answer.code == "agreement.review"
        assert answer.clause
        assert answer.expected_by is not None
        assert asked < answer.expected_by <= datetime.now(UTC) + timedelta(hours=4)
        receipt = _receipt(made, answer)
        assert (receipt.decision, receipt.tier) == ("REVIEW", "")
        assert revealed["police"] == [()]
        assert kept(police) == (before[0] + 1, before[1] + 1)
    await check_healed(made)


async def test_a_policy_that_caps_the_tier_answers_with_less(made: Federation) -> None:
    async with _policy(made, tier_cap="R1"):
        found = await made.ask("social", somebody())
        check_absent(found, police=State.KNOWN)
        answer = found.answers["police"]
        assert (answer.tier, answer.contact.service, answer.last_contact_band) == ("R1", "", "")
        assert found.answers["hospital"].tier != "R1"
    await check_healed(made)


async def test_no_record_is_read_before_the_decision(
    made: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    judge, evaluate = guard.Guard.judge, voprf.blind_evaluate

    def judged(self: guard.Guard, request: EvaluateRequest, *given: Any) -> guard.Verdict:
        check_batch(request.elements, size=40)
        order.append("decided")
        return judge(self, request, *given)

    def evaluated(*given: Any, **named: Any) -> voprf.Evaluation:
        order.append("evaluated")
        return evaluate(*given, **named)

    def redeemed(*given: Any, **named: Any) -> Redeemed:
        order.append("read")
        return redeem(*given, **named)

    monkeypatch.setattr(guard.Guard, "judge", judged)
    monkeypatch.setattr(voprf, "blind_evaluate", evaluated)
    monkeypatch.setattr(custodian, "redeem", redeemed)
    await made.ask("social", somebody(custodians=("police",)))
    assert order == ["decided", "evaluated", "read"]


async def test_second_replies_leave_whole_ticks_after_they_were_asked_for_and_first_ones_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pair(tmp_path, lookup={"redeem_tick_ms": 400, "workers": 2}) as two:
        waits: list[float] = []
        now, work_s = 1000.123, 0.0
        settle = answering.Answering._settle

        class Held:
            """Time that only work moves on, and a note of every wait in place of the wait itself."""

            def get_running_loop(self) -> SimpleNamespace:
                loop = asyncio.get_running_loop()
                return SimpleNamespace(time=lambda: now, run_in_executor=loop.run_in_executor)

            def wrap_future(self, future: Future[bytes]) -> asyncio.Future[bytes]:
                return asyncio.wrap_future(future)

            async def sleep(self, seconds: float) -> None:
                waits.append(seconds)

        def work(self: answering.Answering, prepared: custodian.Prepared, sealed: Future[bytes]) -> None:
            nonlocal now
            now += work_s
            settle(self, prepared, sealed)

        monkeypatch.setattr(answering, "asyncio", Held())
        monkeypatch.setattr(answering.Answering, "_settle", work)
        for begun, work_s, is_known in (
            (1000.123, 0.1, True),
            (1000.123, 0.3, False),
            (1007.7, 0.001, False),
            (1007.7, 0.55, True),
            (1010.0, 0.0, True),
        ):
            waits.clear()
            part = two.part(somebody())
            reply = await two.evaluate(part)
            assert reply is not None
            assert waits == []
            now = begun
            await two.redeem(part, two.every_hit(part, reply)[:4] if is_known else ())
            # 0.4 s after it came, whatever was found and on whatever clock; 0.8 s where that is past.
            assert now - begun + waits[0] == pytest.approx(0.8 if work_s > 0.4 else 0.4)
            assert len(waits) == 1
            await two.redeem(part, ())
            assert len(waits) == 1  # what is refused does not wait


async def test_a_custodian_whose_records_are_not_tagged_is_no_answer(
    made: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = kept(made.nodes["police"])
    with monkeypatch.context() as patch:
        patch.setattr(readiness, "_is_tagged", lambda found: False)
        found = await made.ask("social", somebody())
    check_absent(found, police=State.ERROR, hospital=State.ERROR)
    assert {answer.code for answer in found.answers.values()} == {"records.untagged"}
    assert kept(made.nodes["police"]) == (before[0], before[1] + 1)
    await check_healed(made)
