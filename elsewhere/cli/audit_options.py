"""What every `elsewhere audit` command takes, and the roster it reads by."""

from __future__ import annotations

from pathlib import Path

import click

from elsewhere.anchor import Federation
from elsewhere.canonical import parse_canonical
from elsewhere.errors import NotAdmitted
from elsewhere.roster import Roster
from elsewhere.succession import chain_from_bytes, open_succession

FOLDER = click.option(
    "--dir",
    "directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder of your agency's node.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")


def read_roster(folder: Path) -> Roster:
    """The roster held, verified again; also when the node is not running, or not admitted any more."""
    try:
        anchor = Federation.from_json(parse_canonical((folder / "federation.json").read_bytes()))
        chain = chain_from_bytes((folder / "chain.json").read_bytes())
        return open_succession(anchor, chain, (folder / "roster.json").read_bytes()).roster
    except FileNotFoundError:
        raise NotAdmitted("expected an admission; run 'elsewhere node accept ADMISSION' first") from None
