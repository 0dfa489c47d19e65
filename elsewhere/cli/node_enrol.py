"""`elsewhere node init` and `accept`: make a node's keys and its request to join; take in the admission.

Sees:     the node's folder, the request it writes, the admission it reads; the work is done in `node.enrol`.
"""

from __future__ import annotations

from pathlib import Path

import click

_FOLDER = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The node's folder.",
)


@click.command("init")
@_FOLDER
@click.option(
    "--agency", required=True, help="Short id: lower-case letters, digits and hyphens, like 'police'."
)
@click.option("--name", required=True, help="The agency's name as people know it.")
@click.option("--sector", required=True, help="Such as SOCIAL_CARE, POLICE, NHS_TRUST, GP or SCHOOL.")
@click.option("--in-hours", required=True, help="Duty contact in office hours, as answers will show it.")
@click.option("--out-of-hours", required=True, help="Duty contact at all other times.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The request.")
def init(directory: Path, out: Path, **who: str) -> None:
    """Make all keys of a new node, and a request to join for the gateway's operator."""
    import secrets

    from elsewhere.keyfiles import replace_file
    from node.enrol import Applicant
    from node.enrol import init as make

    applicant = Applicant(
        agency_id=who["agency"],
        name=who["name"],
        sector=who["sector"],
        contact_in_hours=who["in_hours"],
        contact_out_of_hours=who["out_of_hours"],
    )
    request, fingerprint = make(directory, applicant, random=secrets.token_bytes)
    replace_file(out, request)
    click.echo(f"made keys in {directory / 'keys'}; this agency's key is {fingerprint}")
    click.echo(f"next: hand {out} to the gateway's operator and compare the key by telephone")


@click.command("accept")
@click.argument("admission", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_FOLDER
def accept(admission: Path, directory: Path) -> None:
    """Check an admission against this node's keys and join. Compare the federation's key by telephone."""
    from datetime import UTC, datetime

    from node.enrol import accept as join

    found = join(directory, admission.read_bytes(), now=datetime.now(UTC))
    anchor = found.anchor
    click.echo(
        f"joined {anchor.federation_id}, key {anchor.fingerprint}; gateways {', '.join(found.gateways)}"
    )
    click.echo("next: 'elsewhere node load' the agency's records, then 'elsewhere node run'")
