"""Hands the store's version over to Alembic, and says so to version 0.1.0, which looks for its own."""

from __future__ import annotations

from alembic import op
from sqlalchemy import String, column, table

revision = "0002"
down_revision = "0001"

_meta = table("meta", column("name", String), column("value", String))


def upgrade() -> None:
    """Make 0.1.0 refuse the store, with these words as the version found."""
    op.execute(_meta.update().where(_meta.c.name == "schema_version").values(value="0002 or later"))


def downgrade() -> None:
    """Let 0.1.0 open it again."""
    op.execute(_meta.update().where(_meta.c.name == "schema_version").values(value="1"))
