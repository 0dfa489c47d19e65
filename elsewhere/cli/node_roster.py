"""`elsewhere node take-roster`: what the stewards have signed, taken from their own files.

Sees:     a proposal and its signatures, which are public.
Promises: what is taken is verified as what a gateway shows is; so a gateway that keeps a roster from its
          members keeps it from none whose steward hands it over.
"""

from __future__ import annotations

from pathlib import Path

import click

from elsewhere.cli.paths import FILE, FOLDER


@click.command("take-roster")
@click.argument("proposal", type=FILE)
@click.argument("signatures", type=FILE, nargs=-1, required=True)
@click.option("--dir", "directory", type=FOLDER, required=True, help="The node's folder.")
def take_roster(proposal: Path, signatures: tuple[Path, ...], directory: Path) -> None:
    """Take the roster of PROPOSAL with the SIGNATURES of a quorum of stewards, whatever a gateway shows.

    For a member that is to be stopped though the gateway's operator does not put it in force. A running node
    takes it up within seconds and hands it to its gateways.
    """
    from elsewhere.proposal import Proposal, Signature, check_signed, signed_roster
    from node.config import load_config
    from node.membership.trust import Trust

    found = Proposal.from_bytes(proposal.read_bytes())
    signed = [Signature.from_bytes(path.read_bytes()) for path in signatures]
    for signature in signed:
        check_signed(signature, found)
    trust = Trust.load(directory, load_config(directory).agency)
    chain = found.before.chain if found.before is not None else ()
    is_new = trust.take_roster(signed_roster(found, signed), chain)
    trust.keep()
    version = trust.roster.version
    click.echo(
        f"this node holds roster {version} now" if is_new else f"this node held roster {version} already"
    )
