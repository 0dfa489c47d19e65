"""Remembers until when each record in force may be kept, so that it leaves on that day without a load."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Date

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the day; records loaded before have none until their source is loaded again."""
    op.add_column("member", Column("kept_until", Date))


def downgrade() -> None:
    """Drop it; records then stay until a load leaves them out."""
    op.drop_column("member", "kept_until")
