"""What must survive a restart: key statements, the index of cached catalogues, times of last contact.

Holds:    signed public documents, names of ciphertext files, grants sealed to members, times.
Refuses:  a store written by a later version; a SQLite file that others can read.
Promises: a database that fails is `StoreUnavailable` to every caller.

Nothing of a lookup is ever written here. SQLite in the gateway's folder, or any SQLAlchemy URL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from elsewhere.clock import from_ms, to_ms
from elsewhere.errors import ConfigInvalid, StoreUnavailable
from elsewhere.keyfiles import check_store_file

SCHEMA_VERSION = 1

_metadata = sa.MetaData()
_schema = sa.Table("schema", _metadata, sa.Column("version", sa.Integer, nullable=False))
_statements = sa.Table(
    "statement",
    _metadata,
    sa.Column("agency", sa.String(32), primary_key=True),
    sa.Column("envelope", sa.LargeBinary, nullable=False),
)
_seen = sa.Table(
    "seen",
    _metadata,
    sa.Column("agency", sa.String(32), primary_key=True),
    sa.Column("last_ms", sa.BigInteger, nullable=False),
)
_pieces = sa.Table(
    "piece",
    _metadata,
    sa.Column("custodian", sa.String(32), primary_key=True),
    sa.Column("collection", sa.String(32), primary_key=True),
    sa.Column("epoch", sa.BigInteger, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("snapshot_version", sa.BigInteger, nullable=False),
    sa.Column("chunks", sa.Integer, nullable=False),
    sa.Column("statement", sa.LargeBinary, nullable=False),
)
_grants = sa.Table(
    "catalogue_grant",
    _metadata,
    sa.Column("custodian", sa.String(32), primary_key=True),
    sa.Column("collection", sa.String(32), primary_key=True),
    sa.Column("epoch", sa.BigInteger, primary_key=True),
    sa.Column("snapshot_version", sa.BigInteger, primary_key=True),
    sa.Column("searcher", sa.String(32), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True)
class CatalogueName:
    """One catalogue: whose, of what, under which key."""

    custodian: str
    collection: str
    epoch: int


@dataclass(frozen=True, slots=True)
class CachedPiece:
    """One cached snapshot or delta; its ciphertext lies in a file."""

    name: CatalogueName
    version: int
    snapshot_version: int
    chunks: int
    statement: bytes

    @property
    def is_snapshot(self) -> bool:
        """Tell a snapshot from a delta."""
        return self.version == self.snapshot_version


@dataclass(frozen=True, slots=True)
class Chain:
    """What is cached of one catalogue: a snapshot and the deltas on it."""

    snapshot_version: int
    newest: int
    pieces: int


class Store:
    """The gateway's SQL store. Calls are short; any thread may make them.

    Raises:
        ConfigInvalid: no database URL, an engine that is not installed, or a store of another version.
        StoreUnavailable: the database cannot be opened, here or in any call. Nothing was changed.
        StoreExposed: others can read the SQLite file.
    """

    def __init__(self, url: str) -> None:
        self._engine = _open(url)
        with self._write() as db:
            _metadata.create_all(db)
            version = db.execute(sa.select(_schema.c.version)).scalar()
            if version is None:
                db.execute(_schema.insert().values(version=SCHEMA_VERSION))
            elif version != SCHEMA_VERSION:
                raise ConfigInvalid(
                    f"expected a gateway store of schema {SCHEMA_VERSION}; this one has {version}"
                )

    def close(self) -> None:
        """Give back all connections."""
        self._engine.dispose()

    def statements(self) -> dict[str, bytes]:
        """Every agency's newest key statement, as its envelope."""
        with self._read() as db:
            return {row.agency: row.envelope for row in db.execute(sa.select(_statements))}

    def put_statement(self, agency: str, envelope: bytes) -> None:
        """Keep an agency's statement in the place of its older one."""
        with self._write() as db:
            db.execute(_statements.delete().where(_statements.c.agency == agency))
            db.execute(_statements.insert().values(agency=agency, envelope=envelope))

    def last_seen(self) -> dict[str, datetime]:
        """When each agency was last attached."""
        with self._read() as db:
            return {row.agency: from_ms(row.last_ms) for row in db.execute(sa.select(_seen))}

    def put_seen(self, seen: Mapping[str, datetime]) -> None:
        """Note that agencies were attached at these times."""
        if not seen:
            return
        with self._write() as db:
            db.execute(_seen.delete().where(_seen.c.agency.in_(list(seen))))
            db.execute(
                _seen.insert(), [{"agency": agency, "last_ms": to_ms(at)} for agency, at in seen.items()]
            )

    def chain(self, name: CatalogueName) -> Chain | None:
        """What is cached of one catalogue, without reading it; None for nothing."""
        version = _pieces.c.version
        query = sa.select(
            sa.func.max(_pieces.c.snapshot_version), sa.func.max(version), sa.func.count(version)
        ).where(*_is(_pieces, name))
        with self._read() as db:
            snapshot_version, newest, pieces = db.execute(query).one()
        return Chain(snapshot_version, newest, pieces) if pieces else None

    def pieces(self, name: CatalogueName, *, above: int = 0) -> list[CachedPiece]:
        """The cached pieces of one catalogue above a version, oldest first."""
        return self._pieces(*_is(_pieces, name), _pieces.c.version > above)

    def pieces_of(self, custodian: str, collection: str) -> list[CachedPiece]:
        """The cached pieces of one collection, of all epochs."""
        return self._pieces(_pieces.c.custodian == custodian, _pieces.c.collection == collection)

    def all_pieces(self) -> list[CachedPiece]:
        """Every cached piece."""
        return self._pieces()

    def _pieces(self, *conditions: sa.ColumnElement[bool]) -> list[CachedPiece]:
        """Pieces by catalogue and version."""
        query = sa.select(_pieces).where(*conditions).order_by(*_pieces.primary_key.columns)
        with self._read() as db:
            return [
                CachedPiece(
                    CatalogueName(row.custodian, row.collection, row.epoch),
                    row.version,
                    row.snapshot_version,
                    row.chunks,
                    row.statement,
                )
                for row in db.execute(query)
            ]

    def put_piece(
        self, piece: CachedPiece, grants: Mapping[str, bytes], superseded: Iterable[CachedPiece]
    ) -> None:
        """Add a piece with its grants and drop those it supersedes, in one step."""
        with self._write() as db:
            for old in superseded:
                db.execute(_pieces.delete().where(*_is(_pieces, old.name), _pieces.c.version == old.version))
                if old.is_snapshot:
                    db.execute(
                        _grants.delete().where(
                            *_is(_grants, old.name), _grants.c.snapshot_version == old.version
                        )
                    )
            db.execute(
                _pieces.insert().values(
                    **_named(piece.name),
                    version=piece.version,
                    snapshot_version=piece.snapshot_version,
                    chunks=piece.chunks,
                    statement=piece.statement,
                )
            )
            _insert_grants(db, piece.name, piece.version, grants)

    def grant(self, name: CatalogueName, snapshot_version: int, searcher: str) -> bytes | None:
        """The snapshot key sealed to one searcher; None if it was given none."""
        query = sa.select(_grants.c.sealed).where(
            *_is(_grants, name),
            _grants.c.snapshot_version == snapshot_version,
            _grants.c.searcher == searcher,
        )
        with self._read() as db:
            found: bytes | None = db.execute(query).scalar()
            return found

    def add_grants(self, name: CatalogueName, snapshot_version: int, grants: Mapping[str, bytes]) -> int:
        """Add grants, in the place of those that the same searchers had; tells how many differ from those."""
        kept = sa.and_(*_is(_grants, name), _grants.c.snapshot_version == snapshot_version)
        with self._write() as db:
            held = {row.searcher: row.sealed for row in db.execute(sa.select(_grants).where(kept))}
            new = {searcher: sealed for searcher, sealed in grants.items() if held.get(searcher) != sealed}
            db.execute(_grants.delete().where(kept, _grants.c.searcher.in_(list(new))))
            _insert_grants(db, name, snapshot_version, new)
            return len(new)

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        """A connection to read with."""
        with _translated(), self._engine.connect() as db:
            yield db

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        """A transaction: durable at the end, or nothing of it."""
        with _translated(), self._engine.begin() as db:
            yield db


