"""`elsewhere audit export`: the log as a file, for whoever checks it with other software."""

from __future__ import annotations

from pathlib import Path

import click

from elsewhere.cli.audit_options import FOLDER


@click.command("export", short_help="Write the log to a file, to be checked elsewhere.")
@FOLDER
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write.")
@click.option("--counterparty", help="Say what entries say only where they are about this agency.")
def export(directory: Path, out: Path, counterparty: str | None) -> None:
    """Write every entry under the newest checkpoint, a line each, after a line with what was signed.

    A leaf is the SHA-256 of a zero byte and the entry (RFC 9162); the checkpoint is a C2SP signed note. What
    entries say names staff and cases of this agency, and no child.
    """
    from elsewhere.keyfiles import replacing
    from node.auditing.exporting import export as lines
    from node.config import load_config
    from node.keys.ring import read_earlier, read_signing
    from node.owning import open_own

    keys = (read_signing(directory).public, *read_earlier(directory))
    with open_own(load_config(directory)) as store, store.read() as connection, replacing(out) as file:
        count = 0
        for count, line in enumerate(lines(connection, keys, counterparty)):  # noqa: B007
            file.write(line)
    click.echo(f"{count} entries written to {out}")
