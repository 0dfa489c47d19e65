"""Keeps what studies have cost, and the shares that left for them."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, LargeBinary, PrimaryKeyConstraint, String

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "study_charge",
        Column("qid", LargeBinary(32), nullable=False),
        Column("rh", LargeBinary(32), nullable=False),
        Column("project", String(32), nullable=False),
        Column("researcher", String(32), nullable=False),
        Column("nrho", BigInteger, nullable=False),
        Column("time_ms", BigInteger, nullable=False),
        Column("until_ms", BigInteger, nullable=False),
        Column("share", LargeBinary),
        PrimaryKeyConstraint("qid", name="pk_study_charge"),
    )
    op.create_index("study_charge_project", "study_charge", ["project", "researcher"])
    op.create_index("study_charge_time", "study_charge", ["time_ms"])
    op.create_table(
        "study_settled",
        Column("number", BigInteger, nullable=False, autoincrement=False),
        Column("time_ms", BigInteger, nullable=False),
        PrimaryKeyConstraint("number", name="pk_study_settled"),
    )


def downgrade() -> None:
    """Drop them; the log keeps what was charged."""
    op.drop_table("study_settled")
    op.drop_table("study_charge")
