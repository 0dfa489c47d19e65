"""`elsewhere gateway`: found a partnership's gateway, hand members their certificates, run it.

Sees:     join requests and the gateway's folder; the work is done in `gateway`.
Promises: the process is hardened before any command runs, as nearly all of them read or make keys.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import click

from elsewhere.cli.gateway_invite import invite, refuse, requests
from elsewhere.cli.gateway_propose import enact, propose
from elsewhere.cli.paths import FILE, FOLDER, NEW_FOLDER, OutFile
from elsewhere.cli.upgrade import TO, YES, change
from elsewhere.hardening import harden

_ABOUT_FOLDER = "The gateway's folder."
_FOLDER = click.option("--dir", "directory", type=FOLDER, required=True, help=_ABOUT_FOLDER)


@click.group(commands=[propose, enact, invite, requests, refuse])
def gateway() -> None:
    """Set up and run a partnership's gateway; admit agencies."""
    harden()


@gateway.command("init", short_help="Found a federation: keys, an agreement, the first proposal.")
@click.option("--dir", "directory", type=NEW_FOLDER, required=True, help=f"{_ABOUT_FOLDER} Made if need be.")
@click.option("--federation", required=True, help="The partnership's name; its id is made from it.")
@click.option("--listen", required=True, metavar="HOST:PORT", help="Where the gateway listens.")
@click.option(
    "--address", "addresses", multiple=True, metavar="HOST:PORT", help="What nodes dial, if not that."
)
@click.option(
    "--steward",
    "cards",
    type=FILE,
    multiple=True,
    metavar="CARD",
    help="A first steward's card.",
)
@click.option("--quorum", type=int, help="How many stewards must sign. By default a majority, at least 2.")
@click.option("--out", type=OutFile(), required=True, help="Where to write the first proposal.")
def init(
    directory: Path,
    addresses: tuple[str, ...],
    cards: tuple[Path, ...],
    quorum: int | None,
    out: Path,
    **where: str,
) -> None:
    """Make the gateway's keys, a first agreement to edit, and the first roster for the stewards to sign."""
    import secrets

    from elsewhere.errors import DocumentInvalid
    from elsewhere.keyfiles import replace_file
    from elsewhere.stewards import open_card
    from gateway.__main__ import utc_now
    from gateway.enrolment import Founding
    from gateway.enrolment import init as found

    name, listen = _federation_id(where["federation"]), where["listen"]
    for option, place in (("--listen", listen), *(("--address", address) for address in addresses)):
        _check_place(option, place)
    stewards = tuple(open_card(card.read_bytes()) for card in cards)
    founding = Founding(name, listen, addresses, stewards, quorum)
    try:
        proposal = found(directory, founding, now=utc_now(), random=secrets.token_bytes)
    except DocumentInvalid as err:
        hint = {"stewards": "--steward", "quorum": "--quorum"}.get(err.key)
        raise click.BadParameter(err.reason, param_hint=hint) if hint else err from None
    replace_file(out, proposal.to_bytes())
    click.echo(f"federation {proposal.anchor.federation_id}, fingerprint {proposal.anchor.fingerprint}")
    if proposal.roster.quorum == len(stewards):
        click.echo("all of them must sign: the loss of one key would end it, so have more stewards soon")
    click.echo(
        f"next: have the stewards 'elsewhere steward sign {out}', 'elsewhere gateway enact' it; read"
        f" {directory / 'agreement.toml'}, then 'elsewhere gateway propose --admit' the agencies' requests"
    )


@gateway.command("admit", short_help="Hand a member its certificate, or a new one.")
@click.argument("request", type=FILE)
@_FOLDER
@click.option("--out", type=OutFile(), required=True, help="Where to write the admission.")
@click.option(
    "--days", type=click.IntRange(1, 397), default=30, show_default=True, help="Life of its certificate."
)
def admit(request: Path, directory: Path, out: Path, days: int) -> None:
    """Hand an agency that the stewards have let in what it joins with; again: a new certificate."""
    from elsewhere.enrolment import open_request
    from elsewhere.keyfiles import replace_file
    from elsewhere.succession import read_roster
    from gateway.__main__ import utc_now
    from gateway.enrolment import admit as let_in

    file = request.read_bytes()
    admission = let_in(directory, file, now=utc_now(), days=days)
    replace_file(out, admission.to_bytes())
    wish, roster = open_request(file), read_roster(admission.roster)
    click.echo(f"admission of {wish.agency_id} ({wish.name}) under roster {roster.version}")
    click.echo(f"next: hand {out} to the agency for 'elsewhere node accept'")


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
@click.option("--of", "first", type=FOLDER, required=True, help="The folder made first, with keys/ca.key.")
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
