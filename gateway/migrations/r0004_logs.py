"""The checkpoints of the members' logs; the hashes lie in files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "log_note",
        sa.Column("agency", sa.String(32), primary_key=True),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("witnessed", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Forget them; members publish their logs again, and the hashes in files count for nothing."""
    op.drop_table("log_note")
