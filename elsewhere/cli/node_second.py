"""`elsewhere node second-look`: look at questions that colleagues asked on their own word.

Sees:     account, purpose and reason; never the child.
"""

from __future__ import annotations

import json
from typing import Any

import click

from elsewhere.cli.ask import account_name
from elsewhere.cli.desk_options import desk_options, open_desk
from elsewhere.cli.words import printable
from elsewhere.fields import format_instant
from elsewhere.secondlook import MAX_LOOKS, SecondOpinion


@click.group("second-look")
def second_look() -> None:
    """Look at questions asked on the asker's own word, or beyond a day's limit, of the reserve for RED."""


@second_look.command("list", short_help="Show the questions that a second person has to look at.")
@desk_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")
def list_(as_json: bool, **given: Any) -> None:
    """Show the questions that a second person has to look at, the first due at the front."""
    with open_desk(given) as desk:
        found = desk.second_looks()
    if as_json:
        looks = [
            {
                "lookup_id": one.lookup_id,
                "asker": one.asker,
                "purpose": one.purpose,
                "reason": one.reason,
                "asked": format_instant(one.asked_utc),
                "due": format_instant(one.due_utc),
            }
            for one in found
        ]
        click.echo(json.dumps({"second_looks": looks}))
        return
    for one in found:
        click.echo(f"{one.lookup_id}  {one.purpose}  asked {format_instant(one.asked_utc)}")
        click.echo(f"  due {format_instant(one.due_utc)}; {printable(one.asker)}: {printable(one.reason)}")
    if not found:
        click.echo("no question waits for a second person")
    if len(found) == MAX_LOOKS:
        click.echo(f"these {MAX_LOOKS} are due first; more may wait")


@second_look.command("give", short_help="Record what a second person finds.")
@desk_options
@click.argument("lookup_id", metavar="LOOKUP")
@click.option("--justified/--not-justified", required=True, help="What you find.")
@click.option("--note", required=True, help="Why; it stays in this agency's log.")
@click.option("--by", default="", help="Who looks, if not this account; never who asked.")
def give(lookup_id: str, **given: Any) -> None:
    """Record what a second person finds about one question, by the lookup number that `ask` printed."""
    who = given["by"] or ("" if given["token_file"] else account_name())
    opinion = SecondOpinion(lookup_id, given["justified"], given["note"], who)
    with open_desk(given) as desk:
        desk.give_second_look(opinion)
    click.echo("recorded in this agency's log")
