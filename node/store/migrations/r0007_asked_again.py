"""Finds a question's earlier askings by what matters of them, however often it was asked in vain."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0007"
down_revision = "0006"

_QUESTION = ["searcher", "lookup_id", "core"]


def upgrade() -> None:
    """Put the time into the index of all askings; add those of the counted and of the redeemed ones."""
    op.drop_index("question_lookup", "question")
    op.create_index("question_lookup", "question", [*_QUESTION, "received_ms"])
    op.create_index(
        "question_counted",
        "question",
        [*_QUESTION, "received_ms"],
        sqlite_where=text("counted IS 1"),
        postgresql_where=text("counted IS true"),
    )
    redeemed = text("redeem_digest IS NOT NULL")
    op.create_index(
        "question_redeemed",
        "question",
        [*_QUESTION, "opened"],
        sqlite_where=redeemed,
        postgresql_where=redeemed,
    )


def downgrade() -> None:
    """Go back to the one index."""
    for name in ("question_redeemed", "question_counted", "question_lookup"):
        op.drop_index(name, "question")
    op.create_index("question_lookup", "question", _QUESTION)
