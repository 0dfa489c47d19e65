"""Counts all questions of an agency by the hour, refused ones too, so that they have an end."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, String

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the table; what was asked before is not in it."""
    op.create_table(
        "tally",
        Column("searcher", String(32), nullable=False),
        Column("code", String(64), nullable=False),
        Column("hour", BigInteger, nullable=False, autoincrement=False),
        Column("questions", BigInteger, nullable=False),
        PrimaryKeyConstraint("searcher", "code", "hour", name="pk_tally"),
    )


def downgrade() -> None:
    """Drop it; refused questions of the last hour are then in no entry of the log."""
    op.drop_table("tally")
