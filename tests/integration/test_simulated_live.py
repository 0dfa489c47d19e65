"""What the simulator says of an agreement is what nodes that run answer under it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from click.testing import CliRunner

from elsewhere.agreement.local import LocalPolicy
from elsewhere.agreement.simulate import Trial, simulate
from elsewhere.asking import State
from elsewhere.cli.main import commands
from tests.federation import ZOE, ask_about, small_federation

NON_ANSWERS = {State.DENIED: "DENY", State.REVIEW: "REVIEW"}


async def test_nodes_that_run_decide_as_the_simulator_says(tmp_path: Path) -> None:
    policy = LocalPolicy(denied_purposes=frozenset({"MASH_TRIAGE"}))
    async with small_federation(tmp_path) as made:
        await made.stop("police")
        made.configure("police", policy={"denied_purposes": ["MASH_TRIAGE"]})
        await made.start("police")
        agreement = made.nodes["social"].trust.agreement
        assert agreement is not None
        seen = set()
        for purpose, basis, role in (
            ("S47_ENQUIRY", "", "practitioner"),
            ("MASH_TRIAGE", "", "practitioner"),
            ("PRACTICE_REVIEW", "", "reviewer"),
            ("S47_ENQUIRY", "A6A_CONSENT", "practitioner"),
            ("SCHOOL_SAFEGUARDING", "A6E_TASK", "safeguarding_lead"),
        ):
            found = await made.ask("social", ask_about(ZOE, purpose=purpose, basis=basis, role=role))
            trial = Trial("social", purpose, "RED", role, basis)
            rows = simulate(agreement, trial, datetime.now(UTC), policies={"police": policy})
            assert {row.custodian.agency_id for row in rows} == set(found.answers)
            for row in rows:
                answer, said = found.answers[row.custodian.agency_id], row.to_json()
                seen.add(row.decision)
                assert NON_ANSWERS.get(answer.state, "PERMIT") == row.decision
                if row.decision == "PERMIT":
                    assert answer.state.is_answer
                    assert answer.tier in ("", said["tier"])
                else:
                    assert (answer.clause, answer.remedy) == (said["clause"], said["remedy"])
                    assert answer.code == said.get("code", "agreement.review")
        assert seen == {"PERMIT", "DENY", "REVIEW"}


async def test_what_a_node_holds_is_shown_with_whom_it_binds(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        held = made.nodes["social"].trust.agreement
    words = ["agreement", "show", "--dir", str(tmp_path / "social")]
    told, in_words = (CliRunner().invoke(commands, [*words, *more]) for more in (["--json"], []))
    assert held is not None
    shown = json.loads(told.stdout)
    assert (shown["state"], shown["digest"]) == ("in force", held.digest.hex())
    assert shown["bound"] == [party.agency_id for party in held.parties]
    assert "not bound" not in in_words.stdout
