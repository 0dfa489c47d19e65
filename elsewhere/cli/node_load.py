"""`elsewhere node load` and `elsewhere node mapping suggest`: from an agency's export to records in force.

Sees:     the export and, while loading, the node's keys. Prints row numbers, codes and counts; never a value.
Source:   docs/caseload.md.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from elsewhere.cli.paths import FILE, FOLDER, OutFile
from node.errors import LoadRefused

if TYPE_CHECKING:
    from node.caseload.report import LoadReport, Progress

_LISTED = 20  # refused rows shown on a terminal; --json lists all that were kept
# Phase -> what is shown of it, and what is counted in it.
_PHASES = {
    "read": ("reading rows", "bytes"),
    "tag": ("tagging records", "records"),
    "group": ("grouping by child", "records"),
    "again": ("tagging shielded families", "records"),
    "store": ("storing tags", "parts"),
}


@click.command("load")
@click.argument("file", type=FILE, required=False)
@click.option("--mapping", "mapping_path", type=FILE, required=True, help="Which column holds what.")
@click.option("--dir", "directory", type=FOLDER, required=True, help="The node's folder.")
@click.option("--dry-run", is_flag=True, help="Read and check everything; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.option(
    "--exported",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    metavar="DATE",
    help="When the export was made (UTC), if not when FILE was written: 2026-03-01, or 2026-03-01T06:00:00.",
)
@click.option("--fresh", is_flag=True, help="Make all tags anew, also those that a killed load had made.")
@click.option(
    "--allow-fewer",
    is_flag=True,
    help="Load though over half of the records held, or a field of them, would be gone.",
)
def load(file: Path | None, mapping_path: Path, directory: Path, **options: object) -> None:
    """Replace the records of one source by those of FILE, all at once or not at all.

    Without FILE they come from the database table that the mapping names.

    A running node takes the new records up by itself. Rows that cannot be loaded are listed by number and
    code; docs/caseload.md explains each. Ends with 0 when loaded, 1 when nothing was.
    """
    from node.temporaries import keep_temporaries

    keep_temporaries(directory)
    try:
        with _progress_bars() as progress:
            report = _run(file, mapping_path, directory, options, progress)
    except LoadRefused as refusal:
        _print_refused(refusal, as_json=bool(options["as_json"]))
        sys.exit(1)
    _print_report(report, as_json=bool(options["as_json"]))


@click.group("mapping")
def mapping() -> None:
    """Describe an export in a mapping file."""


@mapping.command("suggest", short_help="Print a mapping for an export, with comments.")
@click.argument("file", type=FILE)
@click.option("--out", type=OutFile(), help="Write it to a new file, not to the terminal.")
def suggest(file: Path, out: Path | None) -> None:
    """Read FILE and print a mapping for it, with a comment wherever a person must decide."""
    from node.caseload.suggest import suggest_mapping

    text = suggest_mapping(file)
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        with out.open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise click.BadParameter(
            f"{out} is there already; move it away or choose another name", param_hint="--out"
        ) from None
    click.echo(f"wrote {out}; next: open it, decide what its comments ask, then")
    click.echo(f"  elsewhere node load {file} --mapping {out} --dir DIR --dry-run")


def _run(
    file: Path | None, mapping_path: Path, directory: Path, options: dict[str, object], progress: Progress
) -> LoadReport:
    """Load, or only check."""
    from node.caseload.load import dry_run, load_file
    from node.caseload.mapping import read_mapping
    from node.caseload.opening import open_job
    from node.caseload.remembered import Remembered, remember

    form = read_mapping(mapping_path)
    now = datetime.now(UTC)
    if options["dry_run"]:
        return dry_run(file, form, now.date(), progress, directory)
    exported = options["exported"]
    here = Remembered(form.source.name, file, mapping_path)
    marker = here.marker_now()
    with open_job(directory, now) as job:
        job = dataclasses.replace(
            job,
            exported=exported.replace(tzinfo=UTC) if isinstance(exported, datetime) else None,
            allow_fewer=bool(options["allow_fewer"]),
            is_fresh=bool(options["fresh"]),
        )
        report = load_file(file, form, job, progress)
    remember(directory, here, marker, report.load)
    return report


@contextmanager
def _progress_bars() -> Iterator[Progress]:
    """Show phase, share done and rate on the terminal's error output; nothing where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Task, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Rate(TextColumn):
        """How many of its unit a phase does in a second."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed or 0
            return Text(f"{speed:,.0f} {task.fields['unit']}/s")

    columns = (TextColumn("{task.description:20}"), BarColumn(), TaskProgressColumn(), Rate(""))
    console = Console(stderr=True)
    with Bars(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def told(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                name, unit = _PHASES[phase]
                tasks[phase] = bars.add_task(name, total=None, unit=unit)
            bars.update(tasks[phase], completed=done, total=total or None)

        yield told


def _print_report(report: LoadReport, *, as_json: bool) -> None:
    """Print what was loaded."""
    if as_json:
        click.echo(json.dumps({"outcome": "loaded", **dataclasses.asdict(report)}))
        return
    verb = "would be loaded; nothing was changed" if report.is_dry_run else "loaded"
    click.echo(f"{report.source}: {report.loaded} of {report.read} rows {verb}.")
    if not report.is_dry_run:
        click.echo(f"  unchanged since the last load {report.unchanged}, persons gone {report.removed}")
        click.echo(f"  children in all sources {report.children}, tags made {report.tags}")
        if report.expired:
            click.echo(f"  not loaded, as they may no longer be kept {report.expired}")
        if report.resumed:
            click.echo(f"  records tagged already by a load that did not end {report.resumed}")
    for shield, count in report.shields.items():
        if shield != "NONE":
            click.echo(f"  records under {shield} {count}")
    _print_counts("loaded, to be looked at", report.notes)
    _print_rows(report)


def _print_refused(refusal: LoadRefused, *, as_json: bool) -> None:
    """Print why nothing was loaded, with the rows to look at."""
    from node.caseload.report import LoadReport

    report = refusal.report
    if not isinstance(report, LoadReport):
        raise refusal
    if as_json:
        said = {"outcome": "refused", "code": refusal.code, "message": str(refusal)}
        click.echo(json.dumps({**said, **dataclasses.asdict(report)}))
    else:
        _print_rows(report)
    click.echo(f"error [{refusal.code}]: {refusal}. Nothing was changed.", err=True)


def _print_rows(report: LoadReport) -> None:
    """Print refused rows by code and number."""
    _print_counts("refused", report.refused_codes)
    for number, code in report.refused_rows[:_LISTED]:
        click.echo(f"    row {number}: {code}")
    if report.refused > _LISTED:
        click.echo(f"    and {report.refused - _LISTED} more; --json lists them")
    if report.refused or report.notes:
        click.echo("  docs/caseload.md says what each code means and what to do")


def _print_counts(title: str, counts: dict[str, int]) -> None:
    """Print one line a code."""
    for code, count in counts.items():
        click.echo(f"  {title}: {code} {count}")
