"""`elsewhere demo`: write the made-up population, or run a whole partnership of it on this machine.

Sees:     made-up people only.
"""

from __future__ import annotations

import datetime
import sys
from pathlib import Path

import click

_SEED = click.option("--seed", default=1, show_default=True, help="Another seed, other people.")
_SIZE = click.option(
    "--size",
    type=click.IntRange(50, 90_000),
    default=900,
    show_default=True,
    help="Children in the area; an agency knows a quarter to two thirds of them.",
)


@click.group()
def demo() -> None:
    """A gateway and four made-up agencies on this machine."""


@demo.command(short_help="Write four agencies' exports and mapping files.")
@_SEED
@_SIZE
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to write to."
)
def population(seed: int, size: int, out: Path) -> None:
    """Write four agencies' exports of one made-up population, with a mapping file each."""
    from elsewhere.demo.population import write_population

    for export in write_population(out, seed=seed, size=size, today=datetime.date.today()):
        click.echo(
            f"{export.rows:6} rows  {out / export.agency}.csv  mapped by {out / export.agency}.toml", err=True
        )


@demo.command(short_help="Run a gateway and four agencies, and ask three questions.")
@_SEED
@_SIZE
@click.option("--once", is_flag=True, help="End after the answers instead of waiting for Ctrl-C.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object a lookup, and nothing else, on stdout."
)
def run(seed: int, size: int, once: bool, as_json: bool) -> None:
    """Start a gateway and four agencies, load their records, and ask about three children."""
    from elsewhere.demo.run import Wishes, run_demo

    sys.exit(run_demo(Wishes(seed=seed, size=size, once=once, as_json=as_json)))
