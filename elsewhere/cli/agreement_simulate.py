"""`elsewhere agreement simulate`: would they answer this, to whom, why not? By the decision that nodes take.

Sees:     an agreement, a question without a person, and the policy table of nodes' settings.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from elsewhere.cli.agreement_options import AS_JSON, AT, moment_or_now, read
from elsewhere.cli.paths import FILE

if TYPE_CHECKING:
    from elsewhere.agreement.local import LocalPolicy
    from elsewhere.agreement.simulate import Row


@click.command("simulate", short_help="Would they answer this, to whom, why not?")
@click.argument("file", type=FILE)
@click.option("--searcher", required=True, help="Id of the agency that asks.")
@click.option("--purpose", required=True, help="Why it asks, such as S47_ENQUIRY.")
@click.option("--basis", default="", help="Lawful basis. By default the usual one, as a node takes it.")
@click.option("--urgency", default="AMBER", show_default=True, help="RED, AMBER or GREEN.")
@click.option("--role", default="practitioner", show_default=True, help="Role of the person who asks.")
@click.option("--collection", default="involvement", show_default=True, help="What is asked about.")
@click.option("--custodian", "custodians", multiple=True, help="Whom to ask. By default every other party.")
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="AGENCY=FILE",
    help="An answering node's settings, of which only [policy] is read.",
)
@AT
@AS_JSON
def simulate(file: Path, at: datetime | None, as_json: bool, **given: Any) -> None:
    """Say who would answer this question under FILE, how far, under which clause; and if not, what to do.

    The same decision is taken as by live nodes, from the searcher's usual basis on. Not simulated: limits
    on the number of questions, whether a node can be reached, and who has yet to sign: it is tried as if
    every party's steward had. Of researchers' totals, 'agreement lint' names what could not be answered, and
    their own 'research preview' says what a query costs.

    \b
    Example:
      elsewhere agreement simulate agreement.toml --searcher school \\
        --purpose SCHOOL_SAFEGUARDING --role safeguarding_lead
    """
    from elsewhere.agreement.simulate import Trial
    from elsewhere.agreement.simulate import simulate as try_out

    words = ("searcher", "purpose", "urgency", "role", "basis", "collection")
    rows = try_out(
        read(file).signed_by_all(),
        Trial(**{name: given[name] for name in words}),
        moment_or_now(at),
        policies=dict(_policy(one) for one in given["policies"]),
        custodians=given["custodians"],
    )
    if as_json:
        click.echo(json.dumps({"rows": [row.to_json() for row in rows]}, ensure_ascii=False))
    else:
        _show(rows)


def _policy(text: str) -> tuple[str, LocalPolicy]:
    """Read AGENCY=FILE, a node's settings of which the policy table alone is used."""
    from elsewhere.agreement.local import LocalPolicy
    from elsewhere.fields import Fields
    from elsewhere.toml import TomlInvalid, parse_toml

    agency, _, name = text.partition("=")
    try:
        table = parse_toml(Path(name).read_text("utf-8")) if name else {}
    except (OSError, UnicodeDecodeError, TomlInvalid):
        raise click.BadParameter(
            "expected AGENCY=FILE with a node's settings", param_hint="--policy"
        ) from None
    if "policy" not in table:
        raise click.BadParameter("expected a file with a table [policy]", param_hint="--policy")
    return agency, LocalPolicy.from_fields(Fields(table["policy"], "policy"))


def _show(rows: tuple[Row, ...]) -> None:
    """One line an agency; beneath the table, for each that does not answer at once, what to do."""
    from rich.console import Console
    from rich.table import Table

    from elsewhere.agreement.outcome import Deny, Permit
    from elsewhere.cli.words import printable

    table = Table(title=f"basis {printable(rows[0].basis)}" if rows else None, title_justify="left")
    for heading in ("agency", "decision", "tier"):
        table.add_column(heading, no_wrap=True)
    for heading in ("obligations or reason", "clause"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        outcome = row.outcome
        if isinstance(outcome, Deny):
            tier, why = "", outcome.code
        else:
            tier, why = outcome.tier.name, " ".join(outcome.obligations)
        table.add_row(row.custodian.agency_id, row.decision, tier, why, printable(outcome.clause))
    console = Console()
    console.print(table)
    for row in rows:
        if not isinstance(row.outcome, Permit):
            click.echo(f"{row.custodian.agency_id}: {printable(row.outcome.remedy)}")
