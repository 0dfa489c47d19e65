"""Keeps what was wrong with another's log, and when a decision is expected: both are looked for by it."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, String

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add them; of what was kept before nothing is known."""
    op.add_column("watched_log", Column("other_event", String(16)))
    op.add_column("review", Column("expected_ms", BigInteger))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("review", "expected_ms")
    op.drop_column("watched_log", "other_event")
