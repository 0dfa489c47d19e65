"""`elsewhere audit`: what this agency logged under a call reference, and whether a receipt is genuine.

Sees:     this agency's own log and history; receipts from case files, of which nothing is trusted.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from elsewhere.asking import MAX_RECEIPT_BYTES
from elsewhere.canonical import parse_canonical
from elsewhere.cli.words import describe_time, printable
from elsewhere.clock import from_ms
from elsewhere.errors import NotAdmitted
from elsewhere.receipt import is_call_reference, open_member_receipt
from elsewhere.roster import Federation, Roster, open_roster

_FOLDER = click.option(
    "--dir",
    "directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder of your agency's node.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")


@click.group()
def audit() -> None:
    """Read the log and check receipts."""


@audit.command("show", short_help="Show what this agency holds under a call reference.")
@click.argument("call_reference")
@_FOLDER
@_JSON
def show(call_reference: str, directory: Path, as_json: bool) -> None:
    """Show what this agency holds under CALL_REFERENCE, the 8 characters that a caller quotes.

    "answered" entries say what this agency told another; "asked" ones what it was told itself. Ends with 0
    when there is something, 1 when there is not.
    """
    from node.asking.history import find_call
    from node.config import load_config
    from node.owning import open_own

    reference = "".join(call_reference.split())
    if not is_call_reference(reference):
        raise click.UsageError("a call reference has 8 letters and digits")
    with open_own(load_config(directory)) as store:
        entries = find_call(store, reference)
    if as_json:
        click.echo(json.dumps({"call_reference": reference.upper(), "entries": entries}))
    else:
        click.echo("\n\n".join(map(_describe, entries)) or f"nothing is held under {reference.upper()}")
    sys.exit(0 if entries else 1)


@audit.command("verify", short_help="Check who signed a receipt.")
@click.argument("receipt", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_FOLDER
@_JSON
def verify(receipt: Path, directory: Path, as_json: bool) -> None:
    """Check who signed RECEIPT, a file with what --json shows as an answer's "receipt". Needs no network.

    Ends with 0 when the agency it names has signed it, with the key that this node's roster gives, and with
    1 otherwise.
    """
    with receipt.open("rb") as file:
        envelope = file.read(MAX_RECEIPT_BYTES)
    roster = _read_roster(directory / "trust")
    found, member = open_member_receipt(envelope, roster)
    if as_json:
        signer = {"name": member.name, "state": member.state, "roster_version": roster.version}
        click.echo(json.dumps({"receipt": found.to_json(), "signer": signer}))
        return
    click.echo(f"genuine: signed by {printable(member.name)} ({member.agency_id}, now {member.state})")
    for name, value in found.to_json().items():
        click.echo(f"  {name:<14}  {value}")


def _read_roster(folder: Path) -> Roster:
    """The roster held, verified again; also when the node is not running, or not admitted any more."""
    try:
        anchor = Federation.from_json(parse_canonical((folder / "federation.json").read_bytes()))
        return open_roster((folder / "roster.json").read_bytes(), anchor.public)
    except FileNotFoundError:
        raise NotAdmitted("expected an admission; run 'elsewhere node accept ADMISSION' first") from None


def _describe(entry: dict[str, Any]) -> str:
    """One entry, a line for each thing it says; digests and the like stay as they are."""
    kind = f"asked, lookup {entry['asked']}" if "asked" in entry else f"log entry {entry.get('log')}"
    lines = [printable(kind)]
    for name, value in entry.items():
        if name in ("asked", "log") or value in (None, "", [], {}):
            continue
        if name == "time_ms" and isinstance(value, int):
            name, value = "time", describe_time(from_ms(value))
        text = value if isinstance(value, str) else json.dumps(value)
        lines.append(f"  {printable(name):<18}  {printable(text)}")
    return "\n".join(lines)
