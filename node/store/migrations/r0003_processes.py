"""Lets several processes of one node share the store: which of them leads, and what all of them state."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, LargeBinary, PrimaryKeyConstraint, String

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the lease; what was published before is stated as soon as a process leads."""
    op.create_table(
        "lease",
        Column("name", String(16), nullable=False),
        Column("holder", String(32), nullable=False),
        Column("number", BigInteger, nullable=False),
        Column("beat", BigInteger, nullable=False),
        PrimaryKeyConstraint("name", name="pk_lease"),
    )
    op.add_column("published", Column("stated_version", BigInteger))
    op.add_column("published", Column("stated_root", LargeBinary(32)))
    op.add_column("published", Column("snapshot_term", BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop them; 0.1.0 states what it publishes itself."""
    for name in ("snapshot_term", "stated_root", "stated_version"):
        op.drop_column("published", name)
    op.drop_table("lease")
