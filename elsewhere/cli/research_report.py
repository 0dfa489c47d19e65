"""How `elsewhere research` shows things: tables for people, or one JSON object.

Promises: with every number its interval, what it cost, and what is left; words, never colour alone.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
from rich import box
from rich.console import Console
from rich.table import Table

from elsewhere.cli.words import printable
from elsewhere.research.dictionary import Kind
from elsewhere.sdk.researcher.ends import NANO, End, Failed, Opened, Participant, Refused, describe
from elsewhere.sdk.researcher.folder import About
from elsewhere.sdk.researcher.pricing import Budget, Preview, TableOffer

_ACCOUNTED: Final = "Totals over agencies count a child once at each agency that holds it."


def show_request(directory: Path, about: About) -> None:
    """Print the request for approval."""
    entry = about.entry
    click.echo("Send this to the stewards, for the agreement:\n")
    click.echo("[[research.researchers]]")
    for key, value in (("id", entry.id), ("name", entry.name), ("organisation", entry.organisation)):
        click.echo(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    click.echo(f'key = "{entry.key.hex()}"\n')
    click.echo(f"and read this fingerprint to them by telephone: fingerprint {entry.fingerprint}")
    typed = shlex.join(["elsewhere", "research", "tables", "--dir", str(directory)])
    click.echo(f"next: once they have signed the agreement with it, '{typed}'")


def show_tables(offers: Sequence[TableOffer], *, as_json: bool) -> None:
    """List what may be asked."""
    if as_json:
        _echo([_offer(one) for one in offers])
        return
    for one in offers:
        click.echo(
            f"{one.table.id}: {one.table.words}{'' if one.is_open else ' (this project may not ask it)'}"
        )
        click.echo(f"  held by    {', '.join(one.holders) or 'nobody'}")
        if one.holders:
            click.echo(f"  in a total {one.min_holders} of them at least")
        click.echo(f"  lacked by  {', '.join(one.lacking) or 'none'}")
        click.echo(f"  columns    {', '.join(one.table.columns)}")
    click.echo(
        "keys and bounds of every column: --json. An agency that lacks a table adds zeros, with noise."
    )


def show_budget(budget: Budget, *, as_json: bool) -> None:
    """Show what is left."""
    if as_json:
        _echo(
            {
                "budget_left": budget.least_nrho / NANO,
                "agencies": [
                    {
                        "agency": one.agency,
                        "project": one.project / NANO,
                        "researcher": one.researcher / NANO,
                        "node": one.node / NANO,
                    }
                    for one in budget.left
                ],
                "missing": [one.to_json() for one in budget.missing],
            }
        )
        return
    table = _table("agency", "project", "researcher", "agency, all projects")
    for one in budget.left:
        table.add_row(one.agency, *(f"{left / NANO:.4f}" for left in (one.project, one.researcher, one.node)))
    _console().print(table)
    _show_participants(budget.missing)
    click.echo(f"left for the next study: rho {budget.least_nrho / NANO:.4f}")


def show_preview(found: Preview, *, as_json: bool) -> None:
    """Show what a study would cost."""
    away = sorted(set(found.agencies) - set(found.attending))
    if as_json:
        _echo(
            {
                "question": found.question.to_json(),
                "interval": found.price.interval,
                "rho": found.price.rho,
                "epsilon": found.price.epsilon,
                "rho_alone": found.price.rho_alone,
                "budget_left": found.budget.least_nrho / NANO,
                "budget_left_after": found.left_after_nrho / NANO,
                "is_affordable": found.is_affordable,
                "agencies": len(found.agencies),
                "away": list(away),
            }
        )
        return
    click.echo(found.question.words)
    click.echo(f"{found.question.width} numbers from {len(found.agencies)} agencies; nothing was charged")
    click.echo(f"  within        {found.price.within(found.question)}, 19 times in 20")
    click.echo(f"  cost          rho {found.price.rho:.4f}, epsilon {found.price.epsilon:.2f} at delta 1e-6")
    click.echo(f"  worst case    rho {found.price.rho_alone:.4f}, if all other agencies pooled their shares")
    click.echo(f"  budget left   rho {found.budget.least_nrho / NANO:.4f}")
    after = f"rho {found.left_after_nrho / NANO:.4f}"
    click.echo(
        f"  after it      {after if found.is_affordable else 'more than is left: it would be refused'}"
    )
    if away:
        click.echo(f"  away now      {', '.join(away)}")


def show_change(one: Participant) -> None:
    """Print one agency's state as it changes, on standard error."""
    click.echo(f"{one.agency}: {one.state}{f' ({printable(one.code)})' if one.code else ''}", err=True)


def show_end(end: End, *, as_json: bool) -> None:
    """Show how a study ended."""
    if as_json:
        _echo(end.to_json())
    elif isinstance(end, Opened):
        _show_opened(end)
    elif isinstance(end, Refused):
        why = end.code or "not every agency takes part, see below; --accept-missing goes on without"
        click.echo(f"REFUSED: {printable(why)}. Nothing was charged.")
        _show_participants(end.participants)
    else:
        _show_failed(end)


def _show_opened(end: Opened) -> None:
    """What was asked, estimates, and what they cost."""
    click.echo(end.question.words)
    has_slots = len(end.question.slots) > 1 or end.question.metric.kind == "quantile"
    table = _table(*end.question.by, *(["number"] if has_slots else []), "estimate", "95 % interval")
    for cell in end.cells:
        table.add_row(*cell.keys, *([cell.slot] if has_slots else []), *describe(cell))
    _console().print(table)
    click.echo(f"agencies       {len(end.agencies)}: {', '.join(end.agencies)}")
    click.echo(f"holders        {end.holding}: {', '.join(end.holders)}")
    if end.holders_away:
        click.echo(f"not in it      {', '.join(end.holders_away)}")
    click.echo(f"interval       {end.price.within(end.question)}, 19 times in 20")
    click.echo(f"cost           rho {end.price.rho:.4f}, epsilon {end.price.epsilon:.2f} at delta 1e-6")
    click.echo(f"worst case     rho {end.price.rho_alone:.4f}, if all other agencies pooled their shares")
    click.echo(f"budget left    rho {end.budget_left_nrho / NANO:.4f}")
    click.echo(f"query          {end.query_id}")
    if end.path is not None:
        click.echo(f"signed shares  {end.path}")
    if any(one.state != "shared" for one in end.participants):
        _show_participants(end.participants)
    click.echo(_ACCOUNTED)


def _show_failed(end: Failed) -> None:
    click.echo(
        "FAILED: an agency failed once all had agreed. What was charged stands: "
        f"rho {end.charge_nrho / NANO:.4f} at each that had shared."
    )
    _show_participants(end.participants)
    click.echo(f"next: within half an hour of asking, 'elsewhere research resume {end.query_id[:12]}'")


def _show_participants(found: Sequence[Participant]) -> None:
    for one in found:
        click.echo(f"  {one.agency}: {one.state}{f' ({printable(one.code)})' if one.code else ''}")


def _offer(one: TableOffer) -> dict[str, Any]:
    columns = {
        name: {"low": column.low, "high": column.high}
        if column.kind is Kind.NUMBER
        else {"keys": list(column.keys)}
        for name, column in one.table.columns.items()
    }
    return {
        "table": one.table.id,
        "words": one.table.words,
        "clamp": one.table.clamp,
        "columns": columns,
        "holders": list(one.holders),
        "min_holders": one.min_holders,
        "lacking": list(one.lacking),
        "may_ask": one.is_open,
    }


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table


def _console() -> Console:
    return Console(highlight=False)


def _echo(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False))
