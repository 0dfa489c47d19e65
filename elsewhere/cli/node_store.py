"""`elsewhere node take-store`: a store that another node has used becomes this one's.

Promises: nothing is changed while a process of this node runs.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from elsewhere.cli.paths import FOLDER


@click.command("take-store")
@click.option("--dir", "directory", type=FOLDER, required=True, help="The node's folder.")
@click.option("--yes", is_flag=True, help="The other node is gone for good: do not ask.")
def take_store(directory: Path, yes: bool) -> None:
    """Make the store that store.url names this node's, though another one has used it.

    All its records become this agency's. They are tagged anew under this node's keys when it starts.
    """
    from node.config import load_config
    from node.keys.ring import read_signing
    from node.membership.trust import read_anchor
    from node.processes.place import Place, other_places
    from node.store.engine import open_store
    from node.store.owner import Owner, claim

    config = load_config(directory)
    federation = read_anchor(directory).federation_id
    who = Owner(config.agency, federation, read_signing(directory).key_id)
    if not yes:
        click.confirm(
            "Is the node that used this store gone for good, and are its records yours?", abort=True
        )
    with contextlib.ExitStack() as alone:
        for place in (Place(directory), *other_places(directory)):
            alone.enter_context(place.alone())
        store = alone.enter_context(contextlib.closing(open_store(config.store_url, config.store_password)))
        claim(store, who, take_over=True)
    click.echo("the store is this node's; when it starts it tags all records anew under its own keys")
