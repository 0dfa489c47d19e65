"""`elsewhere node notices`: the messages to this agency's duty desk.

Sees:     who was told of a child that this agency knows, and which of its own records that were.
"""

from __future__ import annotations

import json
from typing import Any

import click

from elsewhere.cli.ask import account_name
from elsewhere.cli.desk_options import desk_options, open_desk
from elsewhere.cli.words import printable
from elsewhere.fields import format_instant
from elsewhere.noticing import NoticeDone


@click.group("notices")
def notices() -> None:
    """Read the messages to this agency's duty desk: another agency was told of a child known here."""


@notices.command("list")
@desk_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")
def list_(as_json: bool, **given: Any) -> None:
    """Show the messages that nobody has dealt with yet, the oldest first."""
    from elsewhere.sdk.notices import read_notices

    with open_desk(given) as desk:
        found = read_notices(desk)
    if as_json:
        rows = [
            {
                "reference": one.reference,
                "searcher": one.searcher,
                "purpose": one.purpose,
                "urgency": one.urgency,
                "state": one.state,
                "tier": one.tier,
                "told": format_instant(one.told_utc),
                "records": [list(record) for record in one.records],
            }
            for one in found
        ]
        click.echo(json.dumps({"notices": rows}))
        return
    for one in found:
        head = f"{one.reference}  {one.urgency}  {one.searcher}  {one.purpose}"
        click.echo(f"{head}  told {one.state} {one.tier} at {format_instant(one.told_utc)}")
        for source, id in one.records:
            click.echo(f"  record {printable(id)} of {printable(source)}")
    if not found:
        click.echo("no message waits for the duty desk")


@notices.command("done", short_help="Say that somebody has dealt with a message.")
@desk_options
@click.argument("reference")
@click.option("--by", default="", help="Who dealt with it, if not this account.")
def done(reference: str, **given: Any) -> None:
    """Take a message off the list, by its call reference; the log keeps who dealt with it."""
    from elsewhere.sdk.notices import finish_notice

    who = given["by"] or ("" if given["token_file"] else account_name())
    with open_desk(given) as desk:
        finish_notice(desk, NoticeDone(reference.strip().upper(), who))
    click.echo("recorded in this agency's log")
