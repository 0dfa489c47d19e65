"""`elsewhere history`: what came of an earlier question, late answers included.

Sees:     the answers; who the child is stands nowhere in them.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from elsewhere.asking import coverage_of, summarise
from elsewhere.cli.ask_report import make_console, show_event
from elsewhere.cli.desk_options import desk_options, open_desk
from elsewhere.sdk.lookup import answer_to_json


@click.command("history")
@desk_options
@click.argument("lookup_id", metavar="LOOKUP")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")
def history(lookup_id: str, as_json: bool, **given: Any) -> None:
    """Show the newest answers to an earlier question, by the lookup number that `ask` printed.

    An agency that could not be reached in time is asked again: for 4 hours after a RED question, 24 after
    an AMBER, 72 after a GREEN one. Its late answer is found here.

    Ends with 0, or 1 if this node holds no such question.
    """
    with open_desk(given) as desk:
        answers = desk.history(lookup_id)
    if as_json:
        found = {"lookup_id": lookup_id, "coverage": coverage_of(answers).value}
        click.echo(json.dumps({**found, "answers": [answer_to_json(answer) for answer in answers]}))
    elif answers:
        console = make_console()
        for answer in answers:
            show_event(console, answer)
        console.print(f"\n{coverage_of(answers).value}: {summarise(answers)}")
    else:
        click.echo("no question with this number was asked through this node", err=True)
    sys.exit(0 if answers else 1)
