"""`elsewhere audit padding`: whether this agency's catalogues hold records and padding, and nothing else.

Sees:     this agency's own tags; it is run where they were made.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from elsewhere.cli.audit_options import FOLDER, JSON


@click.command("padding", short_help="Check what this agency's catalogues hold.")
@FOLDER
@JSON
def padding(directory: Path, as_json: bool) -> None:
    """Check that every tag in this agency's catalogues stands for a record or is padding.

    An agency that tagged a whole population would learn whom others ask about. Padding follows from a seed
    that was committed to when the catalogue was published, so nothing else can be called that. Ends with 0
    then, and with 1 (catalogue.padding) otherwise. Compare the number of records with what the agency says
    that it has.
    """
    from node.auditing.padding import Custody, audit_catalogues
    from node.config import load_config
    from node.keys.ring import KeyRing
    from node.owning import open_own

    config, ring = load_config(directory), KeyRing.load(directory)
    custody = Custody(directory / "catalogues", ring.local, (ring.signing.public, *ring.earlier))
    with open_own(config) as store, store.read() as connection:
        found = list(audit_catalogues(connection, custody))
    if as_json:
        click.echo(json.dumps({"catalogues": [asdict(one) for one in found]}))
        return
    for one in found:
        click.echo(f"{one.collection}, epoch {one.epoch}, version {one.version}: {one.tags} tags")
        click.echo(f"  {one.for_records} for records, {one.tags - one.for_records} padding")
        click.echo(f"  {one.records} records are in force")
    click.echo(f"sound: {len(found)} catalogues" if found else "nothing is published")
