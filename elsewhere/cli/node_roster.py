"""`elsewhere node take-roster` and `take-agreement`: what stewards have signed, taken from their own files.

Sees:     a proposal and its signatures, which are public.
Promises: what is taken is verified as what a gateway shows is; so a gateway that keeps a roster or an
          agreement from its members keeps it from none whose steward hands it over.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from elsewhere.cli.paths import FILE, FOLDER

if TYPE_CHECKING:
    from elsewhere.proposal import Proposal, Signature
    from node.membership.trust import Trust


@click.command("take-roster")
@click.argument("proposal", type=FILE)
@click.argument("signatures", type=FILE, nargs=-1, required=True)
@click.option("--dir", "directory", type=FOLDER, required=True, help="The node's folder.")
def take_roster(proposal: Path, signatures: tuple[Path, ...], directory: Path) -> None:
    """Take the roster of PROPOSAL with the SIGNATURES of a quorum of stewards, whatever a gateway shows.

    For a member that is to be stopped though the gateway's operator does not put it in force. A running node
    takes it up within seconds and hands it to its gateways.
    """
    found, signed = _read(proposal, signatures)
    trust, is_new = _taken(directory, found, signed)
    trust.keep()
    click.echo(_words("roster", trust.roster.version, is_new=is_new))


@click.command("take-agreement")
@click.argument("proposal", type=FILE)
@click.argument("signatures", type=FILE, nargs=-1, required=True)
@click.option("--dir", "directory", type=FOLDER, required=True, help="The node's folder.")
def take_agreement(proposal: Path, signatures: tuple[Path, ...], directory: Path) -> None:
    """Take the agreement of PROPOSAL, and its roster, with the SIGNATURES of a quorum of stewards.

    For a purpose or a project that is to end though the gateway's operator does not put that in force. A
    running node takes it up within seconds and hands it to its gateways.
    """
    from elsewhere.proposal import ProposalInvalid, signed_agreement

    found, signed = _read(proposal, signatures)
    if found.agreement is None:
        raise ProposalInvalid("expected a proposal with an agreement; this one changes the roster alone")
    # Whoever signs an agreement is a steward of the roster that it was proposed with.
    trust, _ = _taken(directory, found, signed)
    is_new = trust.take_agreement(signed_agreement(found, signed))
    trust.keep()
    click.echo(_words("agreement", found.agreement.version, is_new=is_new))


def _read(proposal: Path, signatures: Sequence[Path]) -> tuple[Proposal, list[Signature]]:
    """Read both, and refuse a signature of another proposal."""
    from elsewhere.proposal import Proposal, Signature, check_signed

    found = Proposal.from_bytes(proposal.read_bytes())
    signed = [Signature.from_bytes(path.read_bytes()) for path in signatures]
    for signature in signed:
        check_signed(signature, found)
    return found, signed


def _taken(directory: Path, found: Proposal, signed: Sequence[Signature]) -> tuple[Trust, bool]:
    """What a node trusts with a proposal's roster, and whether that is new to it."""
    from elsewhere.proposal import signed_roster
    from node.config import load_config
    from node.membership.trust import Trust

    trust = Trust.load(directory, load_config(directory).agency)
    chain = found.before.chain if found.before is not None else ()
    return trust, trust.take_roster(signed_roster(found, signed), chain)


def _words(what: str, version: int, *, is_new: bool) -> str:
    return f"this node holds {what} {version} now" if is_new else f"this node held {what} {version} already"
