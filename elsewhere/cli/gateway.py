"""`elsewhere gateway`: found a partnership's gateway, admit agencies, run it.

Sees:     join requests and the gateway's folder; the work is done in `gateway`.
"""

from __future__ import annotations

import re
from pathlib import Path

import click

_FOLDER = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The gateway's folder.",
)


@click.group()
def gateway() -> None:
    """Set up and run a partnership's gateway; admit agencies."""


@gateway.command("init")
@_FOLDER
@click.option("--federation", required=True, help="The partnership's name; its id is made from it.")
@click.option("--listen", required=True, metavar="HOST:PORT", help="Where the gateway listens.")
@click.option(
    "--address", "addresses", multiple=True, metavar="HOST:PORT", help="What nodes dial, if not that."
)
def init(directory: Path, federation: str, listen: str, addresses: tuple[str, ...]) -> None:
    """Make the federation's keys, an empty roster and a first agreement to edit."""
    import secrets

    from gateway.__main__ import utc_now
    from gateway.enrolment import Founding
    from gateway.enrolment import init as found
    from gateway.folder import read_anchor

    name = re.sub(r"[^a-z0-9]+", "-", federation.lower()).strip("-")
    found(directory, Founding(name, listen, addresses), now=utc_now(), random=secrets.token_bytes)
    anchor = read_anchor(directory)
    click.echo(f"federation {anchor.federation_id}, key {anchor.fingerprint}")
    click.echo(
        f"next: read {directory / 'agreement.toml'}, then 'elsewhere gateway admit' each agency's request"
    )


@gateway.command("admit")
@click.argument("request", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_FOLDER
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The admission.")
@click.option(
    "--days", type=click.IntRange(1, 397), default=30, show_default=True, help="Of its certificate."
)
def admit(request: Path, directory: Path, out: Path, days: int) -> None:
    """Let an agency in, or renew its certificate. Compare the key shown with the agency by telephone."""
    from elsewhere.enrolment import open_request
    from elsewhere.keyfiles import replace_file
    from elsewhere.roster import open_roster
    from gateway.__main__ import utc_now
    from gateway.enrolment import admit as let_in

    file = request.read_bytes()
    admission = let_in(directory, file, now=utc_now(), days=days)
    replace_file(out, admission.to_bytes())
    wish = open_request(file)
    roster = open_roster(admission.roster, admission.anchor.public)
    click.echo(f"admitted {wish.agency_id} ({wish.name}), key {wish.fingerprint}; roster {roster.version}")
    if admission.agreement is None:
        click.echo("no agreement is in force yet: it is signed when the second agency is admitted")
    click.echo(f"next: hand {out} to the agency for 'elsewhere node accept'")


@gateway.command("resign")
@_FOLDER
def resign(directory: Path) -> None:
    """Sign agreement.toml as edited, and the roster anew; both go out at once if the gateway runs."""
    from gateway.__main__ import utc_now
    from gateway.enrolment import resign as sign_again

    roster, agreement = sign_again(directory, now=utc_now())
    shown = "none yet: fewer than two parties" if agreement is None else str(agreement)
    click.echo(f"roster {roster}, agreement {shown}")


@gateway.command("state")
@click.argument("agency")
@click.argument("state", type=click.Choice(["active", "suspended", "revoked"]))
@_FOLDER
def state(agency: str, state: str, directory: Path) -> None:
    """Suspend, revoke or restore a member. Revoking cannot be undone."""
    from gateway.__main__ import utc_now
    from gateway.enrolment import set_state

    version = set_state(directory, agency, state, now=utc_now())
    click.echo(f"{agency} is {state}; roster {version}")


@gateway.command("run")
@_FOLDER
def run(directory: Path) -> None:
    """Relay until stopped by SIGTERM or Ctrl-C. Says `ready HOST:PORT` on standard error once it listens."""
    from gateway.__main__ import serve

    serve(directory)
