"""`elsewhere node init` and `accept`: make a node's keys and its request to join; take in the admission.

Sees:     the node's folder, the request it writes, the admission it reads. `node.membership.enrol` does it.
"""

from __future__ import annotations

from pathlib import Path

import click

from elsewhere.cli.paths import FILE, FOLDER, NEW_FOLDER, OutFile
from elsewhere.errors import DocumentInvalid

# Option -> field of the request that it fills.
_FIELDS = {
    "--agency": "agency_id",
    "--name": "name",
    "--sector": "sector",
    "--in-hours": "contact_in_hours",
    "--out-of-hours": "contact_out_of_hours",
}


@click.command("init")
@click.option(
    "--dir", "directory", type=NEW_FOLDER, required=True, help="The node's folder. Made if need be."
)
@click.option(
    "--agency", required=True, help="Short id: lower-case letters, digits and hyphens, like 'police'."
)
@click.option("--name", required=True, help="The agency's name as people know it.")
@click.option(
    "--sector",
    required=True,
    help="SOCIAL_CARE, POLICE, NHS_TRUST, GP, SCHOOL, EARLY_YEARS, HOUSING, PROBATION, YOUTH_JUSTICE, "
    "VOLUNTARY or RESEARCH.",
)
@click.option("--in-hours", required=True, help="Duty contact in office hours, as answers will show it.")
@click.option("--out-of-hours", required=True, help="Duty contact at all other times.")
@click.option("--out", type=OutFile(), required=True, help="Where to write the request to join.")
def init(directory: Path, out: Path, **who: str) -> None:
    """Make all keys of a new node, and a request to join for the gateway's operator."""
    import secrets

    from elsewhere.keyfiles import replace_file
    from node.membership.enrol import Applicant
    from node.membership.enrol import init as make

    applicant = Applicant(
        agency_id=who["agency"],
        name=who["name"],
        sector=who["sector"],
        contact_in_hours=who["in_hours"],
        contact_out_of_hours=who["out_of_hours"],
    )
    try:
        request, fingerprint = make(directory, applicant, random=secrets.token_bytes)
    except DocumentInvalid as err:
        option = next((option for option, field in _FIELDS.items() if field == err.key), None)
        raise click.BadParameter(err.reason, param_hint=option) if option else err from None
    replace_file(out, request)
    click.echo(f"made keys in {directory / 'keys'}; fingerprint {fingerprint}")
    click.echo(
        f"next: hand {out} to the gateway's operator, and read the fingerprint to each steward by telephone"
    )


@click.command("accept")
@click.argument("admission", type=FILE)
@click.option("--dir", "directory", type=FOLDER, required=True, help="The node's folder.")
def accept(admission: Path, directory: Path) -> None:
    """Check an admission against this node's keys and join. Compare the fingerprint with your steward's."""
    from datetime import UTC, datetime

    from node.membership.enrol import accept as join

    found = join(directory, admission.read_bytes(), now=datetime.now(UTC))
    anchor = found.anchor
    click.echo(
        f"joined {anchor.federation_id}, fingerprint {anchor.fingerprint};"
        f" gateways {', '.join(found.gateways)}"
    )
    click.echo("next: describe an export with 'elsewhere node mapping suggest', load it, run the node")
