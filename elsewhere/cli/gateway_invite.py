"""`elsewhere gateway invite`, `requests` and `refuse`: have an agency ask to join, see who asks, say no.

Sees:     the token, once, as it is printed; requests. `gateway.invitations` does the work.
"""

from __future__ import annotations

from pathlib import Path

import click

from elsewhere.cli.paths import FOLDER
from elsewhere.cli.words import printable

_FOLDER = click.option("--dir", "directory", type=FOLDER, required=True, help="The gateway's folder.")


@click.command("invite", short_help="Print a token with which one agency, or one researcher, can join.")
@_FOLDER
@click.option("--agency", help="Its id: lower-case letters, digits and hyphens, like 'police'.")
@click.option("--researcher", help="Or a researcher's id, of the same form.")
@click.option("--name", required=True, help="Its name as people know it.")
@click.option("--sector", help="An agency's sector, such as POLICE.")
@click.option("--organisation", help="Where a researcher works.")
def invite(directory: Path, name: str, **who: str | None) -> None:
    """Print a token for one agency or one researcher: good once, for 24 hours. Hand it over privately.

    A member whose certificate ran out while its node was off is invited again, and keeps its keys; so is a
    researcher.
    """
    agency, researcher, sector, organisation = (
        who[key] for key in ("agency", "researcher", "sector", "organisation")
    )
    if agency and sector and not researcher and not organisation:
        next_ = f"hand it to {agency} for 'elsewhere node join', then look at 'elsewhere gateway requests'"
        text = _agency_token(directory, agency, name, sector)
    elif researcher and organisation and not agency and not sector:
        next_ = f"hand it to {researcher} for 'elsewhere research init'"
        text = _researcher_token(directory, researcher, name, organisation)
    else:
        raise click.UsageError("expected --agency with --sector, or --researcher with --organisation")
    click.echo(text)
    click.echo(f"next: {next_}", err=True)


def _agency_token(directory: Path, agency: str, name: str, sector: str) -> str:
    """Invite an agency."""
    import secrets

    from gateway.__main__ import utc_now
    from gateway.invitations import Invited
    from gateway.invitations import invite as make

    return make(directory, Invited(agency, name, sector), now=utc_now(), random=secrets.token_bytes).to_text()


def _researcher_token(directory: Path, researcher: str, name: str, organisation: str) -> str:
    """Invite a researcher."""
    import secrets

    from gateway.__main__ import utc_now
    from gateway.researchers import InvitedResearcher, invite_researcher

    who = InvitedResearcher(researcher, name, organisation)
    return invite_researcher(directory, who, now=utc_now(), random=secrets.token_bytes).to_text()


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
