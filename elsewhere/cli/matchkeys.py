"""`elsewhere matchkeys`: which match keys a person yields, for those who set up or check an export.

Sees:     one person, as typed; it asks nobody, reads no store and keeps nothing.
Promises: the keys are printed in the clear, to the one who typed the person, and go nowhere else.
"""

from __future__ import annotations

import datetime
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from elsewhere.cli.person_options import person_from, person_options

if TYPE_CHECKING:
    from elsewhere.matchkeys import Explained
    from elsewhere.person.checks import Note


@click.group("matchkeys")
def matchkeys() -> None:
    """Show which match keys a person yields."""


@matchkeys.command("explain", short_help="Show each key, and what is not used and why.")
@person_options
@click.option("--question/--record", "is_question", default=True, help="As asked (default), or as held.")
@click.option("--shielded", is_flag=True, help="With --record: as held under a location shield.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explain(**given: Any) -> None:
    """Show what a person yields: each key, how much a hit on it says, and what is not used and why.

    A child is found where a question and a record share a key. Made-up people serve to try this out.

    \b
    Example:
      elsewhere matchkeys explain --record --given Ann --family Lee \\
        --dob 2015-03-02
    """
    from elsewhere import matchkeys as keys
    from elsewhere.person.checks import check

    person = person_from(given)
    if given["is_question"]:
        found = keys.question_keys(person)
    else:
        found = keys.record_keys(person, with_postcode=not given["shielded"])
    rows = keys.explain(found)
    notes = check(person, today=datetime.date.today())
    if given["as_json"]:
        click.echo(_as_json(rows, notes, keys.version(), is_question=given["is_question"]))
    else:
        _show(rows, notes, f"{len(rows)} keys, version {keys.version()}")


def _as_json(rows: tuple[Explained, ...], notes: tuple[Note, ...], version: str, *, is_question: bool) -> str:
    """Everything on one line."""
    return json.dumps(
        {
            "version": version,
            "side": "question" if is_question else "record",
            "keys": [
                {"rule": row.rule, "strength": row.strength.name, "values": list(row.values)} for row in rows
            ],
            "notes": [{"code": note.code, "field": note.field, "message": note.message} for note in notes],
        },
        ensure_ascii=False,
    )


def _show(rows: tuple[Explained, ...], notes: tuple[Note, ...], title: str) -> None:
    """One line a rule, its keys beneath each other; then what is not used."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for heading in ("rule", "strength", "keys", "meets"):
        table.add_column(heading)
    table.add_column("made of", overflow="fold")
    counts = Counter(row.rule for row in rows)
    for rule, count in counts.items():
        of_rule = [row for row in rows if row.rule == rule]
        made = "\n".join(escape(" · ".join(row.values)) for row in of_rule)
        table.add_row(rule, of_rule[0].strength.name, str(count), of_rule[0].why, made)
    console = Console()
    if rows:
        console.print(table)
    for note in notes:
        console.print(f"{escape(note.field)}: {escape(note.message)} [dim]({note.code})[/dim]")
    if not rows:
        console.print(
            "Nothing here can be matched: give a first name, family name and birth date, or a number."
        )
