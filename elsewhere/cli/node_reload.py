"""`elsewhere node reload`: every source again as it was last loaded, once or for as long as it runs.

Sees:     the exports and, while loading, the node's keys. Prints one line a load: counts and codes, no value.
Source:   docs/caseload.md, "Loading again by itself".
"""

from __future__ import annotations

import re
import sys
import time
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
def reload(directory: Path, watch: bool, every: int | None) -> None:
    """Load every source again from where it was last loaded, if it has changed.

    Whether a table has changed can only be told by reading it, so it is read each time. What cannot be loaded
    leaves the old records in force, and a file that is still being written waits for the next time. Without
    --watch or --every it looks once, and ends with 0 if all is well.
    """
    from node.caseload.reload import Reloading

    reloading = Reloading(directory, lambda one: _load(directory, one), click.echo, _now, time.sleep)
    if not watch and every is None:
        sys.exit(0 if reloading.every() else 1)
    next_look = time.monotonic()
    while True:
        if (left := next_look - time.monotonic()) <= 0:
            reloading.every()
            next_look = time.monotonic() + (every or _UNITS["h"])
        elif watch:
            reloading.changed()
            time.sleep(min(POLL_S, left))
        else:
            time.sleep(left)


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
