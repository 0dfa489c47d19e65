"""Studies through a real gateway and real nodes: the sum opens, its cost is charged, refusals say why."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from sqlalchemy import func, select

from elsewhere.research.query import sign_query
from elsewhere.research.question import Question, ask
from elsewhere.securesum.masks import open_total
from elsewhere.securesum.share import open_share
from elsewhere.signing import SigningKey
from elsewhere.wire.v1 import research_pb2, research_pb2_grpc
from node.store.studies import charge
from tests.federation import PATIENCE_S, Federation, federation
from tests.studying import KEY, Asker, Ended, agree, mapping, ready, research, write_table

NOW_LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
AGENCIES = ("social", "police", "hospital", "schools")
ROWS = [
    {"child": f"c{n % 40}", "day": f"2025-{1 + n % 12:02}-03", "source": "1A" if n % 3 else "6", "nfa": "Y"}
    for n in range(100)
]


async def started(made: Federation) -> None:
    """Four nodes; social care and the schools hold referrals."""
    for agency in AGENCIES:
        made.join(agency, [], research=mapping() if agency in ("social", "schools") else {"tick_ms": 10})
    write_table(made.folder / "social" / "referrals.csv", ROWS)
    write_table(made.folder / "schools" / "referrals.csv", ROWS[:30])
    agree(made.folder, research(["social", "schools"]))
    await made.start(*AGENCIES)
    await ready(made)


async def test_a_sum_over_agencies_opens_to_the_truth_and_noise(tmp_path: Path) -> None:
    async with federation(tmp_path) as made:
        await started(made)
        asker = Asker(made)
        question = ask("referral", 2025, {}, ["source"])

        found = await asker.ask(asker.query(question))

        assert found.end == research_pb2.STUDY_END_OPENED, found.states
        roster = made.nodes["social"].trust.roster
        shares = [open_share(one, roster.active(agency).signing_key) for agency, one in found.shares.items()]
        totals = open_total([share.body for share in shares], question.width)
        truth = truth_of(question)
        assert all(abs(total / 16 - true) < 16 * 12 for total, true in zip(totals, truth, strict=True))
        assert any(total != 16 * true for total, true in zip(totals, truth, strict=True))


async def test_a_call_beyond_what_a_node_does_at_once_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with federation(tmp_path) as made:
        await started(made)
        asker = Asker(made)
        monkeypatch.setattr("node.studies.attending.AT_ONCE", 0)

        found = await asker.ask(asker.query(ask("referral", 2025, {}, ["nfa"])))

        assert found.end == research_pb2.STUDY_END_NOT_STARTED
        assert {code for _, code in found.states.values()} == {"refused.busy"}


def truth_of(question: Question) -> list[int]:
    """What is counted, worked out plainly."""
    counts = dict.fromkeys(question.cells(), 0)
    for rows in (ROWS, ROWS[:30]):
        seen: dict[str, int] = {}
        for _, row in sorted(enumerate(rows), key=lambda one: (one[1]["day"], str(one[0]))):
            seen[row["child"]] = seen.get(row["child"], 0) + 1
            if seen[row["child"]] <= question.clamp:
                counts[(row["source"],)] += 1
    return list(counts.values())


async def test_who_was_cut_off_after_the_roster_was_fixed_gets_the_shares_that_were_paid_for(
    tmp_path: Path,
) -> None:
    async with federation(tmp_path) as made:
        await started(made)
        asker = Asker(made)
        envelope = sign_query(KEY, asker.query(ask("referral", 2025, {}, ["nfa"])))
        async with asker.channel() as channel:
            call = research_pb2_grpc.ResearchServiceStub(channel).Study(
                research_pb2.StudyRequest(query=envelope), timeout=60
            )
            async for event in call:
                if event.WhichOneof("event") == "fixed":
                    break
            call.cancel()

        found = await again(asker, envelope)
        once_more = await again(asker, envelope)

        assert found.end == research_pb2.STUDY_END_OPENED, found.states
        assert set(found.shares) == set(AGENCIES)
        assert once_more.shares == found.shares
        for node in made.nodes.values():
            with node._store.read() as connection:
                assert connection.execute(select(func.count()).select_from(charge)).scalar_one() == 1


async def again(asker: Asker, envelope: bytes) -> Ended:
    """Ask with the same query, as soon as the gateway has noticed that the first call is gone."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await asker.run(envelope)
            except grpc.aio.AioRpcError as err:
                if err.details() != "study.busy":
                    raise
                await asyncio.sleep(0.05)


async def test_a_gateway_refuses_what_no_node_would_answer_before_it_asks_any(tmp_path: Path) -> None:
    async with federation(tmp_path) as made:
        await started(made)
        asker = Asker(made)
        honest = asker.query(ask("referral", 2025, {}, ["nfa"]))
        cases = {
            "refused.terms": sign_query(KEY, replace(honest, sensitivity_squared=1)),
            "refused.expired": sign_query(KEY, replace(honest, expires_utc=NOW_LONG_AGO)),
            "signature.invalid": sign_query(SigningKey(b"x" * 32), honest),
            "refused.researcher": sign_query(KEY, replace(honest, researcher="zoe")),
        }
        for code, envelope in cases.items():
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await asker.run(envelope)
            assert refusal.value.details() == code
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await Asker(made, "researcher:ben").run(sign_query(KEY, honest))
        assert refusal.value.details() == "refused.researcher"
