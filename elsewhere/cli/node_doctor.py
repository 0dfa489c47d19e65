"""`elsewhere node doctor`: whether the tables that studies count fit their mapping, in counts alone.

Sees:     the node's settings, and counts of rows; no cell leaves the engine.
"""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path

import click

from elsewhere.cli.paths import FOLDER
from elsewhere.cli.words import printable


@click.command("doctor")
@click.option("--dir", "directory", type=FOLDER, required=True, help="The node's folder.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")
def doctor(directory: Path, as_json: bool) -> None:
    """Say what of the mapping of this agency's tables does not fit, with counts and never with values.

    Ends with 1 where a table cannot be counted at all, and with 0 otherwise: rows that count nowhere are for
    people to judge. Nothing is changed, and the node may run.
    """
    from node.temporaries import keep_temporaries

    keep_temporaries(directory)
    from node.config import load_config
    from node.store.engine import open_store
    from node.studies.tables.doctor import examine
    from node.studies.tables.reading import loaded_sources

    config, loaded = load_config(directory), frozenset[str]()
    section = config.research
    if any(table.caseload for table in section.tables.values()):
        with closing(open_store(config.store_url, config.store_password)) as store:
            loaded = loaded_sources(store)
    found = []
    for one in examine(section, directory, loaded):
        found.append(one)
        if not as_json:  # table by table, as a large one takes its time
            count = "" if one.rows is None else f"{one.rows:>12}  "
            click.echo(printable(f"{one.table:<16}{count}{one.what}"))
            sys.stdout.flush()
    if as_json:
        click.echo(json.dumps({"findings": [one.to_json() for one in found]}))
    elif not section.tables:
        click.echo("no table is mapped: this node adds nothing but noise and masks to studies")
    sys.exit(1 if any(one.is_fault for one in found) else 0)
