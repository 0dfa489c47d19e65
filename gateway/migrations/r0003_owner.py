"""Whose store it is: the id of one gateway's folder."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table; whoever opens the store next is the owner."""
    op.create_table("owner", sa.Column("id", sa.String(32), primary_key=True))


def downgrade() -> None:
    """Forget whose it is."""
    op.drop_table("owner")
