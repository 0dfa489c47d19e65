"""Remembers which slots each Redeem opened, so that a question asked again opens no others uncounted."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the slots; of what was redeemed before none are known."""
    op.add_column("question", Column("opened", BigInteger))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("question", "opened")
