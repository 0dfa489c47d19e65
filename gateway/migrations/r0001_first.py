"""The tables of version 0.1.0. Frozen: what changed since is in the revisions after this one."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, String, Table

revision = "0001"
down_revision = None

_tables = MetaData()
_schema = Table("schema", _tables, Column("version", Integer, nullable=False))
_statement = Table(
    "statement",
    _tables,
    Column("agency", String(32), primary_key=True),
    Column("envelope", LargeBinary, nullable=False),
)
_seen = Table(
    "seen",
    _tables,
    Column("agency", String(32), primary_key=True),
    Column("last_ms", BigInteger, nullable=False),
)
_piece = Table(
    "piece",
    _tables,
    Column("custodian", String(32), primary_key=True),
    Column("collection", String(32), primary_key=True),
    Column("epoch", BigInteger, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("snapshot_version", BigInteger, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("statement", LargeBinary, nullable=False),
)
_grant = Table(
    "catalogue_grant",
    _tables,
    Column("custodian", String(32), primary_key=True),
    Column("collection", String(32), primary_key=True),
    Column("epoch", BigInteger, primary_key=True),
    Column("snapshot_version", BigInteger, primary_key=True),
    Column("searcher", String(32), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)


def upgrade() -> None:
    """Make all tables in an empty database."""
    _tables.create_all(op.get_bind())
    op.bulk_insert(_schema, [{"version": 1}])


def downgrade() -> None:
    """Drop all tables."""
    _tables.drop_all(op.get_bind())
