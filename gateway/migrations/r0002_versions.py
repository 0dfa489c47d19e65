"""Hands the store's version over to Alembic, and says so to version 0.1.0, which looks for its own."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Integer, column, table

revision = "0002"
down_revision = "0001"

_schema = table("schema", column("version", Integer))


def upgrade() -> None:
    """Make 0.1.0 refuse the store."""
    op.execute(_schema.update().values(version=2))


def downgrade() -> None:
    """Let 0.1.0 open it again."""
    op.execute(_schema.update().values(version=1))
