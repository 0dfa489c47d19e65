"""`elsewhere agreement export`: an agreement in the words of another standard."""

from __future__ import annotations

import json
from pathlib import Path

import click

from elsewhere.cli.agreement_options import read
from elsewhere.cli.paths import FILE, OutFile


@click.command("export", short_help="Write it as a MAIS SharingPolicy.")
@click.argument("file", type=FILE)
@click.option("--mais", "is_mais", is_flag=True, required=True, help="As a MAIS SharingPolicy, the one form.")
@click.option("--uri", required=True, help="Where the agreement's own text is published.")
@click.option("--contact", required=True, help="Of whoever keeps the document.")
@click.option("--out", type=OutFile(), help="Where to write it. By default it is printed.")
def export(file: Path, is_mais: bool, uri: str, contact: str, out: Path | None) -> None:
    """Write FILE as a SharingPolicy of Multi-Agency Information Sharing, for a register of policies.

    That standard has no place for rules one by one: the text at --uri stays what counts.
    """
    from elsewhere.agreement.mais import sharing_policy

    policy = sharing_policy(read(file), uri=uri, contact=contact).to_json()
    text = json.dumps(policy, ensure_ascii=False, indent=2) + "\n"
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, "utf-8")
