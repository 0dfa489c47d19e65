"""`elsewhere node budget`, as an operator types it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from elsewhere.cli.main import commands
from node.config import load_config
from node.ledger.tree import begin_anew
from node.owning import open_own
from node.studies import budget
from node.studies.budget import Charge, Spender
from node.studies.errors import SpenderUnknown
from tests.federation import federation
from tests.studying import agree, research


def run(directory: Path, *words: str) -> Result:
    """Type a command."""
    typed = ["node", "budget", *words, "--dir", str(directory)]
    return CliRunner().invoke(commands, typed, catch_exceptions=False)


async def test_what_was_spent_is_shown_and_a_restore_is_settled(tmp_path: Path) -> None:
    async with federation(tmp_path) as made:
        for agency in ("social", "police", "hospital"):
            made.join(agency, [])
        agree(made.folder, research(["social"]))
        await made.start("social", "police", "hospital")
        await made.stop("social")  # its folder now has the agreement
        directory = tmp_path / "social"
        now, ana = datetime.now(UTC), Spender("early-help", "ana")
        entry = budget.make_entry(budget.facts_of(bytes(32), bytes(32), {}, []), ana, 250_000_000, now, bytes)
        caps = budget.Caps(10**9, 10**9, 10**9, timedelta(days=1))
        paid = Charge(bytes(32), bytes(32), ana, 250_000_000, now, b"share", entry)
        with open_own(load_config(directory)) as store, store.write() as connection:
            budget.put_charge(connection, paid, caps, now)

        shown = run(directory, "show")
        assert "early-help: spent rho 0.25 of 2; 1.75 is left" in shown.output
        assert "  ana: spent rho 0.25 of 1; 0.75 is left" in shown.output
        assert "nothing to settle" in run(directory, "settle", "--nothing", "--reason", "trying").output

        with open_own(load_config(directory)) as store, store.write() as connection:
            begin_anew(connection, now)
        assert "settle" in run(directory, "show").output
        wrong = run(directory, "settle", "--spent", "early-help", "--reason", "by hand")
        assert wrong.exit_code == 2
        for misspelt in ("early-hlep:ana", "early-help:anna"):
            with pytest.raises(SpenderUnknown, match=r"\(early-help:ana\)"):
                run(directory, "settle", "--spent", f"{misspelt}:500000000", "--reason", "by hand")
        assert "settle" in run(directory, "show").output, "nothing was settled"
        said = run(directory, "settle", "--spent", "early-help:ana:500000000", "--reason", "the police say")
        assert "takes part in studies again" in said.output

        found = json.loads(run(directory, "show", "--json").output)
        assert found["is_unsettled"] is False
        assert found["projects"][1]["spent_nrho"] == 750_000_000
