"""Keeps what was signed of another agency's logs before the one that it has begun last."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, String, Text

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "witnessed_before",
        Column("agency", String(32), nullable=False),
        Column("number", BigInteger, nullable=False, autoincrement=False),
        Column("size", BigInteger, nullable=False, autoincrement=False),
        Column("at_s", BigInteger, nullable=False),
        Column("note", Text, nullable=False),
        PrimaryKeyConstraint("agency", "number", "size", name="pk_witnessed_before"),
    )


def downgrade() -> None:
    """Drop it; what it draws is drawn no more."""
    op.drop_table("witnessed_before")
