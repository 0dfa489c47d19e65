"""`elsewhere ask`: is this child known elsewhere? Through one's own agency's node.

Sees:     the child asked about and the answers; it stores nothing.
Promises: what a script needs is in the exit code and in --json; a partial result never looks complete.
"""

from __future__ import annotations

import json
import os
import pwd
import sys
from typing import Any

import click

from elsewhere.asking import URGENCIES, Ask, Coverage, CustodianAnswer, Event, Started
from elsewhere.cli.ask_report import make_console, show_event
from elsewhere.cli.desk_options import desk_options, open_desk
from elsewhere.cli.person_options import person_from, person_options
from elsewhere.sdk.desk import Desk
from elsewhere.sdk.errors import DeskInterrupted
from elsewhere.sdk.lookup import Gathering, Lookup

EXIT_CODES = {Coverage.COMPLETE: 0, Coverage.PARTIAL: 3, Coverage.NONE: 4}


@click.command("ask")
@desk_options
@person_options
@click.option("--purpose", required=True, help="Why you ask: S47_ENQUIRY, MASH_TRIAGE, MISSING_CHILD ...")
@click.option(
    "--urgency",
    required=True,
    type=click.Choice(URGENCIES),
    help="RED: at risk today. AMBER: within a day. GREEN: within three days.",
)
@click.option("--case", default="", help="Your case reference; others see only a code for it.")
@click.option("--basis", default="", help="Lawful basis, if not the usual one for purpose and agency.")
@click.option("--role", default="practitioner", show_default=True, help="In which you ask.")
@click.option("--asker", default="", help="Who asks, if not this account; others see only a code for it.")
@click.option("--reason", default="", help="Why, in words, for your own log; required with A6D_VITAL.")
@click.option("--only", multiple=True, metavar="AGENCY", help="Ask this agency alone. Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")
def ask(**given: Any) -> None:
    """Ask whether a child is known to other agencies, and whom to call there.

    Only an agency that knows the child, or holds a record very like it, learns who is asked about. Give as
    much as you know; what cannot be used is named, and never stops a question. Every answer has a reference
    to quote on the phone.

    Give the child in a file, or on standard input (end it with Ctrl-D):

    \b
      elsewhere ask --node police --person - --purpose MASH_TRIAGE \\
        --urgency RED --case C-1
      {"given": "Ann", "family": "Lee", "dob": "2015-03-02"}

    The fields are named as the options are, with _ for - (past_postcodes and aliases are lists); a MAIS
    Person is read too. The options do the same, but what is typed there stays in the shell's history, and
    everybody on the machine can see it in the list of processes while the command runs:

    \b
      elsewhere ask --node police --given Ann --family Lee --dob 2015-03-02 \\
        --postcode "AB1 2CD" --purpose MASH_TRIAGE --urgency RED --case C-1

    \b
    Ends with
      0  everybody who was asked answered      3  some did not
      4  nobody answered                       1  not asked, or interrupted
      2  typed wrongly

    Nothing returned does not mean not known.
    """
    question = Ask(
        person=person_from(given),
        purpose=given["purpose"],
        urgency=given["urgency"],
        case_reference=given["case"],
        basis=given["basis"],
        role=given["role"],
        asker=given["asker"] or ("" if given["token_file"] else account_name()),
        custodians=given["only"],
        reason=given["reason"],
    )
    with open_desk(given) as desk:
        found = _show_json(desk, question) if given["as_json"] else _show_words(desk, question)
    sys.exit(EXIT_CODES[found.coverage])


def account_name() -> str:
    """Name the operating system's account: of the process, not of the environment, which anybody can set."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"


def _show_words(desk: Desk, question: Ask) -> Lookup:
    """Each event as it comes."""
    console, gathering = make_console(), Gathering()
    for event in desk.events(question):
        gathering.take(event)
        show_event(console, event)
    return gathering.finish()


def _show_json(desk: Desk, question: Ask) -> Lookup:
    """One line at the end; also when the node stops midway, with what came and never as complete."""
    gathering = Gathering()
    events: list[Event] = []
    try:
        for event in desk.events(question):
            gathering.take(event)
            events.append(event)
        found = gathering.finish()
    except DeskInterrupted as err:
        click.echo(json.dumps(_partial(err, events).to_json()))
        raise
    click.echo(json.dumps(found.to_json()))
    return found


def _partial(stop: DeskInterrupted, events: list[Event]) -> Lookup:
    """What had come when the node stopped."""
    answers = tuple(event for event in events if isinstance(event, CustodianAnswer))
    notes = next((event.notes for event in events if isinstance(event, Started)), ())
    coverage = Coverage.PARTIAL if any(answer.state.is_answer for answer in answers) else Coverage.NONE
    return Lookup(stop.lookup_id, notes, answers, coverage, str(stop))