def _open(url: str) -> sa.Engine:
    """Make an engine. The URL may hold a password, so it is never quoted."""
    try:
        parsed = sa.make_url(url)
        engine = sa.create_engine(parsed, hide_parameters=True)
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise ConfigInvalid(
            "expected a database URL in store.url, such as sqlite:////path/store.sqlite"
        ) from None
    except ImportError:
        raise ConfigInvalid("expected an installed driver for the database that store.url names") from None
    if engine.dialect.name == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise ConfigInvalid("expected a file in store.url: what is kept must survive a restart")
        check_store_file(Path(str(parsed.database)).absolute())
        sa.event.listen(engine, "connect", _make_durable)
    return engine


@contextmanager
def _translated() -> Iterator[None]:
    """Say what a failing database means, without its own text."""
    try:
        yield
    except SQLAlchemyError as err:
        raise StoreUnavailable(
            f"expected to read and write the gateway's store; it failed with {type(err).__name__}"
        ) from None


def _make_durable(connection: Any, _record: Any) -> None:
    """What a commit says is written must be written, also when the power goes."""
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


def _named(name: CatalogueName) -> dict[str, str | int]:
    """A catalogue's name as column values."""
    return {"custodian": name.custodian, "collection": name.collection, "epoch": name.epoch}


def _is(table: sa.Table, name: CatalogueName) -> list[sa.ColumnElement[bool]]:
    """The condition that a row belongs to a catalogue."""
    return [table.c[column] == value for column, value in _named(name).items()]


def _insert_grants(
    db: sa.Connection, name: CatalogueName, snapshot_version: int, grants: Mapping[str, bytes]
) -> None:
    """Add grants, if there are any."""
    rows = [
        {**_named(name), "snapshot_version": snapshot_version, "searcher": searcher, "sealed": sealed}
        for searcher, sealed in grants.items()
    ]
    if rows:
        db.execute(_grants.insert(), rows)
