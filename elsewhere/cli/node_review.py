"""`elsewhere node review`: decide about questions of other agencies that the agreement leaves to a person.

Sees:     who asked and why; never about whom, which this agency learns once it has let the question through.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from elsewhere.cli.ask import account_name
from elsewhere.cli.desk_options import desk_options, open_desk
from elsewhere.fields import format_instant
from elsewhere.reviewing import MAX_REVIEWS, ReviewDecision, WaitingReview


@click.group("review")
def review() -> None:
    """Decide about other agencies' questions that wait for a person here."""


@review.command("list")
@desk_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")
def list_(as_json: bool, **given: Any) -> None:
    """Show the questions that wait, the most pressing first.

    Who is asked about cannot be seen here: this agency learns it only after it has let the question through,
    and only if it holds a record of that child. Call the asking agency to hear more.
    """
    with open_desk(given) as desk:
        found = desk.reviews()
        more = desk.status().reviews_waiting - len(found) if len(found) == MAX_REVIEWS else 0
    if as_json:
        click.echo(json.dumps({"reviews": [_to_json(one) for one in found], "more": max(more, 0)}))
        return
    for one in found:
        click.echo(f"{one.number}  {one.urgency}  {one.searcher}  {one.purpose}  {one.basis}  as {one.role}")
        click.echo(f"  asked {_time(one.asked_utc)}, expected by {_time(one.expected_by)}")
        click.echo(f"  person {one.pseudonym}, case {one.case}; {one.clause}")
    if not found:
        click.echo("no question waits")
    if more > 0:
        click.echo(f"these {MAX_REVIEWS} are expected first; {more} more wait")


def _deciding(command: Callable[..., None]) -> Callable[..., None]:
    """The options and argument of both decisions."""
    command = click.option("--reason", required=True, help="Why; it stays in this agency's log.")(command)
    command = click.option("--reviewer", default="", help="Who decides, if not this account.")(command)
    return desk_options(click.argument("number")(command))


@review.command("release", short_help="Let a question through, once.")
@_deciding
def release(number: str, **given: Any) -> None:
    """Let a question through once: it is answered when the asking node asks again, within 72 hours."""
    _decide(number, True, given)
    click.echo("let through once; the asking agency's node asks again by itself, mostly within 15 minutes")


@review.command("refuse", short_help="Refuse a question; the asker is told to call.")
@_deciding
def refuse(number: str, **given: Any) -> None:
    """Refuse a question; whoever asked is told to call, and not the reason."""
    _decide(number, False, given)
    click.echo("refused; whoever asked is told to call")


def _decide(number: str, releases: bool, given: dict[str, Any]) -> None:
    who = given["reviewer"] or ("" if given["token_file"] else account_name())
    decision = ReviewDecision(number, releases, given["reason"], who)
    with open_desk(given) as desk:
        desk.decide_review(decision)


def _to_json(one: WaitingReview) -> dict[str, str]:
    return {
        "number": one.number,
        "searcher": one.searcher,
        "purpose": one.purpose,
        "basis": one.basis,
        "urgency": one.urgency,
        "role": one.role,
        "pseudonym": one.pseudonym,
        "case": one.case,
        "clause": one.clause,
        "asked": _time(one.asked_utc),
        "expected_by": _time(one.expected_by),
        "lapses": _time(one.lapses_utc),
    }


def _time(moment: Any) -> str:
    return format_instant(moment.replace(microsecond=0))
