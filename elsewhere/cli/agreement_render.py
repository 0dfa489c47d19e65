"""`elsewhere agreement diff | render`: what changed between two versions, and documents for people.

Sees:     agreements only.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import click

from elsewhere.cli.agreement_options import AS_JSON, AT, moment_or_now, read
from elsewhere.cli.paths import FILE
from elsewhere.cli.words import printable


@click.command("diff", short_help="What changed, and who may now ask what, or no longer.")
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@AT
@AS_JSON
def diff(old: Path, new: Path, at: datetime | None, as_json: bool) -> None:
    """Say what changed from OLD to NEW: who may now ask more, who loses what, and every clause that changed.

    Texts or signed agreements. Both are tried at the time given, or the nearest at which they are in force.
    """
    from elsewhere.agreement.diff import find_changes, find_shifts
    from elsewhere.agreement.study_shifts import find_study_shifts

    before, after = read(old), read(new)
    changes, shifts = find_changes(before, after), find_shifts(before, after, moment_or_now(at))
    studies = find_study_shifts(before.research, after.research)
    if as_json:
        told = {
            "shifts": [s.to_json() for s in shifts],
            "studies": [s.to_json() for s in studies],
            "changes": [c.to_json() for c in changes],
        }
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    for heading, is_wider in (("may now ask more:", True), ("lost:", False)):
        some = [shift.text for shift in shifts if shift.is_wider is is_wider]
        some += [study.text for study in studies if study.is_wider is is_wider]
        lines = [heading, *(f"  {printable(one)}" for one in some)] if some else [f"{heading} nothing"]
        click.echo("\n".join(lines))
    click.echo("clauses:" if changes else "clauses: none says anything else")
    for change in changes:
        click.echo(printable(f"  {change.clause}: {change.text}"))


@click.command("render", short_help="Write documents for people: text, changes, records, notice, register.")
@click.argument("file", type=FILE)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder for them; made if need be.",
)
@click.option("--previous", type=FILE, help="The version before, for what changed.")
@AT
def render(file: Path, out: Path, previous: Path | None, at: datetime | None) -> None:
    """Write, as Markdown and as HTML that loads nothing from anywhere, what people read of FILE.

    \b
    agreement          the whole agreement in plain English
    changes            what changed since --previous
    processing-record  for the record of processing activities
    impact-assessment  annex to a data protection impact assessment
    privacy-notice     for children and families
    register-entry     for a public register of agreements
    """
    from elsewhere.agreement.render.documents import render as write

    pages = write(read(file), read(previous) if previous else None, moment_or_now(at))
    out.mkdir(parents=True, exist_ok=True)
    for name, page in pages.items():
        (out / f"{name}.md").write_text(page.markdown(), "utf-8")
        (out / f"{name}.html").write_text(page.html(), "utf-8")
    click.echo(f"wrote {len(pages)} documents into {out}; a lawyer checks each before it is used")
