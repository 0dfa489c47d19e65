"""`elsewhere node reload`: every source again as it was last loaded, once or for as long as it runs.

Sees:     the exports and, while loading, the node's keys. Prints one line a load: counts and codes, no value.
Source:   docs/caseload.md, "Loading again by itself".
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from elsewhere.cli.paths import FOLDER

if TYPE_CHECKING:
    from node.caseload.remembered import Remembered
    from node.caseload.report import LoadReport

POLL_S = 5.0
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Interval(click.ParamType[int]):
    """A length of time such as 30m, 1h or 1d; gives seconds."""

    name = "interval"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([1-9][0-9]{0,4})([smhd])", str(value))
        if found is None:
            self.fail("expected a length of time such as 30m, 1h or 1d", param, ctx)
        return int(found[1]) * _UNITS[found[2]]


@click.command("reload")
@click.option("--dir", "directory", type=FOLDER, required=True, help="The node's folder.")
@click.option("--watch", is_flag=True, help="Stay, and load each file again as soon as it has changed.")
@click.option(
    "--every", type=Interval(), metavar="TIME", help="Stay, and look at all sources so often: 30m, 1h."
)
@click.option("--all", "is_all", is_flag=True, help="Load also what has not changed, at the first look.")
def reload(directory: Path, watch: bool, every: int | None, is_all: bool) -> None:
    """Load every source again from where it was last loaded, if it has changed or the store has lost it.

    Whether a table has changed can only be told by reading it, so it is read each time. What cannot be loaded
    leaves the old records in force, and a file that is still being written waits for the next time. Without
    --watch or --every it looks once, and ends with 0 if all is well; with 1 if something could not be loaded,
    or no source was ever loaded here.
    """
    from node.temporaries import keep_temporaries

    keep_temporaries(directory)
    from node.caseload.opening import loads_in_force
    from node.caseload.reload import Reloading
    from node.caseload.remembered import read_remembered
    from node.errors import NothingRemembered

    sources = read_remembered(directory)
    if not sources:
        raise NothingRemembered(
            f"expected sources that were loaded into {directory} before; there are none. Load each once: "
            f"elsewhere node load FILE --mapping MAPPING --dir {directory}"
        )
    reloading = Reloading(
        directory,
        lambda one: _load(directory, one),
        lambda: loads_in_force(directory),
        click.echo,
        _now,
        time.sleep,
    )
    if not watch and every is None:
        sys.exit(0 if reloading.every(is_all=is_all) else 1)
    for line in _plan(directory, sources, watch=watch, every_s=every or _UNITS["h"]):
        click.echo(line)
    next_look = time.monotonic()
    while True:
        if (left := next_look - time.monotonic()) <= 0:
            reloading.every(is_all=is_all)
            is_all = False
            next_look = time.monotonic() + (every or _UNITS["h"])
        elif watch:
            reloading.changed()
            time.sleep(min(POLL_S, left))
        else:
            time.sleep(left)


def _plan(directory: Path, sources: Sequence[Remembered], *, watch: bool, every_s: int) -> list[str]:
    """What is looked at, how often, and where what becomes of it goes."""
    lines = [f"loading {len(sources)} sources into {directory} again when they change, until stopped:"]
    for one in sources:
        look_s = POLL_S if watch and one.file is not None else every_s
        where = f"file {one.file}" if one.file is not None else f"table of {one.mapping}"
        does = "looked at" if one.file is not None else "read"
        lines.append(f"  {one.name}: {where}, {does} every {_words(look_s)}")
    lines.append("sources that are loaded later are looked at as well; one line a load follows here")
    return lines


def _words(seconds: float) -> str:
    """A length of time in the largest unit that goes into it."""
    unit, length_s = next(item for item in reversed(_UNITS.items()) if seconds % item[1] == 0)
    return f"{seconds / length_s:g} {unit}"


def _load(directory: Path, one: Remembered) -> LoadReport:
    """Load one source, with the keys and settings there are now."""
    from elsewhere.errors import ConfigInvalid
    from node.caseload.load import load_file
    from node.caseload.mapping import read_mapping
    from node.caseload.opening import open_job

    form = read_mapping(one.mapping)
    if form.source.name != one.name:
        raise ConfigInvalid(f"expected the mapping of {one.name}; it is of {form.source.name} now")
    with open_job(directory, _now()) as job:
        return load_file(one.file, form, job)


def _now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)
