"""`elsewhere demo`: write the made-up population, or run a whole partnership of it on this machine.

Sees:     made-up people only.
"""

from __future__ import annotations

import datetime
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

_SEED = click.option("--seed", default=1, show_default=True, help="Another seed, other people.")
_SIZE = click.option(
    "--size",
    type=click.IntRange(50, 5_000_000),
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
@click.option(
    "--agency",
    "only",
    type=click.Choice(["police", "nhs-trust", "social-care", "schools"]),
    multiple=True,
    help="Only this agency's export; may be given more than once.",
)
@click.option(
    "--form",
    type=click.Choice(["csv", "parquet"]),
    default="csv",
    show_default=True,
    help="Of the exports; Parquet needs the extra 'tables'.",
)
@click.option("--truth", is_flag=True, help="Also write who each row is about: truth.csv and children.csv.")
@click.option(
    "--questions",
    type=click.IntRange(0, 1_000_000),
    default=0,
    help="Also write so many labelled questions: questions.csv. Half are about children nobody knows.",
)
@click.option(
    "--studies", is_flag=True, help="Also write each agency's tables for studies: events of the year before."
)
@click.option(
    "--today",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day the exports are of, today by default; state it to get the same bytes on another day.",
)
def population(out: Path, seed: int, size: int, today: datetime.datetime | None, **wishes: Any) -> None:
    """Write four agencies' exports of one made-up population, with a mapping file each."""
    from elsewhere.demo.population import region
    from elsewhere.demo.writing import Wishes, answers, drop_stale_answers, left_beside, write_population

    if wishes["form"] == "parquet" and find_spec("pyarrow") is None:
        raise click.UsageError("--form parquet needs pyarrow; in the checkout: pip install '.[node,tables]'")
    day = today.date() if today else datetime.date.today()
    wanted = Wishes(out, **wishes)
    if left := left_beside(wanted):
        names = ", ".join(path.name for path in left)
        raise click.BadParameter(
            f"{out} holds exports that may be of another population: {names}. Take an empty folder, or give "
            "every --agency that is wanted at once",
            param_hint="--out",
        )
    for path in drop_stale_answers(wanted):
        click.echo(f"removed      {path}: it was of an earlier population", err=True)
    for export in write_population(region(seed=seed, size=size, today=day), wanted):
        click.echo(f"{export.rows:6} rows  {export.path}  mapped by {export.mapping}", err=True)
    for path in answers(wanted):
        click.echo(f"     answers {path}", err=True)


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
