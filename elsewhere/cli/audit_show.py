"""`elsewhere audit show`: what this agency logged and was told under a call reference."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from elsewhere.cli.audit_options import FOLDER, JSON
from elsewhere.cli.words import describe_time, printable
from elsewhere.clock import from_ms
from elsewhere.receipt import is_call_reference


@click.command("show", short_help="Show what this agency holds under a call reference.")
@click.argument("call_reference")
@FOLDER
@JSON
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
