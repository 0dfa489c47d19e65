"""`elsewhere gateway propose` and `enact`: have the stewards change who is a member, and put it in force.

Sees:     requests, cards, proposals, signatures; `gateway.proposing` and `gateway.enacting` do the work.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from elsewhere.cli.paths import FILE, FOLDER, OutFile

_FOLDER = click.option("--dir", "directory", type=FOLDER, required=True, help="The gateway's folder.")


@click.command("propose", short_help="Write a proposal for the stewards to sign.")
@_FOLDER
@click.option("--admit", multiple=True, type=FILE, metavar="REQUEST", help="Let an agency in.")
@click.option("--rekey", multiple=True, type=FILE, metavar="REQUEST", help="List a member's new signing key.")
@click.option(
    "--state",
    "states",
    multiple=True,
    metavar="AGENCY=STATE",
    help="active, probation, suspended or revoked.",
)
@click.option(
    "--steward",
    "cards",
    multiple=True,
    type=FILE,
    metavar="CARD",
    help="List a steward, or replace the agency's.",
)
@click.option("--drop-steward", "dropped", multiple=True, metavar="AGENCY", help="List its steward no more.")
@click.option("--quorum", type=int, help="How many stewards must sign from then on.")
@click.option("--out", type=OutFile(), required=True, help="Where to write the proposal.")
def propose(
    directory: Path, out: Path, states: tuple[str, ...], cards: tuple[Path, ...], **wanted: Any
) -> None:
    """Write a proposal out of these changes and of agreement.toml as it was edited.

    Without any, it only makes the roster last another 90 days. Nothing changes until it is enacted.
    """
    from elsewhere.cli.words import printable
    from elsewhere.keyfiles import replace_file
    from elsewhere.proposalwords import describe
    from elsewhere.stewards import open_card
    from gateway.__main__ import utc_now
    from gateway.proposing import Change
    from gateway.proposing import propose as make

    change = Change(
        admit=tuple(path.read_bytes() for path in wanted["admit"]),
        rekey=tuple(path.read_bytes() for path in wanted["rekey"]),
        states=dict(_state(one) for one in states),
        stewards=tuple(open_card(card.read_bytes()) for card in cards),
        dropped=wanted["dropped"],
        quorum=wanted["quorum"],
    )
    found = make(directory, change, now=utc_now())
    replace_file(out, found.to_bytes())
    for line in describe(found):
        click.echo(printable(line))
    click.echo(f"next: have the stewards 'elsewhere steward sign {out}', then 'elsewhere gateway enact' it")


@click.command("enact", short_help="Put a proposal in force that the stewards have signed.")
@click.argument("proposal", type=FILE)
@click.argument("signatures", type=FILE, nargs=-1, required=True)
@_FOLDER
@click.option(
    "--without", multiple=True, metavar="AGENCY", help="May be left unbound till its steward signs."
)
def enact(proposal: Path, signatures: tuple[Path, ...], directory: Path, without: tuple[str, ...]) -> None:
    """Put a proposal in force; a gateway that runs shows it to all members at once.

    Signatures of the agreement that come later are added by the same command. An agency that is bound today
    and whose steward has not signed is left out, so unable to ask or be asked, only if it is named.
    """
    from elsewhere.proposal import Proposal, Signature
    from gateway.enacting import enact as put

    signed = [Signature.from_bytes(path.read_bytes()) for path in signatures]
    found = put(directory, Proposal.from_bytes(proposal.read_bytes()), signed, without=without)
    agreement = "no agreement yet: fewer than two parties"
    if found.agreement is not None:
        agreement = f"agreement {found.agreement}"
    click.echo(f"in force: roster {found.roster.version}, {agreement}")
    if found.unbound:
        click.echo(f"not bound, for their stewards have not signed it: {', '.join(found.unbound)}")


def _state(text: str) -> tuple[str, str]:
    """Take AGENCY=STATE apart."""
    agency, _, state = text.partition("=")
    if not state:
        raise click.BadParameter("expected AGENCY=STATE, such as police=suspended", param_hint="--state")
    return agency, state
