"""Studies through a real gateway and real nodes: the sum opens, its cost is charged, refusals say why."""

from __future__ import annotations

from pathlib import Path

from elsewhere.research.question import Question, ask
from elsewhere.securesum.masks import open_total
from elsewhere.securesum.share import open_share
from elsewhere.wire.v1 import research_pb2
from tests.federation import Federation, federation
from tests.studying import Asker, agree, mapping, ready, research, write_table

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
