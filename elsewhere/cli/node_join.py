"""`elsewhere node join`: from a token to a node that is a member, and what has become of it on the way.

Sees:     the token, the node's folder. `node.membership.joining` does the work.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from pathlib import Path

import click

from elsewhere.cli.paths import NEW_FOLDER
from elsewhere.cli.words import printable

POLL_S = 5.0
_WORDS = {
    "requested": "the request is with the gateway's operator; nobody has decided yet",
    "rejected": "the request was turned down",
    "probation": "on probation: in the roster, and asked and answered by nobody yet",
    "active": "a member",
    "suspended": "suspended: the stewards have stopped this agency; it asks and answers nothing",
    "revoked": "revoked: it is a member no more, and joins again under a new id and with new keys",
    "unknown": "in no roster that the gateway has",
}


@click.command("join")
@click.argument("word", metavar="TOKEN", default="")
@click.option(
    "--dir", "directory", type=NEW_FOLDER, required=True, help="The node's folder. Made if need be."
)
@click.option("--in-hours", default="", help="Duty contact in office hours, as answers will show it.")
@click.option("--out-of-hours", default="", help="Duty contact at all other times.")
@click.option("--status", "only_status", is_flag=True, help="Only ask what has become of it.")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0, 604_800), default=0, metavar="SECONDS", help="Wait so long."
)
def join(word: str, directory: Path, *, only_status: bool, wait_s: float, **contacts: str) -> None:
    """Make this node's keys, look whether all is in order, and ask to join with TOKEN (-: standard input).

    The same command again goes on where it was. Ends with 0 once the agency is a member, else with 1.
    """
    from elsewhere.hardening import harden
    from node.membership.joining import Contacts, ask, prepare
    from node.running import utc_now

    harden()
    if not only_status:
        text = sys.stdin.read() if word == "-" else word
        whom = Contacts(contacts["in_hours"], contacts["out_of_hours"])
        if not (text and whom.in_hours and whom.out_of_hours):
            raise click.UsageError("expected TOKEN, --in-hours and --out-of-hours; or --status")
        shown = prepare(directory, text, whom, now=utc_now(), random=secrets.token_bytes)
        click.echo(f"keys are in {directory / 'keys'}; fingerprint {shown}")
    end = time.monotonic() + wait_s
    while True:
        found = asyncio.run(ask(directory, os.environ, utc_now))
        if found.state not in ("invited", "requested", "probation") or time.monotonic() >= end:
            break
        time.sleep(POLL_S)
    reason = f": {printable(found.reason)}" if found.reason else ""
    click.echo(f"{found.agency_id}: {found.state}, {_WORDS.get(found.state, found.state)}{reason}")
    if found.admission is not None:
        anchor = found.admission.anchor
        click.echo(f"joined {anchor.federation_id}, fingerprint {anchor.fingerprint}")
        click.echo("next: describe an export with 'elsewhere node mapping suggest', load it, run the node")
    elif found.state == "requested":
        click.echo("next: read the fingerprint to whoever admits; later: 'elsewhere node join --status'")
    sys.exit(0 if found.state == "active" else 1)
