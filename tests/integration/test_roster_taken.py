"""Rosters and agreements go round a gateway that shows them not: from stewards' files into a node."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import tomli_w
from click.testing import CliRunner, Result

from elsewhere.cli.main import commands
from elsewhere.proposal import Proposal, ProposalInvalid, sign_proposal
from gateway.proposing import Change, propose
from tests.federation import PATIENCE_S, ZOE, ask_about, small_federation
from tests.partnership import keys_of
from tests.studying import agree, research


def files(folder: Path, proposal: Proposal, signers: int) -> list[str]:
    """What stewards hand each other: the proposal, and a signature of each."""
    assert proposal.before is not None
    (folder / "stop.json").write_bytes(proposal.to_bytes())
    made = [folder / "stop.json"]
    for number, key in enumerate(keys_of(proposal.before.roster)[:signers]):
        made.append(folder / f"{number}.sig")
        made[-1].write_bytes(sign_proposal(key, proposal).to_bytes())
    return [str(path) for path in made]


def take(folder: Path, said: list[str], what: str = "take-roster") -> Result:
    """Type the command."""
    return CliRunner().invoke(commands, ["node", what, *said, "--dir", str(folder)])


async def test_a_revocation_that_is_not_enacted_holds_where_its_steward_hands_it_over(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        change = Change(states={"police": "revoked"})
        proposal = propose(tmp_path / "gw", change, now=datetime.now(UTC))  # and nobody enacts it
        assert proposal.before is not None
        node, before = made.nodes["social"], proposal.before.roster

        too_few = take(tmp_path / "social", files(tmp_path, proposal, before.quorum - 1))
        assert too_few.exit_code != 0
        assert node.trust.roster.version == before.version

        found = await asyncio.to_thread(
            take, tmp_path / "social", files(tmp_path, proposal, len(before.stewards))
        )
        assert f"this node holds roster {proposal.roster.version} now" in found.output
        async with asyncio.timeout(PATIENCE_S):
            while node.trust.roster.version != proposal.roster.version:
                await asyncio.sleep(0.02)

        answers = (await made.ask("social", ask_about(ZOE))).answers
        assert "police" not in answers
        assert "hospital" in answers
        again = await asyncio.to_thread(
            take, tmp_path / "social", files(tmp_path, proposal, len(before.stewards))
        )
        assert "held roster" in again.output


async def test_a_project_that_is_closed_and_not_enacted_ends_where_its_steward_hands_that_over(
    tmp_path: Path,
) -> None:
    async with small_federation(tmp_path) as made:
        agree(tmp_path, research(["social"]))
        node = made.nodes["social"]
        async with asyncio.timeout(PATIENCE_S):
            while node.trust.agreement is None or node.trust.agreement.research is None:
                await asyncio.sleep(0.02)
        before = node.trust.agreement
        path = tmp_path / "gw" / "agreement.toml"
        text = path.read_text("utf-8")
        path.write_text(text.split("\n[research]\n")[0] + "\n" + closed())
        proposal = propose(tmp_path / "gw", Change(), now=datetime.now(UTC))  # and nobody enacts it
        path.write_text(text)
        assert proposal.before is not None
        all_of_them = len(proposal.before.roster.stewards)

        said = files(tmp_path, proposal, proposal.before.roster.quorum - 1)
        assert take(tmp_path / "social", said, "take-agreement").exit_code != 0
        assert node.trust.agreement == before
        said = files(tmp_path, proposal, all_of_them)
        found = await asyncio.to_thread(take, tmp_path / "social", said, "take-agreement")

        assert f"this node holds agreement {before.version + 1} now" in found.output
        async with asyncio.timeout(PATIENCE_S):
            while node.trust.agreement is None or node.trust.agreement.version == before.version:
                await asyncio.sleep(0.02)
        held = node.trust.agreement.research
        assert held is not None
        assert [project.state for project in held.projects] == ["closed"]
        again = await asyncio.to_thread(take, tmp_path / "social", said, "take-agreement")
        assert "held agreement" in again.output


def closed() -> str:
    """The research part of an agreement, with its project closed."""
    part = research(["social"])
    project = replace(part.projects[0], state="closed")
    return tomli_w.dumps({"research": replace(part, projects=(project,)).to_json()})


async def test_a_proposal_without_an_agreement_is_refused_as_one(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        proposal = propose(tmp_path / "gw", Change(), now=datetime.now(UTC))
        assert proposal.before is not None
        said = files(tmp_path, replace(proposal, agreement=None), len(proposal.before.roster.stewards))

        refused = await asyncio.to_thread(take, tmp_path / "social", said, "take-agreement")

        assert isinstance(refused.exception, ProposalInvalid)
        assert made.nodes["social"].trust.roster == proposal.before.roster
