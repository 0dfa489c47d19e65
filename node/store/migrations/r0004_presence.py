"""Lets `elsewhere node status` show the processes of a node: each says here how it does."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, PrimaryKeyConstraint, String

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table; each process fills in its row."""
    op.create_table(
        "process",
        Column("name", String(32), nullable=False),
        Column("seen_ms", BigInteger, nullable=False),
        Column("is_linked", Boolean, nullable=False),
        Column("is_ready", Boolean, nullable=False),
        Column("has_ended", Boolean, nullable=False),
        PrimaryKeyConstraint("name", name="pk_process"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("process")
