"""`elsewhere gateway`: found a partnership's gateway, admit agencies, run it.

Sees:     join requests and the gateway's folder; the work is done in `gateway`.
Promises: the process is hardened before any command runs, as nearly all of them read or make keys.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import click

from elsewhere.cli.paths import FILE, FOLDER, NEW_FOLDER, OutFile
from elsewhere.cli.upgrade import TO, YES, change
from elsewhere.hardening import harden

_ABOUT_FOLDER = "The gateway's folder."
_FOLDER = click.option("--dir", "directory", type=FOLDER, required=True, help=_ABOUT_FOLDER)


@click.group()
def gateway() -> None:
    """Set up and run a partnership's gateway; admit agencies."""
    harden()


@gateway.command("init", short_help="Found a federation: keys, an empty roster, an agreement.")
@click.option("--dir", "directory", type=NEW_FOLDER, required=True, help=f"{_ABOUT_FOLDER} Made if need be.")
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

    name = _federation_id(federation)
    for option, place in (("--listen", listen), *(("--address", address) for address in addresses)):
        _check_place(option, place)
    found(directory, Founding(name, listen, addresses), now=utc_now(), random=secrets.token_bytes)
    anchor = read_anchor(directory)
    click.echo(f"federation {anchor.federation_id}, key {anchor.fingerprint}")
    click.echo(
        f"next: read {directory / 'agreement.toml'}, then 'elsewhere gateway admit' each agency's request"
    )


@gateway.command("admit", short_help="Let an agency in, or renew its certificate.")
@click.argument("request", type=FILE)
@_FOLDER
@click.option("--out", type=OutFile(), required=True, help="Where to write the admission.")
@click.option(
    "--days", type=click.IntRange(1, 397), default=30, show_default=True, help="Life of its certificate."
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


@gateway.command("resign", short_help="Sign agreement.toml as edited, and the roster anew.")
@_FOLDER
def resign(directory: Path) -> None:
    """Sign agreement.toml as edited, and the roster anew; both go out at once if the gateway runs."""
    from gateway.__main__ import utc_now
    from gateway.enrolment import resign as sign_again

    roster, agreement = sign_again(directory, now=utc_now())
    shown = "none yet: fewer than two parties" if agreement is None else str(agreement)
    click.echo(f"roster {roster}, agreement {shown}")


@gateway.command("state", short_help="Suspend, revoke or restore a member.")
@click.argument("agency")
@click.argument("state", type=click.Choice(["active", "suspended", "revoked"]))
@_FOLDER
def state(agency: str, state: str, directory: Path) -> None:
    """Suspend, revoke or restore a member. Revoking cannot be undone."""
    from gateway.__main__ import utc_now
    from gateway.enrolment import set_state

    version = set_state(directory, agency, state, now=utc_now())
    click.echo(f"{agency} is {state}; roster {version}")


@gateway.command("upgrade", short_help="Bring the store to this version's tables.")
@_FOLDER
@TO
@YES
def upgrade(directory: Path, to: str | None, is_backed_up: bool) -> None:
    """Bring the store to the tables of this version, or of another with --to. Stop the gateway first."""
    from gateway.config import load_config
    from gateway.store import SCHEMA

    config = load_config(directory)
    change(config.store_url, config.store_password, SCHEMA, to=to, is_backed_up=is_backed_up)


@gateway.command("take-store", short_help="Make the store of a gateway that is gone this one's.")
@_FOLDER
@click.option("--yes", is_flag=True, help="The other gateway is gone for good: do not ask.")
def take_store(directory: Path, yes: bool) -> None:
    """Make the store that store.url names this gateway's, though another one has used it."""
    import secrets

    from gateway.config import load_config
    from gateway.folder import owner_id, running_alone
    from gateway.store import Store

    config = load_config(directory)
    if not yes:
        click.confirm("Is the gateway that used this store gone for good?", abort=True)
    with running_alone(directory):
        store = Store(config.store_url, config.store_password)
        try:
            store.claim(owner_id(directory, secrets.token_bytes), take_over=True)
        finally:
            store.close()
    click.echo("the store is this gateway's; catalogues that it lacks come from the nodes")


@gateway.command("replica", short_help="Make another gateway of the federation, or renew its certificate.")
@click.option("--dir", "directory", type=NEW_FOLDER, required=True, help="The new gateway's folder.")
@click.option("--of", "first", type=FOLDER, required=True, help="The folder with the federation's keys.")
@click.option("--listen", required=True, metavar="HOST:PORT", help="Where the new gateway listens.")
@click.option(
    "--address", "addresses", multiple=True, metavar="HOST:PORT", help="What nodes dial, if not that."
)
def replica(directory: Path, first: Path, listen: str, addresses: tuple[str, ...]) -> None:
    """Make the folder of another gateway, to be moved to its machine; again: renew its certificate there."""
    from gateway.__main__ import utc_now
    from gateway.config import FILE_NAME
    from gateway.replica import Place, add

    for option, place in (("--listen", listen), *(("--address", address) for address in addresses)):
        _check_place(option, place)
    config = add(directory, first, Place(listen, addresses), now=utc_now())
    dialled = ", ".join(f'"{address}"' for address in config.own_addresses)
    click.echo(f"gateway of {config.federation} for {', '.join(config.own_addresses)}")
    click.echo(f"next: add {dialled} to 'replicas' in {first / FILE_NAME} and to 'gateways' of every node")


@gateway.command("run", short_help="Run the gateway until it is stopped.")
@_FOLDER
def run(directory: Path) -> None:
    """Relay until stopped by SIGTERM or Ctrl-C. Says `ready HOST:PORT` on standard error once it listens."""
    from gateway.__main__ import serve

    serve(directory)


def _federation_id(name: str) -> str:
    """An id out of the partnership's name."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    found = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if not re.fullmatch(r"[a-z][a-z0-9-]{1,31}", found):
        raise click.BadParameter(
            "expected 2 to 32 letters and digits, a letter first", param_hint="--federation"
        )
    return found


def _check_place(option: str, place: str) -> None:
    """Refuse what is no host:port before keys are made."""
    found = re.fullmatch(r"[A-Za-z0-9.-]{1,253}:(\d{1,5})", place)
    if found is None or int(found[1]) > 65535:
        raise click.BadParameter("expected HOST:PORT, such as 127.0.0.1:7443", param_hint=option)
