"""Keeps messages to the duty desk until somebody has dealt with them."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, PrimaryKeyConstraint

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "notice",
        Column("digest", LargeBinary(32), nullable=False),
        Column("time_ms", BigInteger, nullable=False),
        Column("is_open", Boolean, nullable=False),
        PrimaryKeyConstraint("digest", name="pk_notice"),
    )
    op.create_index("notice_open", "notice", ["is_open", "time_ms"])


def downgrade() -> None:
    """Drop it; the log keeps what was told."""
    op.drop_table("notice")
