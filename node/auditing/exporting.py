"""A whole log for somebody who checks it with other software: a line an entry, under its newest checkpoint.

Sees:     bodies of entries, which stay in the agency unless somebody carries them out.
Source:   docs/ledger.md, "Handing it out".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, select

from elsewhere.canonical import Json, canonical_json
from elsewhere.transparency.checkpoint import open_checkpoint, stated_in
from elsewhere.transparency.errors import LogShort
from node.store.exchange import log
from node.store.ledger import checkpoint


def export(connection: Connection, keys: Sequence[bytes], counterparty: str | None = None) -> Iterator[bytes]:
    """Give the lines of a file: first what was signed, then every entry under it.

    Args:
        connection: one that sees one state of the store.
        keys: that the log is signed with, 32 bytes: the one in force first, then those before.
        counterparty: whose entries come with what they say; None: all. Of the others only the hash is given.

    Raises:
        LogShort: nothing was signed yet.
    """
    newest = connection.execute(
        select(checkpoint.c.size, checkpoint.c.note).order_by(checkpoint.c.size.desc())
    )
    found = newest.first()
    if found is None:
        raise LogShort("expected a log that was signed at least once; start the node")
    size, note = found
    seen = open_checkpoint(note.encode(), stated_in(note).origin, keys[0], earlier=keys[1:])
    head: dict[str, Json] = {"checkpoint": note, "entries": size, "public": seen.key.hex()}
    yield canonical_json(head) + b"\n"
    query = select(log.c.seq, log.c.digest, log.c.body).where(log.c.seq <= size).order_by(log.c.seq)
    for row in connection.execution_options(yield_per=1000).execute(query):
        line: dict[str, Json] = {"index": row.seq - 1, "leaf": bytes(row.digest).hex()}
        body = bytes(row.body)
        if counterparty is None or json.loads(body).get("counterparty") == counterparty:
            line["body"] = body.decode()
        yield canonical_json(line) + b"\n"
