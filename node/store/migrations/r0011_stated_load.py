"""Notes of which load all is in the catalogues that are stated, so that a load nobody can find is noticed."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, column, func, select, table, update

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the number; what is stated so far is taken to hold all that has been loaded so far."""
    op.add_column("published", Column("stated_load", BigInteger, nullable=False, server_default="0"))
    load = table("load", column("id"), column("state"))
    newest = select(func.coalesce(func.max(load.c.id), 0)).where(load.c.state == "DONE").scalar_subquery()
    op.execute(update(table("published", column("stated_load"))).values(stated_load=newest))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("published", "stated_load")
