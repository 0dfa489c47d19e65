"""`elsewhere ask`: is this child known elsewhere? Through one's own agency's node.

Sees:     the child asked about and the answers; it stores nothing.
Promises: what a script needs is in the exit code and in --json; a partial result never looks complete.
"""

from __future__ import annotations

import json
import os
import pwd
import sys
from typing import Any, cast

import click

from elsewhere.asking import URGENCIES, Ask, Coverage, CustodianAnswer, Event, Started
from elsewhere.cli.ask_report import make_console, show_event
from elsewhere.cli.desk_options import desk_options, open_desk
from elsewhere.cli.person_file import read_person_file
from elsewhere.person.identity import Person, Written
from elsewhere.sdk.desk import Desk
from elsewhere.sdk.errors import DeskInterrupted
from elsewhere.sdk.lookup import Gathering, Lookup

EXIT_CODES = {Coverage.COMPLETE: 0, Coverage.PARTIAL: 3, Coverage.NONE: 4}
_PERSON_OPTIONS = (
    *("given", "family", "dob", "postcode", "past_postcodes", "nhs_number", "upn", "aliases"),
    *("mother_given", "mother_family", "mother_dob", "mother_nhs_number", "due_date"),
)


@click.command("ask")
@desk_options
@click.option("--person", "person_file", metavar="FILE", help="The child as JSON; '-' is standard input.")
@click.option("--given", help="First names, in order.")
@click.option("--family", help="Family name.")
@click.option("--dob", help="Birth date: 2015-03-02, 02/03/2015, 2015-03 or 2015.")
@click.option("--postcode", help="Postcode where the child lives.")
@click.option("--past-postcode", "past_postcodes", multiple=True, help="An earlier one. Repeatable.")
@click.option("--nhs-number", help="NHS number.")
@click.option("--upn", help="Unique pupil number.")
@click.option("--alias", "aliases", multiple=True, help="Another name: 'Billy Jones' or 'Billy'. Repeatable.")
@click.option("--mother-given", help="Unborn child: first names of the mother.")
@click.option("--mother-family", help="Unborn child: family name of the mother.")
@click.option("--mother-dob", help="Unborn child: birth date of the mother.")
@click.option("--mother-nhs-number", help="Unborn child: NHS number of the mother.")
@click.option("--due-date", help="Unborn child: when it is due.")
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
@click.option("--only", multiple=True, metavar="AGENCY", help="Ask this agency alone. Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")
def ask(**given: Any) -> None:
    """Ask whether a child is known to other agencies, and whom to call there.

    Only an agency that knows the child, or holds a record very like it, learns who is asked about. Give as
    much as you know; what cannot be used is named, and never stops a question. Every answer has a reference
    to quote on the phone.

    \b
    Example:
      elsewhere ask --node police --given Ann --family Lee --dob 2015-03-02 \\
        --postcode "AB1 2CD" --purpose MASH_TRIAGE --urgency RED --case C-1

    On a machine that others use too, do not type the child's details: they can be seen in the list of
    processes while the command runs. Put them in a file, or send them to standard input:

    \b
      elsewhere ask --node police --person - --purpose MASH_TRIAGE --urgency RED
      {"given": "Ann", "family": "Lee", "dob": "2015-03-02"}

    The fields are named as the options are, with _ for - (past_postcodes and aliases are lists); a MAIS
    Person is read too.

    \b
    Ends with
      0  everybody who was asked answered      3  some did not
      4  nobody answered                       1  not asked, or interrupted
      2  typed wrongly

    Nothing returned does not mean not known.
    """
    question = Ask(
        person=_person(given),
        purpose=given["purpose"],
        urgency=given["urgency"],
        case_reference=given["case"],
        basis=given["basis"],
        role=given["role"],
        asker=given["asker"] or account_name(),
        custodians=given["only"],
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


def _person(given: dict[str, Any]) -> Person:
    """The person from the options, or from the file; one or the other."""
    written = {name: given[name] for name in _PERSON_OPTIONS if given[name]}
    if given["person_file"] is None:
        if not written:
            raise click.UsageError("say something of the child: --given, --family, --dob ... or --person")
        return Person.of(**cast(Written, written))
    if written:
        raise click.UsageError("give the child by --person or by the other options, not by both")
    return read_person_file(given["person_file"])


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
