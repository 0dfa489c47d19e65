"""A roster goes round a gateway that does not show it: from the stewards' files into a node."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from click.testing import CliRunner, Result

from elsewhere.cli.main import commands
from elsewhere.proposal import Proposal, sign_proposal
from gateway.proposing import Change, propose
from tests.federation import PATIENCE_S, ZOE, ask_about, small_federation
from tests.partnership import keys_of


def files(folder: Path, proposal: Proposal, signers: int) -> list[str]:
    """What stewards hand each other: the proposal, and a signature of each."""
    assert proposal.before is not None
    (folder / "stop.json").write_bytes(proposal.to_bytes())
    made = [folder / "stop.json"]
    for number, key in enumerate(keys_of(proposal.before.roster)[:signers]):
        made.append(folder / f"{number}.sig")
        made[-1].write_bytes(sign_proposal(key, proposal).to_bytes())
    return [str(path) for path in made]


def take(folder: Path, said: list[str]) -> Result:
    """Type the command."""
    return CliRunner().invoke(commands, ["node", "take-roster", *said, "--dir", str(folder)])


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
