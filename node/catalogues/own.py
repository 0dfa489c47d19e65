"""One catalogue of this agency's own: every version made durable before anybody can be told of it.

Holds:    the snapshot's key, the padding seed and the set published so far; all of them in the store or in
          an encrypted file.
Promises: a version has one content for ever. The file of a new snapshot carries its version in its name and
          stands beside the old one until the row that names it is committed, so that a crash at any point
          leaves a row and the file it speaks of. Of several processes only the one that leads makes versions:
          its term is checked in the transaction, and is in the file's name, so no two write one file.

A tag once published stays until the end of the epoch, so removing a record changes nothing here.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import structlog
from sqlalchemy import ColumnElement, Connection, Table, Update, delete, insert, select, update

from elsewhere.canonical import Json
from elsewhere.catalogue.files import write_catalogue
from elsewhere.catalogue.padding import SEED_SIZE, commit_seed, next_delta, pad
from elsewhere.catalogue.sealed import KEY_SIZE, seal_delta
from elsewhere.catalogue.statement import CatalogueStatement, delta_root, snapshot_root
from elsewhere.catalogue.tags import Catalogue, ShortTags, as_set, union
from elsewhere.clock import Clock
from elsewhere.errors import ElsewhereError, SignatureInvalid
from elsewhere.lookup import Head
from elsewhere.random import RandomBytes
from elsewhere.signing import SigningKey, sign_document
from elsewhere.statement import CATALOGUE_STATEMENT_TYPE
from node.caseload.index import current_load, record_count, short_tags_since
from node.catalogues.ownfile import OwnPiece, read_deltas, read_snapshot, read_statement, snapshot_path
from node.catalogues.times import MAX_BACKLOG_TICKS
from node.ledger import book
from node.processes.lead import Lead
from node.store.engine import Store
from node.store.exchange import published, published_piece
from node.store.writer import Writer

MAX_CHAIN = 2000  # deltas on one snapshot; whoever comes new fetches them all

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OwnParts:
    """What every own catalogue is made with."""

    agency: str
    folder: Path
    local: bytes = field(repr=False)
    signing: Callable[[], SigningKey]  # as it is now
    earlier: Callable[[], tuple[bytes, ...]]  # public halves of the keys before
    store: Store
    writer: Writer
    lead: Lead
    clock: Clock
    random: RandomBytes
    delta_tags: int


@dataclass(frozen=True, slots=True, eq=False)
class OwnState:
    """Everything published, as of one version; replaced whole."""

    pieces: tuple[OwnPiece, ...]  # the snapshot, then its deltas in order
    key: bytes = field(repr=False)
    seed: bytes = field(repr=False)
    catalogue: Catalogue = field(repr=False)  # its base is the snapshot, as nothing is merged in between
    granted: Mapping[str, str]  # agency id -> id of the sealing key that this snapshot's key was sealed to
    term: int  # of the lead that made the snapshot

    @property
    def newest(self) -> CatalogueStatement:
        """The statement of the newest version."""
        return self.pieces[-1].statement


class OwnCatalogue:
    """Makes version after version of one collection and epoch, in the term of the lead it was made in.

    Calls block; any thread may make them.
    """

    def __init__(self, parts: OwnParts, collection: str, epoch: int) -> None:
        self._parts, self.collection, self.epoch = parts, collection, epoch
        self.state: OwnState | None = None
        self.stated = Head(0)  # what is stated to those who ask
        self._term = parts.lead.number
        self._pending: ShortTags = np.zeros(0, dtype=np.uint64)
        self._seen_load = 0
        self._floor = 0  # no version up to this one is made again
        self._seed = b""
        self._is_renewal_due = False
        self._is_unsure = False  # whether a version that was said to have failed may be there
        self._covered = 0  # the newest load whose tags are all in the newest version
        self._covers: dict[int, int] = {}  # the same for each version of this term that is not stated yet
        self._lock = threading.Lock()  # a step and a note at once could each undo the other

    @property
    def name(self) -> tuple[str, int]:
        """Collection and epoch."""
        return self.collection, self.epoch

    def open(self) -> None:
        """Take up what an earlier run published, and sweep what a crash left behind."""
        with self._parts.store.read() as conn:
            row = conn.execute(select(published).where(*self._is(published))).one_or_none()
            query = select(published_piece).where(*self._is(published_piece))
            stored = conn.execute(query.order_by(published_piece.c.version)).all()
        if row is None:
            self._sweep(keep=None)
            return
        self._floor, self._seed = row.version, row.seed
        if row.stated_version is not None:
            self.stated = Head(row.stated_version, row.stated_root)
        keys = (self._parts.signing().public, *self._parts.earlier())
        try:
            pieces = tuple(
                OwnPiece(read_statement(r.statement, keys), r.statement, r.ciphertext) for r in stored
            )
            catalogue = self._rebuild(pieces, row.snapshot_key, row.snapshot_term)
        except (ElsewhereError, FileNotFoundError):
            # The records' tags are still in the store, so a new snapshot keeps the agency answerable. Padding
            # that was in the lost file and is not in the new one shows others roughly how much there was.
            _log.error("catalogue.lost", collection=self.collection, epoch=self.epoch, remedy="snapshot anew")
            return
        granted, term = json.loads(row.granted), row.snapshot_term
        self.state = OwnState(pieces, row.snapshot_key, row.seed, catalogue, granted, term)
        self._sweep(keep=self._path(row.snapshot_version, term))

    def renew(self) -> None:
        """Have the next version be a snapshot under a fresh key."""
        self._is_renewal_due = True

    @property
    def agency(self) -> str:
        """Whose it is."""
        return self._parts.agency

    @property
    def is_outdated(self) -> bool:
        """Whether its snapshot was signed with a key that has been replaced: nobody takes it up any more."""
        if self.state is not None:
            try:
                self._read_statement(self.state.pieces[0].envelope)
            except SignatureInvalid:
                return True
        return False

    def is_other_than_made(self, envelope: bytes) -> bool:
        """Tell whether a statement is ours, and of a version that is not in this store, or not like that.

        Then this store is older than what was published from it.
        """
        state = self.state
        try:
            told = self._read_statement(envelope)
        except ElsewhereError:
            return False
        if state is None or (told.custodian, told.collection, told.epoch) != (self.agency, *self.name):
            return False
        made = {piece.statement.version: piece.statement.root for piece in state.pieces}
        # Of versions before the snapshot nothing is left to compare with.
        return told.version > state.newest.version or made.get(told.version, told.root) != told.root

    def step(self) -> None:
        """Make the next version: a delta, or a snapshot when there is none or a delta will not do.

        Raises:
            LogUnavailable, OSError: nothing was published; the next step tries again.
            LeadLost: nothing was published; another process does it.
        """
        with self._lock:
            if self._is_unsure:
                self._settle()
            self._look()
            state = self.state
            if (
                state is None
                or self._is_renewal_due
                or self._floor > state.newest.version
                or len(state.pieces) > MAX_CHAIN
                or self.is_outdated
                or len(self._pending) > MAX_BACKLOG_TICKS * self._parts.delta_tags
            ):
                self._make_snapshot()
            else:
                self._make_delta(state)

    def note_granted(self, granted: Mapping[str, str], snapshot_version: int) -> None:
        """Remember durably to which sealing keys a snapshot's key went; an older one no longer matters."""
        with self._lock:
            state = self.state
            if state is None or state.newest.snapshot_version != snapshot_version:
                return
            merged = {**state.granted, **granted}
            values = {"granted": json.dumps(merged, sort_keys=True)}
            self._write(update(published).where(*self._is(published)).values(values))
            self.state = replace(state, granted=merged)

    def note_stated(self, head: Head) -> None:
        """Have every process state a version from now on, unless a newer one is stated already."""
        with self._lock:
            if head.version <= self.stated.version:
                return
            values: dict[str, object] = {"stated_version": head.version, "stated_root": head.root}
            if covered := self._covers.get(head.version):
                values["stated_load"] = covered
            self._write(update(published).where(*self._is(published)).values(values))
            self.stated = head
            self._covers = {version: n for version, n in self._covers.items() if version > head.version}

    def _settle(self) -> None:
        """Find out whether the version that was said to have failed is there, and go on from what is."""
        with self._parts.store.read() as conn:
            made = conn.execute(select(published.c.version).where(*self._is(published))).scalar_one_or_none()
        if made is not None and (self.state is None or made != self.state.newest.version):
            self.state, self._pending, self._seen_load = None, self._pending[:0], 0
            self.open()
        self._is_unsure = False

    def _look(self) -> None:
        """Add what the caseload has gained to what waits to be published."""
        with self._parts.store.read() as conn:
            newest = current_load(conn)
            if newest == self._seen_load:
                return
            added = short_tags_since(conn, self.collection, self.epoch, self._seen_load)
        if self.state is not None:
            added = added[~self.state.catalogue.contains(added)]
        self._pending, self._seen_load = np.concatenate([self._pending, added]), newest

    def _make_snapshot(self) -> None:
        """Publish everything ever published, and all that waits, as one set under a fresh key."""
        parts, state = self._parts, self.state
        # What was published as padding must not vanish: whoever compares would see which tags are records'.
        everything = (
            as_set(self._pending) if state is None else union(state.catalogue.merge(), as_set(self._pending))
        )
        seed = self._seed or parts.random(SEED_SIZE)
        tags, key = pad(everything, seed), parts.random(KEY_SIZE)
        version = max(self._floor, state.newest.version if state else 0) + 1
        statement = self._state(version, version, len(tags), snapshot_root(tags), seed)
        piece = OwnPiece(statement, self._sign(statement), b"")
        catalogue = Catalogue(tags)
        path = self._path(version, self._term)
        write_catalogue(path, catalogue, key=parts.local, which=statement.which, random=parts.random)
        made = OwnState((piece,), key, seed, catalogue, {}, self._term)
        self._commit(made, unpadded=len(everything))
        self._seed, self._floor, self._is_renewal_due = seed, version, False
        self._pending = self._pending[:0]
        self._note_covered(version)
        self._sweep(keep=path)

    def _make_delta(self, state: OwnState) -> None:
        """Publish the oldest tags that wait, or nothing but padding."""
        held = state.newest
        version = held.version + 1
        delta = next_delta(
            state.catalogue, self._pending, size=self._parts.delta_tags, seed=state.seed, version=version
        )
        root = delta_root(held.root, delta.tags)
        statement = self._state(version, held.snapshot_version, held.snapshot_count, root, state.seed)
        piece = OwnPiece(statement, self._sign(statement), seal_delta(delta.tags, state.key, statement.which))
        catalogue = state.catalogue.with_delta(delta.tags)
        made = replace(state, pieces=(*state.pieces, piece), catalogue=catalogue)
        self._commit(made, unpadded=None)
        self._floor, self._pending = version, delta.carried
        self._note_covered(version)

    def _note_covered(self, version: int) -> None:
        """Note up to which load all tags are in a version that has just been made."""
        if not len(self._pending):
            self._covered = self._seen_load
        self._covers[version] = self._covered

    def _commit(self, made: OwnState, *, unpadded: int | None) -> None:
        """Write a version's row and piece in one transaction; only then is it the state others may see."""
        piece, newest, now = made.pieces[-1], made.newest, self._parts.clock()
        values: dict[str, object] = {
            "version": newest.version,
            "snapshot_version": newest.snapshot_version,
            "root": newest.root,
            "seed": made.seed,
            "snapshot_key": made.key,
            "statement": piece.envelope,
            "granted": json.dumps(dict(made.granted), sort_keys=True),
            "snapshot_term": made.term,
        }
        name = {"collection": self.collection, "epoch": self.epoch}

        def change(conn: Connection) -> None:
            self._parts.lead.check(conn, self._term)
            if not conn.execute(update(published).where(*self._is(published)).values(values)).rowcount:
                conn.execute(insert(published).values(**name, **values))
            if unpadded is not None:
                conn.execute(delete(published_piece).where(*self._is(published_piece)))
                facts = self._facts(newest, unpadded, record_count(conn))
                book.append(conn, book.make_entry("catalogue", facts, now))
            row = {"version": newest.version, "statement": piece.envelope, "ciphertext": piece.ciphertext}
            conn.execute(insert(published_piece).values(**name, **row))

        self._is_unsure = True  # a server that is lost while it commits may have committed
        self._parts.writer.submit(change).result()
        self._is_unsure = False
        self.state = made

    def _write(self, change: Update) -> None:
        """Make a change durable, if this term still lasts."""

        def checked(conn: Connection) -> None:
            self._parts.lead.check(conn, self._term)
            conn.execute(change)

        self._parts.writer.submit(checked).result()

    def _facts(self, newest: CatalogueStatement, unpadded: int, records: int) -> dict[str, Json]:
        """What the log says about a snapshot, for the audit of its padding."""
        return {
            "collection": self.collection,
            "epoch": self.epoch,
            "version": newest.version,
            "root": newest.root.hex(),
            "padding_commitment": newest.padding_commitment.hex(),
            "records": records,
            "unpadded_tags": unpadded,
            "tags": newest.snapshot_count,
        }

    def _rebuild(self, pieces: tuple[OwnPiece, ...], key: bytes, term: int) -> Catalogue:
        """Read the snapshot's file and apply the deltas; raises CatalogueBroken unless the roots agree."""
        catalogue = read_snapshot(self._parts.folder, pieces, self._parts.local, term)
        for tags in read_deltas(pieces, key):
            catalogue = catalogue.with_delta(tags)
        return catalogue

    def _state(
        self, version: int, snapshot_version: int, snapshot_count: int, root: bytes, seed: bytes
    ) -> CatalogueStatement:
        """Fill in a statement."""
        return CatalogueStatement(
            custodian=self._parts.agency,
            collection=self.collection,
            epoch=self.epoch,
            version=version,
            snapshot_version=snapshot_version,
            snapshot_count=snapshot_count,
            delta_size=self._parts.delta_tags,
            root=root,
            padding_commitment=commit_seed(seed),
            published_utc=self._parts.clock().replace(microsecond=0),
        )

    def _sign(self, statement: CatalogueStatement) -> bytes:
        """Wrap a statement in a signed envelope."""
        return sign_document([self._parts.signing()], CATALOGUE_STATEMENT_TYPE, statement.to_json())

    def _read_statement(self, envelope: bytes) -> CatalogueStatement:
        """Read a statement of our own, which is signed with the key in force."""
        return read_statement(envelope, [self._parts.signing().public])

    def _path(self, version: int, term: int) -> Path:
        """The file of one snapshot."""
        return snapshot_path(self._parts.folder, self.name, version, term)

    def _sweep(self, *, keep: Path | None) -> None:
        """Remove the files of all snapshots but one; what a later term made is none of ours."""
        for path in self._parts.folder.glob(f"own.{self.collection}.{self.epoch}.*"):
            if path != keep and _term_of(path) <= self._term:
                path.unlink(missing_ok=True)

    def _is(self, table: Table) -> list[ColumnElement[bool]]:
        """The condition that a row belongs to this catalogue."""
        return [table.c.collection == self.collection, table.c.epoch == self.epoch]


def _term_of(path: Path) -> int:
    """The term in a file's name; 0 where there is none."""
    term = path.name.split(".")[4:5]
    return int(term[0]) if term and term[0].isdecimal() else 0
