"""One set of tables for everything a node keeps, under one version.

Holds:    the shared MetaData that the other modules of `node.store` fill, and `meta`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Column, MetaData, String, Table

from elsewhere.database.revisions import Schema

SCHEMA: Final = Schema(
    whose="node", head="0019", folder=Path(__file__).resolve().parent / "migrations", mark="meta"
)

# Every constraint has a name, or a later version could not change it on every engine.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# What 0.1.0 read the store's version from; since then that is Alembic's.
meta = Table(
    "meta",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", String(200), nullable=False),
)
