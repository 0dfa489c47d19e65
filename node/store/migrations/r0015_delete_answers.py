"""Keeps when the answers that this agency was told are to be deleted."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the time; of answers told before nothing was kept about it."""
    op.add_column("asked", Column("delete_ms", BigInteger))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("asked", "delete_ms")
