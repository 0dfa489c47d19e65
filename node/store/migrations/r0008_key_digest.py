"""Remembers the key of each set of tags, so that tags made under another are never taken for its own."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, LargeBinary

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the digest; of the sets that there are it is not known, so their records are tagged anew."""
    op.add_column("tag_set", Column("key_digest", LargeBinary(32)))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("tag_set", "key_digest")
