"""What must survive a restart: key statements, the index of cached catalogues, times of last contact.

Holds:    signed public documents, names of ciphertext files, grants sealed to members, times.
Refuses:  a store of another version.
Promises: a database that fails is `StoreUnavailable` or `StoreBusy` to every caller.

Nothing of a lookup is ever written here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from elsewhere.clock import from_ms, to_ms
from elsewhere.database.engine import open_database
from elsewhere.database.owning import StoreTaken
from elsewhere.database.revisions import Schema, prepare
from elsewhere.errors import StoreUnavailable

SCHEMA: Final = Schema(
    whose="gateway", head="0004", folder=Path(__file__).resolve().parent / "migrations", mark="schema"
)

metadata = sa.MetaData()
# What 0.1.0 read the store's version from; since then that is Alembic's.
_schema = sa.Table("schema", metadata, sa.Column("version", sa.Integer, nullable=False))
_statements = sa.Table(
    "statement",
    metadata,
    sa.Column("agency", sa.String(32), primary_key=True),
    sa.Column("envelope", sa.LargeBinary, nullable=False),
)
_seen = sa.Table(
    "seen",
    metadata,
    sa.Column("agency", sa.String(32), primary_key=True),
    sa.Column("last_ms", sa.BigInteger, nullable=False),
)
_pieces = sa.Table(
    "piece",
    metadata,
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
    metadata,
    sa.Column("custodian", sa.String(32), primary_key=True),
    sa.Column("collection", sa.String(32), primary_key=True),
    sa.Column("epoch", sa.BigInteger, primary_key=True),
    sa.Column("snapshot_version", sa.BigInteger, primary_key=True),
    sa.Column("searcher", sa.String(32), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)
_logs = sa.Table(
    "log_note",
    metadata,
    sa.Column("agency", sa.String(32), primary_key=True),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("witnessed", sa.Text, nullable=False),
)
_owner = sa.Table("owner", metadata, sa.Column("id", sa.String(32), primary_key=True))


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


@dataclass(frozen=True, slots=True)
class LogNotes:
    """The newest checkpoint of a member's log, and the newest that its witnesses have seen; else empty."""

    note: str
    witnessed: str = ""


class Store:
    """The gateway's SQL store. Calls are short; any thread may make them.

    Raises:
        ConfigInvalid: the URL is none, or names a server in a way that is not safe.
        StoreUnavailable, StoreBusy: the database cannot be used, here or in any call. Nothing was changed.
        StoreExposed: others can read the database.
        StoreVersionWrong: made by another version of elsewhere; `elsewhere gateway upgrade` changes that.
    """

    def __init__(self, url: str, password_file: Path | None = None) -> None:
        self._database = open_database(url, password_file)
        try:
            prepare(self._database, SCHEMA)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give back all connections."""
        self._database.close()

    def claim(self, owner: str, *, take_over: bool = False) -> None:
        """Make this the store of one gateway, or return if it is already.

        Two that shared it would each delete the other's catalogues, and show members what is not theirs.

        Args:
            owner: the id of the gateway's folder.
            take_over: also from another, which must not run any more.

        Raises:
            StoreTaken: it is another's.
        """
        with self._write() as db:
            found = db.execute(sa.select(_owner.c.id)).scalar_one_or_none()
            if found == owner:
                return
            if found is not None and not take_over:
                raise StoreTaken(
                    "expected a store of this gateway's own; it is another's: mend store.url. If that one is"
                    " gone for good, run 'elsewhere gateway take-store' here"
                )
            db.execute(_owner.delete())
            db.execute(_owner.insert().values(id=owner))

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        """A transaction: durable at the end, or nothing of it."""
        try:
            with self._database.write() as db:
                yield db
        except sa.exc.IntegrityError:
            raise StoreUnavailable("expected to write a row that is not there yet; it is by now") from None

    def statements(self) -> dict[str, bytes]:
        """Every agency's newest key statement, as its envelope."""
        with self._database.read() as db:
            return {row.agency: row.envelope for row in db.execute(sa.select(_statements))}

    def put_statement(self, agency: str, envelope: bytes) -> None:
        """Keep an agency's statement in the place of its older one."""
        with self._write() as db:
            db.execute(_statements.delete().where(_statements.c.agency == agency))
            db.execute(_statements.insert().values(agency=agency, envelope=envelope))

    def last_seen(self) -> dict[str, datetime]:
        """When each agency was last attached."""
        with self._database.read() as db:
            return {row.agency: from_ms(row.last_ms) for row in db.execute(sa.select(_seen))}

    def put_seen(self, seen: Mapping[str, datetime]) -> None:
        """Note that agencies were attached at these times; with none, only whether that could be written."""
        with self._write() as db:
            db.execute(_seen.delete().where(_seen.c.agency.in_(list(seen))))
            rows = [{"agency": agency, "last_ms": to_ms(at)} for agency, at in seen.items()]
            if rows:
                db.execute(_seen.insert(), rows)

    def log_notes(self) -> dict[str, LogNotes]:
        """The checkpoints held of each member's log."""
        with self._database.read() as db:
            return {row.agency: LogNotes(row.note, row.witnessed) for row in db.execute(sa.select(_logs))}

    def put_log_notes(self, agency: str, notes: LogNotes) -> None:
        """Keep checkpoints of an agency's log in the place of those before."""
        with self._write() as db:
            db.execute(_logs.delete().where(_logs.c.agency == agency))
            db.execute(_logs.insert().values(agency=agency, note=notes.note, witnessed=notes.witnessed))

    def chain(self, name: CatalogueName) -> Chain | None:
        """What is cached of one catalogue, without reading it; None for nothing."""
        version = _pieces.c.version
        query = sa.select(
            sa.func.max(_pieces.c.snapshot_version), sa.func.max(version), sa.func.count(version)
        ).where(*_is(_pieces, name))
        with self._database.read() as db:
            snapshot_version, newest, pieces = db.execute(query).one()
        return Chain(snapshot_version, newest, pieces) if pieces else None

    def pieces(self, name: CatalogueName, *, above: int = 0, most: int | None = None) -> list[CachedPiece]:
        """The cached pieces of one catalogue above a version, oldest first; so many of them, or all."""
        return self._pieces(*_is(_pieces, name), _pieces.c.version > above, most=most)

    def pieces_of(self, custodian: str, collection: str = "") -> list[CachedPiece]:
        """The cached pieces of one collection, of all epochs; of all collections where none is named."""
        of_one = [_pieces.c.collection == collection] if collection else []
        return self._pieces(_pieces.c.custodian == custodian, *of_one)

    def all_pieces(self) -> list[CachedPiece]:
        """Every cached piece."""
        return self._pieces()

    def _pieces(self, *conditions: sa.ColumnElement[bool], most: int | None = None) -> list[CachedPiece]:
        """Pieces by catalogue and version."""
        query = sa.select(_pieces).where(*conditions).order_by(*_pieces.primary_key.columns).limit(most)
        with self._database.read() as db:
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

    def drop_catalogue(self, name: CatalogueName) -> None:
        """Drop every piece and grant of one catalogue."""
        with self._write() as db:
            for table in (_pieces, _grants):
                db.execute(table.delete().where(*_is(table, name)))

    def grant(self, name: CatalogueName, snapshot_version: int, searcher: str) -> bytes | None:
        """The snapshot key sealed to one searcher; None if it was given none."""
        query = sa.select(_grants.c.sealed).where(
            *_is(_grants, name),
            _grants.c.snapshot_version == snapshot_version,
            _grants.c.searcher == searcher,
        )
        with self._database.read() as db:
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
