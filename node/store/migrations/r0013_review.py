"""Keeps questions that a person decides about, and marks askings that wait for such a decision."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, PrimaryKeyConstraint, String, Text, false

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the table and the mark."""
    op.create_table(
        "review",
        Column("digest", LargeBinary(32), nullable=False),
        Column("key", LargeBinary(32), nullable=False),
        Column("received_ms", BigInteger, nullable=False),
        Column("state", String(16), nullable=False),
        Column("until_ms", BigInteger, nullable=False),
        Column("facts", Text, nullable=False),
        Column("used_by", LargeBinary(16)),
        PrimaryKeyConstraint("digest", name="pk_review"),
    )
    op.create_index("review_key", "review", ["key", "received_ms"])
    op.create_index("review_until", "review", ["state", "until_ms"])
    op.add_column("waiting", Column("for_review", Boolean, nullable=False, server_default=false()))


def downgrade() -> None:
    """Drop both; who waits for a decision is asked again no more."""
    op.execute("DELETE FROM waiting WHERE for_review")
    op.drop_column("waiting", "for_review")
    op.drop_table("review")
