"""`elsewhere node budget`: what studies have cost this node, what is left, and what a restore has lost.

Sees:     ids of projects and researchers, and costs; no data.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from elsewhere.cli.paths import FOLDER

if TYPE_CHECKING:
    from node.studies.spending import Line

_SPENT = re.compile(r"([a-z][a-z0-9-]{1,31}):([a-z][a-z0-9-]{1,31}):([1-9][0-9]{0,15})")


@click.group("budget")
def budget() -> None:
    """Show what studies have cost this node, and settle what a restore has lost."""


@budget.command("show", short_help="Show what was spent and what is left.")
@click.option("--dir", "directory", type=FOLDER, required=True, help="The node's folder.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")
def show(directory: Path, as_json: bool) -> None:
    """Show what was spent and what is left, for every project of the agreement."""
    from node.config import load_config
    from node.membership.trust import Trust
    from node.owning import open_own
    from node.studies.spending import spending

    config = load_config(directory)
    agreement = Trust.load(directory, config.agency).agreement
    if agreement is None or agreement.research is None:
        click.echo("the agreement in force allows no research")
        return
    with open_own(config, claims=False) as store, store.read() as connection:
        found = spending(connection, agreement.research, datetime.now(UTC))
    if as_json:
        click.echo(json.dumps(found.to_json()))
        return
    click.echo(f"all projects, within {agreement.research.period_days} days: {_words(found.node)}")
    for line in found.lines:
        who = f"  {line.researcher}" if line.researcher else line.project
        click.echo(f"{who}: {_words(line)}")
    if found.is_unsettled:
        click.echo("the log was begun anew: run 'elsewhere node budget settle', or this node takes no part")


@budget.command("settle", short_help="Say what was spent, after a restore.")
@click.option("--dir", "directory", type=FOLDER, required=True, help="The node's folder.")
@click.option(
    "--spent",
    multiple=True,
    help="PROJECT:RESEARCHER:NANO-RHO, beyond what the store holds; as often as needed.",
)
@click.option("--nothing", is_flag=True, help="Nothing was spent beyond what the store holds.")
@click.option("--reason", required=True, help="From where that is known; it stays in your log.")
def settle(directory: Path, spent: tuple[str, ...], nothing: bool, reason: str) -> None:
    """Say what studies had cost since the copy that the store was restored from.

    Every participant of a study charges the same, so any other one can say what it was.
    """
    import secrets

    from node.config import load_config
    from node.membership.trust import Trust
    from node.owning import open_own
    from node.studies.budget import Spender
    from node.studies.budget import settle as enter
    from node.studies.spending import check_known

    if bool(spent) == nothing:
        raise click.UsageError("expected --spent, or --nothing if nothing was spent")
    found = [_SPENT.fullmatch(one) for one in spent]
    if None in found:
        raise click.UsageError(
            "expected --spent PROJECT:RESEARCHER:NANO-RHO, such as early-help:ana:250000000"
        )
    rows = [(Spender(one[1], one[2]), int(one[3])) for one in found if one is not None]
    config = load_config(directory)
    with open_own(config) as store, store.write() as connection:
        check_known(connection, Trust.load(directory, config.agency).agreement, [one for one, _ in rows])
        is_done = enter(connection, rows, reason[:200], datetime.now(UTC), secrets.token_bytes)
    click.echo(
        "settled and logged; this node takes part in studies again" if is_done else "nothing to settle"
    )


def _words(line: Line) -> str:
    """Spent and cap, as rho."""
    left = max(0, line.cap_nrho - line.spent_nrho)
    return f"spent rho {line.spent_nrho / 1e9:g} of {line.cap_nrho / 1e9:g}; {left / 1e9:g} is left"
