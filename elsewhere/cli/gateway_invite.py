"""`elsewhere gateway invite`, `requests` and `refuse`: have an agency ask to join, see who asks, say no.

Sees:     the token, once, as it is printed; requests. `gateway.invitations` does the work.
"""

from __future__ import annotations

from pathlib import Path

import click

from elsewhere.cli.paths import FOLDER
from elsewhere.cli.words import printable

_FOLDER = click.option("--dir", "directory", type=FOLDER, required=True, help="The gateway's folder.")


@click.command("invite", short_help="Print a token with which one agency can ask to join.")
@_FOLDER
@click.option(
    "--agency", required=True, help="Its id: lower-case letters, digits and hyphens, like 'police'."
)
@click.option("--name", required=True, help="Its name as people know it.")
@click.option("--sector", required=True, help="Its sector, such as POLICE.")
def invite(directory: Path, agency: str, name: str, sector: str) -> None:
    """Print a token for one agency: good once, for 24 hours. Hand it over by a way that only they can read.

    A member whose certificate ran out while its node was off is invited again, and keeps its keys.
    """
    import secrets

    from gateway.__main__ import utc_now
    from gateway.invitations import Invited
    from gateway.invitations import invite as make

    token = make(directory, Invited(agency, name, sector), now=utc_now(), random=secrets.token_bytes)
    click.echo(token.to_text())
    next_ = f"hand it to {agency} for 'elsewhere node join', then look at 'elsewhere gateway requests'"
    click.echo(f"next: {next_}", err=True)


@click.command("requests", short_help="List who asks to join.")
@_FOLDER
def requests(directory: Path) -> None:
    """List the requests that wait, each with its fingerprint and the file that it is in."""
    from gateway.invitations import request_path, waiting

    found = waiting(directory)
    for wish in found:
        click.echo(f"{wish.agency_id} ({printable(wish.name)}, {wish.sector})")
        click.echo(f"  fingerprint {wish.fingerprint}")
        click.echo(f"  duty desk {printable(wish.contact_in_hours)}, {printable(wish.contact_out_of_hours)}")
        click.echo(f"  request {request_path(directory, wish.agency_id)}")
    click.echo("next: 'elsewhere gateway propose --admit' each request" if found else "nobody waits")


@click.command("refuse", short_help="Turn a request down.")
@_FOLDER
@click.option("--agency", required=True, help="Whose request.")
@click.option("--reason", required=True, help="Why; the agency is shown it.")
def refuse(directory: Path, agency: str, reason: str) -> None:
    """Turn the request of an agency down. It may be invited again."""
    from gateway.invitations import reject

    reject(directory, agency, reason)
    click.echo(f"refused {agency}; its node is told why when it asks")
