"""Puts a tree over the log: its edge, the hashes kept of it, the checkpoints signed, those of others."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Text,
    bindparam,
    column,
    insert,
    select,
    table,
)

from elsewhere.transparency.frontier import Frontier

revision = "0012"
down_revision = "0011"

_BATCH = 10_000
_log = table("log", column("seq"), column("digest"))


def upgrade() -> None:
    """Make the tables, and the edge over the entries there are."""
    op.create_table(
        "log_edge",
        Column("id", Integer, nullable=False, autoincrement=False),
        Column("size", BigInteger, nullable=False),
        Column("hashes", LargeBinary, nullable=False),
        Column("number", BigInteger, nullable=False, server_default="0"),
        PrimaryKeyConstraint("id", name="pk_log_edge"),
    )
    op.create_table(
        "log_tile",
        Column("level", Integer, nullable=False, autoincrement=False),
        Column("place", BigInteger, nullable=False, autoincrement=False),
        Column("hash", LargeBinary(32), nullable=False),
        PrimaryKeyConstraint("level", "place", name="pk_log_tile"),
    )
    op.create_table(
        "checkpoint",
        Column("size", BigInteger, nullable=False, autoincrement=False),
        Column("time_ms", BigInteger, nullable=False),
        Column("note", Text, nullable=False),
        Column("witnesses", Integer, nullable=False, server_default="0"),
        PrimaryKeyConstraint("size", name="pk_checkpoint"),
    )
    op.create_table(
        "watched_log",
        Column("agency", String(32), nullable=False),
        Column("note", Text, nullable=False),
        Column("seen_ms", BigInteger, nullable=False),
        Column("other_note", Text),
        Column("other_ms", BigInteger),
        PrimaryKeyConstraint("agency", name="pk_watched_log"),
    )
    op.create_table(
        "witnessed",
        Column("agency", String(32), nullable=False),
        Column("size", BigInteger, nullable=False, autoincrement=False),
        Column("at_s", BigInteger, nullable=False),
        Column("note", Text, nullable=False),
        PrimaryKeyConstraint("agency", "size", name="pk_witnessed"),
    )
    found = Frontier()
    following = select(_log.c.digest).where(_log.c.seq > bindparam("size")).order_by(_log.c.seq)
    while rows := op.get_bind().execute(following.limit(_BATCH), {"size": found.size}).scalars().all():
        for digest in rows:
            found = found.append(bytes(digest))
    if found.size:
        edge = table("log_edge", column("id"), column("size"), column("hashes"))
        op.get_bind().execute(insert(edge).values(id=1, size=found.size, hashes=found.to_bytes()))


def downgrade() -> None:
    """Drop it; the entries stay, and the tree can be made again from them."""
    for name in ("witnessed", "watched_log", "checkpoint", "log_tile", "log_edge"):
        op.drop_table(name)
