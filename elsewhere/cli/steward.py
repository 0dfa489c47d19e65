"""`elsewhere steward`: a steward's own key, the card to hand over, and signing what the operator proposes.

Sees:     the steward's passphrase and key, for as long as one command runs; proposals.
Refuses:  to sign for a newcomer whose fingerprint was not typed as it was heard from the newcomer.
Promises: nothing here needs a network, a node or a gateway; the process is hardened before any command runs.
"""

from __future__ import annotations

from pathlib import Path

import click

from elsewhere.cli.paths import FILE, OutFile
from elsewhere.errors import ElsewhereError
from elsewhere.hardening import harden

_KEY = click.option(
    "--key", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The steward's key file."
)
_PASSPHRASE = click.option(
    "--passphrase-file",
    type=FILE,
    help="A file of mode 0600 with the passphrase, instead of being asked for it.",
)


class FingerprintDiffers(ElsewhereError):
    """What was heard from a newcomer is not the fingerprint of the key proposed. Do not sign; call again.

    Somebody may have put another key in between.
    """

    code = "steward.fingerprint"


@click.group()
def steward() -> None:
    """Keep a steward's key; read and sign what the gateway's operator proposes."""
    harden()


@steward.command("keygen", short_help="Make a steward's key, locked with a passphrase.")
@click.option("--agency", required=True, help="Id of the agency, or other body, that the steward signs for.")
@click.option("--name", required=True, help="The steward's own name.")
@click.option("--out", type=OutFile(), required=True, help="Where to write the key; must not be there yet.")
@click.option("--card", type=OutFile(), required=True, help="Where to write the card to hand over.")
@_PASSPHRASE
def keygen(agency: str, name: str, out: Path, card: Path, passphrase_file: Path | None) -> None:
    """Make a steward's key, locked with a passphrase. Keep a copy apart; it never goes to a gateway."""
    import secrets

    from elsewhere.errors import DocumentInvalid
    from elsewhere.keyfiles import replace_file
    from elsewhere.stewards import make_steward, write_card

    passphrase = _passphrase(passphrase_file, twice=True)
    try:
        made = make_steward(out, agency, name, passphrase=passphrase, random=secrets.token_bytes)
    except DocumentInvalid as err:
        option = {"agency_id": "--agency", "name": "--name"}.get(err.key)
        raise click.BadParameter(err.reason, param_hint=option) if option else err from None
    except FileExistsError:
        raise click.BadParameter(
            "there is such a file; a key is never overwritten", param_hint="--out"
        ) from None
    replace_file(card, write_card(made))
    click.echo(f"made the key of steward {made.name} of {made.agency_id}; fingerprint {made.fingerprint}")
    click.echo(f"next: hand {card} to the gateway's operator, and read the fingerprint to each other steward")


@steward.command("show", short_help="Show a key's fingerprint; write the card to hand over.")
@_KEY
@click.option("--out", type=OutFile(), help="Where to write the card.")
def show(key: Path, out: Path | None) -> None:
    """Show a key's fingerprint, to be read out by telephone, and write the card. Needs no passphrase."""
    from elsewhere.keyfiles import replace_file
    from elsewhere.stewards import read_steward, write_card

    found = read_steward(key)
    if out is not None:
        replace_file(out, write_card(found))
    click.echo(f"steward {found.name} of {found.agency_id}; fingerprint {found.fingerprint}")


@steward.command("sign", short_help="Read a proposal and sign it, or not.")
@click.argument("proposal", type=FILE)
@_KEY
@click.option("--out", type=OutFile(), required=True, help="Where to write the signature.")
@click.option(
    "--heard",
    multiple=True,
    metavar="ID=DIGITS",
    help="A newcomer's fingerprint as heard from them, instead of being asked for it.",
)
@click.option(
    "--roster-only", is_flag=True, help="Sign the roster; your agency is not bound by the agreement."
)
@click.option(
    "--instead",
    is_flag=True,
    help="Sign though this key signed another roster, which is known to be of no force.",
)
@click.option("--yes", is_flag=True, help="Do not ask at the end.")
@_PASSPHRASE
def sign(
    proposal: Path,
    key: Path,
    out: Path,
    heard: tuple[str, ...],
    passphrase_file: Path | None,
    **flags: bool,
) -> None:
    """Show what a proposal changes, and sign it.

    For everybody whose key is new you are asked for the fingerprint, which you must have heard from them.
    """
    from elsewhere.cli.words import printable
    from elsewhere.keyfiles import replace_file
    from elsewhere.proposal import Proposal, sign_proposal
    from elsewhere.proposalwords import describe, newcomers
    from elsewhere.stewards import check_not_signed, note_signed, read_steward, unlock_steward

    found, mine = Proposal.from_bytes(proposal.read_bytes()), read_steward(key)
    for line in describe(found):
        click.echo(printable(line))
    if not flags["instead"]:
        check_not_signed(key, found.anchor.genesis, found.roster)
    for newcomer in newcomers(found, mine.key):
        _check_heard(newcomer.id, printable(newcomer.title), newcomer.fingerprint, heard)
    if not flags["yes"]:
        click.confirm("Sign this?", abort=True)
    signing = unlock_steward(key, _passphrase(passphrase_file)).signing
    made = sign_proposal(signing, found, agrees=not flags["roster_only"])
    note_signed(key, found.anchor.genesis, found.roster)
    replace_file(out, made.to_bytes())
    click.echo(f"signed roster {found.roster.version}; next: hand {out} to the gateway's operator")


def _check_heard(id: str, title: str, fingerprint: str, heard: tuple[str, ...]) -> None:
    """Have a newcomer's fingerprint typed, unless it was given, and compare."""
    from elsewhere.spoken import is_same_spoken

    said = [one.partition("=")[2] for one in heard if one.partition("=")[0] == id]
    typed = said or [click.prompt(f"{title}: the fingerprint that you heard from them", type=str)]
    # A member and its steward may share an id; each is heard once.
    if not any(is_same_spoken(one, fingerprint) for one in typed):
        raise FingerprintDiffers(f"expected the fingerprint of {title}; the proposal has another key")


def _passphrase(file: Path | None, *, twice: bool = False) -> str:
    """The passphrase: out of a file that others cannot read, or typed."""
    from elsewhere.keyfiles import read_secret

    if file is not None:
        return read_secret(file).decode("utf-8", "replace").strip("\r\n")
    return str(click.prompt("passphrase", hide_input=True, confirmation_prompt=twice, err=True))
