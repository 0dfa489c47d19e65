"""`elsewhere node upgrade`, and what `elsewhere gateway upgrade` shares with it: other tables for the store.

Sees:     which versions there are; no row of the store.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from elsewhere.cli.paths import FOLDER

if TYPE_CHECKING:
    from elsewhere.database.revisions import Schema

TO = click.option(
    "--to", metavar="VERSION", help="Another version of the tables, also an earlier one; default: the newest."
)
YES = click.option("--yes", "is_backed_up", is_flag=True, help="The store is backed up: do not ask.")


@click.command("upgrade")
@click.option("--dir", "directory", type=FOLDER, required=True, help="The node's folder.")
@TO
@YES
def node(directory: Path, to: str | None, is_backed_up: bool) -> None:
    """Bring the store to the tables of this version, or of another with --to. Stop the node first."""
    from elsewhere.database.engine import open_database
    from node.config import load_config
    from node.owning import settle
    from node.store.schema import SCHEMA

    config = load_config(directory)
    with contextlib.closing(open_database(config.store_url, config.store_password)) as store:
        settle(store, config, claims=False)
    change(config.store_url, config.store_password, SCHEMA, to=to, is_backed_up=is_backed_up)
    with contextlib.closing(open_database(config.store_url, config.store_password)) as store:
        settle(store, config, claims=True)


def change(
    url: str, password_file: Path | None, schema: Schema, *, to: str | None, is_backed_up: bool
) -> None:
    """Show the steps, ask for a backup, take them."""
    from elsewhere.database.engine import open_database
    from elsewhere.database.revisions import read_version, revise, revisions

    about = {one.name: one.about for one in revisions(schema)}
    target = to or schema.head
    if target not in about:
        raise click.BadParameter(f"expected one of {', '.join(about)}", param_hint="--to")
    database = open_database(url, password_file)
    try:
        with database.read() as conn:
            found = read_version(conn, schema)
        if found == target:
            click.echo(f"the store is at version {found}; nothing was changed")
            return
        click.echo(f"the store is at version {found or 'none: it is empty'}, and is to be at {target}:")
        for name in about:
            if (found or "") < name <= target:
                click.echo(f"  {name}  {about[name]}")
            elif target < name <= (found or ""):
                click.echo(f"  {name}  is undone")
        if not is_backed_up:
            click.confirm("It takes one transaction. Is the store backed up?", abort=True)
        revise(database, schema, target)
    finally:
        database.close()
    click.echo(f"the store is at version {target}")
