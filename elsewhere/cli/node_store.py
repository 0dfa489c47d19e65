"""`elsewhere node take-store`, `accept-store`, `begin-log`: another node's store, or a restored one.

Promises: a store is taken from another node only while no process of this node runs, nor one of any node
          works with the store.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
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
    from node.caseload.index import record_count
    from node.config import load_config
    from node.membership.trust import read_anchor
    from node.owning import take_over, whose
    from node.processes.place import Place, other_places
    from node.store.engine import open_store
    from node.store.owner import owner_of

    config = load_config(directory)
    read_anchor(directory)
    who = whose(config)
    with contextlib.ExitStack() as alone:
        store = alone.enter_context(contextlib.closing(open_store(config.store_url, config.store_password)))
        with store.read() as conn:
            old, records = owner_of(conn), record_count(conn)
        click.echo(f"the store is that of {old or 'nobody yet'}; it holds {records} records")
        if not yes:
            click.confirm("Is the node that used it gone for good, and are its records yours?", abort=True)
        for place in (Place(directory), *other_places(directory)):
            alone.enter_context(place.alone())
        click.echo("looking whether a process still works with it, for some ten seconds if one was killed")
        take_over(store, who, datetime.now(UTC))
    click.echo("the store is this node's; when it starts it tags all records anew under its own keys")


@click.command("accept-store")
@click.option("--dir", "directory", type=FOLDER, required=True, help="The node's folder.")
@click.option("--yes", is_flag=True, help="What the store holds is all this agency knows: do not ask.")
def accept_store(directory: Path, yes: bool) -> None:
    """Take a store that was set back as it is, though sources have not been loaded again.

    Of a child who is in what is missing, others are then told that nothing was found. It is logged.
    """
    from node.caseload.index import record_count
    from node.config import load_config
    from node.owning import open_own
    from node.storemark import accept, follow, read_mark

    with open_own(load_config(directory), claims=False) as store:
        with store.read() as conn:
            missing, records = follow(read_mark(directory), conn).awaited, record_count(conn)
        if not missing:
            click.echo("nothing to accept: no source is to be loaded again")
            return
        click.echo(f"not loaded since the store was set back: {', '.join(sorted(missing))}")
        click.echo(f"the store holds {records} records")
        if not yes:
            click.confirm("Is that all that this agency knows?", abort=True)
        accept(directory, store, datetime.now(UTC))
    click.echo("accepted and logged; the node tags all records under new keys, and can be asked after that")


@click.command("begin-log")
@click.option("--dir", "directory", type=FOLDER, required=True, help="The node's folder.")
@click.option("--reason", required=True, help="Why, for your own log: who restored what, and when.")
@click.option("--yes", is_flag=True, help="The store was restored, and its newest state is lost: do not ask.")
def begin_log(directory: Path, reason: str, yes: bool) -> None:
    """Begin a new log after a restore, since gateways and witnesses refuse one that is not what it was.

    Entries that the store holds go into it; those lost stay lost, and what was erased is erased again. Every
    agency that watches your log says in its own that you have begun another, and keeps the last state of the
    one before.
    """
    from node.auditing.erasing import erase_again
    from node.config import load_config
    from node.ledger import book
    from node.ledger.tree import begin_anew
    from node.owning import open_own

    if not yes:
        click.echo("Your witnesses will log this, and may ask what has become of the entries that are lost.")
        click.confirm("Is the newest state of your store lost for good?", abort=True)
    now = datetime.now(UTC)
    with open_own(load_config(directory)) as store, store.write() as conn:
        gone = erase_again(conn, directory, now)
        begin_anew(conn, now)
        book.append(conn, book.make_entry("log_begun", {"reason": reason[:200]}, now))
    if gone:
        click.echo(f"{gone} entries that a backup had brought back are erased again")
    click.echo("a new log is begun; it is shown to gateways and witnesses within a minute")
