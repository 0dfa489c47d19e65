"""Keeps questions that a second person of the asking agency has to look at."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, String, Text

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "second_look",
        Column("lookup_id", String(32), nullable=False),
        Column("asker", String(200), nullable=False),
        Column("purpose", String(64), nullable=False),
        Column("reason", Text, nullable=False),
        Column("asked_ms", BigInteger, nullable=False),
        Column("due_ms", BigInteger, nullable=False),
        PrimaryKeyConstraint("lookup_id", name="pk_second_look"),
    )


def downgrade() -> None:
    """Drop it; the log keeps what was looked at."""
    op.drop_table("second_look")
