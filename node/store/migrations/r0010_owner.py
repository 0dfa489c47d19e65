"""Whose store it is: one agency's, in one federation, under one signing key."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, PrimaryKeyConstraint, String

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the table; whose node starts next is the owner."""
    op.create_table(
        "owner",
        Column("agency", String(32), nullable=False),
        Column("federation", String(32), nullable=False),
        Column("signing_key", String(16), nullable=False),
        PrimaryKeyConstraint("agency", name="pk_owner"),
    )


def downgrade() -> None:
    """Forget whose it is."""
    op.drop_table("owner")
