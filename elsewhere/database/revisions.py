"""The tables' versions: a new store is made by all revisions in turn, an older one is brought on, or back.

Refuses:  a store of another version, unless it is told to change it; a database with somebody else's tables.
Promises: a change of version happens whole, in one transaction, or not at all.
Source:   Alembic's operations and its table of versions. The revisions of one program form a single line.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, column, inspect, select, table

from elsewhere.database.engine import Database
from elsewhere.errors import ElsewhereError, StoreUnavailable

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

FIRST: Final = "0001"
_VERSIONS = table("alembic_version", column("version_num"))


class StoreVersionWrong(ElsewhereError):
    """The store was made by another version of elsewhere. Nothing was changed."""

    code = "store.version"

    def __init__(self, *, found: str, spoken: str, whose: str) -> None:
        command = f"'elsewhere {whose} upgrade'"
        remedy = f"stop it, back the store up and run {command}"
        if found > spoken:
            remedy = f"use the elsewhere that made it, or with that one run {command} with --to {spoken}"
        super().__init__(f"expected a store of version {spoken}; this one has version {found}: {remedy}")
        self.found, self.spoken = found, spoken


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of one program, as a line of revisions."""

    whose: str  # "node" or "gateway", the noun of its command
    head: str  # the revision that this version works with, four digits
    folder: Path  # of the revisions' files
    mark: str  # the table that tells a store of 0.1.0, which Alembic did not know of


@dataclass(frozen=True, slots=True)
class Revision:
    """One step of the line."""

    name: str
    about: str
    module: ModuleType


def prepare(database: Database, schema: Schema) -> None:
    """Make the tables of an empty database; return for one of this version.

    Raises:
        StoreVersionWrong: made by another version of elsewhere.
        StoreUnavailable: somebody else's tables, or a database that cannot be read.
    """
    with database.read() as conn:
        found = read_version(conn, schema)
    if found is None:
        with database.write() as conn:
            # Another process may have been faster.
            if (found := read_version(conn, schema)) is None:
                _revise(conn, schema, None, schema.head)
                return
    if found != schema.head:
        raise StoreVersionWrong(found=found, spoken=schema.head, whose=schema.whose)


def revise(database: Database, schema: Schema, to: str) -> None:
    """Bring a store to another revision, onwards or back. Nobody else may use it.

    Args:
        to: the name of a revision, as `revisions` gives it.

    Raises:
        StoreBusy: somebody else uses it.
        StoreVersionWrong: it was made by a later version, whose revisions are not known here.
        StoreUnavailable: it is not a store of this program.
    """
    with database.rebuild() as conn:
        found = read_version(conn, schema)
        if found is not None and found not in {one.name for one in revisions(schema)}:
            raise StoreVersionWrong(found=found, spoken=schema.head, whose=schema.whose)
        _revise(conn, schema, found, to)


def revisions(schema: Schema) -> list[Revision]:
    """Every revision there is, the first one first."""
    line = [Revision(one.revision, one.doc, one.module) for one in _scripts(schema).walk_revisions()]
    return line[::-1]


def read_version(conn: Connection, schema: Schema) -> str | None:
    """Tell the revision of a store, None for an empty database.

    Raises:
        StoreUnavailable: it has tables, and none that tells a version.
    """
    tables = inspect(conn).get_table_names()
    if _VERSIONS.name in tables:
        return str(conn.execute(select(_VERSIONS.c.version_num)).scalar_one_or_none())
    if schema.mark in tables:
        return FIRST
    if tables:
        raise StoreUnavailable(f"expected an empty database or a {schema.whose}'s store; it has other tables")
    return None


def _revise(conn: Connection, schema: Schema, found: str | None, to: str) -> None:
    """Take all steps from one revision to another inside the caller's transaction."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    line = revisions(schema)
    names = [one.name for one in line]
    held, wanted = (names.index(found) + 1 if found is not None else 0), names.index(to) + 1
    context = MigrationContext.configure(conn)
    with Operations.context(context):
        for step in line[held:wanted]:
            step.module.upgrade()
        for step in reversed(line[wanted:held]):
            step.module.downgrade()
    context.stamp(_scripts(schema), to)


def _scripts(schema: Schema) -> ScriptDirectory:
    """Alembic's view of the files."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(schema.folder), version_locations=[str(schema.folder)])
