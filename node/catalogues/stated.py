"""Which versions of this agency's own catalogues are stated to those who ask.

Sees:     versions and roots.
Promises: what every process of this node states is read from one row, which only ever names newer versions:
          nobody is told an older version than anybody was told before, whichever process they ask.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from elsewhere.database.ready import Ready
from elsewhere.lookup import Head
from node.catalogues.standing import Name
from node.store.exchange import published

_STATED = Ready(
    select(*(published.c[name] for name in ("collection", "epoch", "stated_version", "stated_root"))).where(
        published.c.stated_version.is_not(None)
    )
)


def stated_heads(connection: Connection) -> dict[Name, Head]:
    """Give what is stated now of each own catalogue; of one that is missing, nothing can be fetched yet."""
    rows = _STATED.rows(connection)
    return {(row.collection, row.epoch): Head(row.stated_version, row.stated_root) for row in rows}
