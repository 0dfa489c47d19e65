"""One set of tables for everything a node keeps, under one version.

Holds:    the shared MetaData that `node.store.caseload` and `node.store.exchange` fill, and `meta`.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, MetaData, String, Table

SCHEMA_VERSION: Final = 1
VERSION_KEY: Final = "schema_version"

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

# Facts about the store itself, one a row.
meta = Table(
    "meta",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", String(200), nullable=False),
)
