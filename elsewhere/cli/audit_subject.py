"""`elsewhere audit subject`, `erase`, `note`: what the log says of one child, and what a person adds to it.

Sees:     this agency's own log, and the ids of its own records.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from elsewhere.agreement.vocabulary import vocabulary
from elsewhere.cli.audit_options import FOLDER, JSON, read_roster
from elsewhere.cli.words import describe_time, printable
from elsewhere.clock import from_ms
from elsewhere.roster import Roster

_SOURCE = click.option("--source", required=True, help="Name that the records were loaded under.")
_PERSON = click.option("--person", required=True, help="The child's id in that source.")
_TOLD = ("state", "tier", "decision", "call_reference")


@click.command("subject", short_help="Tell who asked about a child, when and why.")
@_SOURCE
@_PERSON
@FOLDER
@JSON
def subject(source: str, person: str, directory: Path, as_json: bool) -> None:
    """Answer a subject access request about a child that this agency has a record of.

    Lists each question that met the record: who asked, when, why, on what basis, and what they were told.
    What was agreed to be told to nobody is left out and counted. Your data protection officer decides what of
    it may be given out: knowing who asked can put a child at risk.
    """
    from node.auditing.erasing import erase_again
    from node.auditing.subjects import about
    from node.config import load_config
    from node.owning import open_own

    roster = read_roster(directory / "trust")
    with open_own(load_config(directory)) as store:
        with store.write() as connection:
            erase_again(connection, directory, datetime.now(UTC))
        with store.read() as connection:
            found = about(connection, source, person)
    told = [_tell(entry, roster) for entry in found.entries]
    if as_json:
        click.echo(json.dumps({"entries": told, "withheld": found.withheld}))
        return
    for entry in told:
        click.echo(f"{entry['time']}  {printable(entry['asked_by'])}")
        for name in ("why", "basis", *_TOLD):
            click.echo(f"  {name:<16}{printable(entry[name])}")
    click.echo(f"{len(told)} questions met this record; {found.withheld} more are not to be told of")


@click.command("erase", short_help="Destroy what connects the log with a child.")
@_SOURCE
@_PERSON
@FOLDER
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(source: str, person: str, directory: Path, yes: bool) -> None:
    """Destroy the salts by which entries of the log can be connected with a child of this agency.

    The entries stay, and the log stays whole; nobody can tell any more that they are about this child. It
    cannot be undone. Records are not touched: they leave with their source.
    """
    from node.auditing.erasing import erase as destroy
    from node.config import load_config
    from node.owning import open_own

    if not yes:
        click.confirm("Has your data protection officer decided this? It cannot be undone.", abort=True)
    with open_own(load_config(directory)) as store, store.write() as connection:
        gone = destroy(connection, directory, (source, person), datetime.now(UTC))
    click.echo(f"{gone} entries can be connected with this child no more")


@click.command("note", short_help="Note that a question was asked in error.")
@click.argument("lookup_id")
@click.option("--reason", required=True, help="In your own words, without naming the child.")
@FOLDER
def note(lookup_id: str, reason: str, directory: Path) -> None:
    """Note that the question LOOKUP_ID was asked in error. The question itself stays in every log."""
    from node.auditing.subjects import NOTE_CHARACTERS, note_error
    from node.config import load_config
    from node.owning import open_own

    if not 1 <= len(reason.strip()) <= len(reason) <= NOTE_CHARACTERS or not reason.isprintable():
        raise click.BadParameter(f"--reason: expected 1 to {NOTE_CHARACTERS} printable characters")
    with open_own(load_config(directory)) as store, store.write() as connection:
        is_there = note_error(connection, lookup_id.strip().lower(), reason, datetime.now(UTC))
    if not is_there:
        raise click.ClickException("no question of that id was asked here; 'elsewhere audit show' lists them")
    click.echo("noted")


def _tell(entry: dict[str, Any], roster: Roster) -> dict[str, Any]:
    """What a person may be told of one entry, in words."""
    member = roster.member(entry["counterparty"])
    purpose = vocabulary().purposes.get(entry["purpose"])
    return {
        "time": describe_time(from_ms(int(entry["time_ms"]))),
        "asked_by": member.name if member else entry["counterparty"],
        "why": f"{purpose.name} ({purpose.id})" if purpose else entry["purpose"],
        "basis": entry["basis"],
        **{name: str(entry.get(name) or "") for name in _TOLD},
    }
