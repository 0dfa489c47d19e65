"""`elsewhere node drop-source`, and what `elsewhere node status` says of each source.

Sees:     counts and times of sources; while one is dropped, the node's keys.
Source:   docs/caseload.md, "When a source ends".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
from sqlalchemy.exc import SQLAlchemyError

from elsewhere.cli.paths import FOLDER
from elsewhere.cli.words import printable
from elsewhere.errors import ElsewhereError
from elsewhere.fields import format_instant

if TYPE_CHECKING:
    from node.caseload.standing import Standing


@click.command("drop-source")
@click.argument("name")
@click.option("--dir", "directory", type=FOLDER, required=True, help="The node's folder.")
@click.option("--yes", is_flag=True, help="The source has ended, and its records are to go: do not ask.")
def drop_source(name: str, directory: Path, yes: bool) -> None:
    """Take all records of the source NAME out of force, and load it again by itself no more.

    Of a child who is in that source alone, others are then told that nothing was found. It is logged. Other
    sources keep their records, and the shields that this one has told of.
    """
    from node.caseload.load import drop_source as drop
    from node.caseload.opening import open_job
    from node.caseload.remembered import forget
    from node.caseload.standing import standing_sources

    found = {one.name: one for one in standing_sources(directory)}
    if name not in found:
        there = ", ".join(map(printable, found)) or "none"
        raise click.BadParameter(f"expected a source of this node; there are: {there}", param_hint="NAME")
    now = datetime.now(UTC)
    for line in describe_sources([found[name]], now):
        click.echo(line.strip())
    if not yes:
        click.confirm("Are its records to go, from this node and from what others are told?", abort=True)
    gone = 0
    if found[name].loaded_utc is not None or found[name].is_awaited:
        with open_job(directory, now) as job:
            gone = drop(name, job).removed
    forget(directory, name)  # last: killed before, the command is given again
    click.echo(
        f"{printable(name)} is dropped: persons gone {gone}; a running node answers without it from now on"
    )


def read_sources(directory: Path) -> list[Standing] | None:
    """Read which sources a node has; None where that cannot be told, as while the store cannot be reached."""
    from node.caseload.standing import standing_sources

    try:
        return standing_sources(directory)
    except (ElsewhereError, SQLAlchemyError, OSError):
        return None


def sources_to_json(found: Sequence[Standing] | None, now: datetime) -> list[dict[str, object]] | None:
    """What programs read."""
    if found is None:
        return None
    return [
        {
            "name": one.name,
            "records": one.records,
            "made": format_instant(one.made_utc) if one.made_utc else None,
            "loaded": format_instant(one.loaded_utc) if one.loaded_utc else None,
            "max_age_days": one.max_age_days,
            "stale": one.is_old(now),
            "awaited": one.is_awaited,
            "reloads": one.is_remembered,
        }
        for one in found
    ]


def describe_sources(found: Sequence[Standing], now: datetime) -> list[str]:
    """One line a source."""
    lines = []
    for one in found:
        words = []
        if one.made_utc is not None and one.loaded_utc is not None:
            days = max((now - one.made_utc) / timedelta(days=1), 0)
            words += [f"{one.records} records, {days:.1f} days old, loaded {format_instant(one.loaded_utc)}"]
        else:
            words += ["nothing in force"]
        if one.is_old(now):
            words += [f"OLDER THAN the {one.max_age_days} days of its mapping"]
        if one.is_awaited:
            words += ["TO BE LOADED AGAIN"]
        if not one.is_remembered:
            words += ["not loaded again by itself"]
        lines.append(f"  source {printable(one.name)}: {', '.join(words)}")
    return lines
