"""A copy of another agency's catalogue: what it promises, and how a newer version of it is taken in.

Holds:    short tags, which mean nothing without their custodian's live help, and the snapshot's key.
Sees:     what a gateway sends, of which nothing is trusted until the custodian's signature covers it.
Refuses:  pieces of another catalogue, not signed by its custodian, at or below the version held, larger
          than this node allows; chunks out of place, of another size, or more than were signed for.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import numpy as np

from elsewhere.catalogue.sealed import CHUNK_SIZE, GCM_TAG_SIZE, open_chunk, open_delta
from elsewhere.catalogue.statement import (
    CatalogueStatement,
    delta_root,
    snapshot_root,
)
from elsewhere.catalogue.tags import SHORT_TAG_SIZE, Catalogue, ShortTags
from elsewhere.clock import CLOCK_TOLERANCE
from elsewhere.errors import CatalogueBroken
from elsewhere.lookup import Head
from elsewhere.sealing import SealingKey
from elsewhere.signing import open_document
from elsewhere.statement import CATALOGUE_STATEMENT_TYPE, MAX_STATEMENT_BYTES
from elsewhere.wire.v1 import catalogue_pb2
from node.catalogues.grants import open_grant
from node.errors import CatalogueDiverged

MAX_TAGS: Final = 64 * 2**20  # of one catalogue: 512 MiB of memory
# A custodian states a version once all gateways in use have it, or once it has waited for a tick and a call.
LONGEST_LAG: Final = timedelta(minutes=65) + CLOCK_TOLERANCE
_TAGS_PER_CHUNK: Final = CHUNK_SIZE // SHORT_TAG_SIZE


class CatalogueName(NamedTuple):
    """Which catalogue: whose, of what, under which key."""

    custodian: str
    collection: str
    epoch: int


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """One verified version. It never changes, so threads may keep asking it while a newer one comes."""

    statement: CatalogueStatement
    key: bytes = field(repr=False)
    catalogue: Catalogue = field(repr=False)

    @property
    def head(self) -> Head:
        """The version and root held."""
        return Head(self.statement.version, self.statement.root)

    def check_stated(self, head: Head, now: datetime) -> None:
        """Return unless the custodian should long have stated this version, and states an older one.

        Then it knows nothing of what it published, as after its store was restored from a backup: of what
        this copy shows it may hold nothing, and would say so.

        Args:
            head: what it states; version 0 is none, and none is tested against.
            now: aware UTC time.

        Raises:
            CatalogueDiverged: it has gone back. The copy is no worse for that.
        """
        made = self.statement
        if 0 < head.version < made.version and now - made.published_utc > LONGEST_LAG:
            raise CatalogueDiverged(f"expected version {made.version}, published long ago, or a newer one")

    def contains_each(self, needles: ShortTags) -> list[bool]:
        """Tell of each short tag, in order, whether the catalogue holds it."""
        return self.catalogue.contains_each(needles)


class Superseded(Exception):
    """The snapshot being resumed is no longer the newest: begin with the newest one's first chunk."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A version that has just become complete, with what is to be kept of it."""

    held: Held
    envelope: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)  # of a delta; empty for a snapshot


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """What it takes to read one catalogue."""

    name: CatalogueName
    public: bytes  # the custodian's signing key, from the roster
    searcher: str  # this agency
    sealing: Sequence[SealingKey] = field(repr=False)
    max_tags: int = MAX_TAGS
    take_room: Callable[[int], None] = lambda tags: None  # raises when there is none for so many tags

    def read_statement(self, envelope: bytes) -> CatalogueStatement:
        """Read a statement of this very catalogue, signed by its custodian.

        Raises:
            SignatureInvalid, NotCanonical, DocumentInvalid: not one. Use nothing of it.
            CatalogueBroken: of another catalogue, or larger than this node allows.
        """
        told = open_document(envelope, CATALOGUE_STATEMENT_TYPE, [self.public], limit=MAX_STATEMENT_BYTES)
        found = CatalogueStatement.from_json(told)
        if CatalogueName(found.custodian, found.collection, found.epoch) != self.name:
            raise CatalogueBroken("expected a statement about the catalogue asked for; it is about another")
        if found.snapshot_count > self.max_tags:
            raise CatalogueBroken(f"expected at most {self.max_tags} tags; {found.snapshot_count} are stated")
        return found

    def apply_delta(self, held: Held, told: CatalogueStatement, ciphertext: bytes) -> Held:
        """Give the version after the one held.

        Raises:
            CatalogueBroken: it does not follow from what is held, or is not what was signed.
            CatalogueNoRoom: there is no memory for it.
        """
        before = held.statement
        if (told.version, told.snapshot_version) != (before.version + 1, before.snapshot_version):
            raise CatalogueBroken(f"expected version {before.version + 1} on the snapshot held")
        if (told.snapshot_count, told.padding_commitment) != (
            before.snapshot_count,
            before.padding_commitment,
        ):
            raise CatalogueBroken("expected a delta that speaks of the snapshot held; it contradicts it")
        if len(held.catalogue) + told.delta_size > self.max_tags:
            raise CatalogueBroken(f"expected at most {self.max_tags} tags, deltas included; more are stated")
        self.take_room(len(held.catalogue) + told.delta_size)
        tags = open_delta(ciphertext, held.key, told.which, delta_size=told.delta_size)
        if delta_root(before.root, tags) != told.root:
            raise CatalogueBroken(f"expected the root that was signed for version {told.version}")
        return Held(told, held.key, held.catalogue.with_delta(tags))


@dataclass(slots=True, eq=False)
class _Snapshot:
    """A snapshot of which some chunks are here."""

    told: CatalogueStatement
    envelope: bytes
    key: bytes = field(repr=False)
    tags: ShortTags = field(repr=False)
    next_chunk: int = 0


class Intake:
    """Takes the messages of fetches of one catalogue, and keeps a snapshot's beginning from one to the next.

    Calls block; one thread at a time.
    """

    def __init__(self, reader: Reader, held: Held | None) -> None:
        """Begin from what is held."""
        self.reader, self.held = reader, held
        self._snapshot: _Snapshot | None = None
        self._delta: tuple[CatalogueStatement, bytes] | None = None
        self._is_expecting = False  # a piece came, and its chunks are still to come

    @property
    def resume_at(self) -> int:
        """The chunk of the newest snapshot to ask for first."""
        return self._snapshot.next_chunk if self._snapshot is not None else 0

    @property
    def progress(self) -> tuple[int, int]:
        """Rises with everything taken: the version held, then the chunks of the next one."""
        return (self.held.statement.version if self.held is not None else 0, self.resume_at)

    def begin(self) -> None:
        """Begin a new stream."""
        self._delta, self._is_expecting = None, False

    def give_up(self) -> bool:
        """Forget a piece of which a part came, as the gateway has it no more; tells whether there was one."""
        had_part = self._snapshot is not None or self._is_expecting
        self._snapshot, self._delta, self._is_expecting = None, None, False
        return had_part

    def take(self, message: catalogue_pb2.FetchResponse) -> Taken | None:
        """Take the next message; gives the version that it completes, if it does.

        Raises:
            CatalogueBroken, SignatureInvalid, NotCanonical, DocumentInvalid, SealBroken: the gateway sent
                something else than the custodian published. What is held stays; end the stream.
            CatalogueNoRoom: there is no memory for it. The same holds.
            Superseded: fetch again, from the first chunk.
        """
        part = message.WhichOneof("part")
        try:
            if part == "piece" and not self._is_expecting:
                self._take_piece(message.piece)
                return None
            if part == "chunk" and self._is_expecting:
                return self._take_chunk(message.chunk)
        except Superseded:
            raise
        except Exception:
            self._snapshot = None  # what misled once is not built upon
            raise
        raise CatalogueBroken(f"expected a {'chunk' if self._is_expecting else 'piece'}; something else came")

    def _take_piece(self, piece: catalogue_pb2.Piece) -> None:
        """Check the head of a piece against its signed statement and against what is held."""
        told = self.reader.read_statement(piece.statement)
        stated = (piece.custodian, piece.collection, piece.epoch, piece.version, piece.snapshot_version)
        if stated != (told.custodian, told.collection, told.epoch, told.version, told.snapshot_version):
            raise CatalogueBroken("expected a piece labelled as its statement says; it is labelled otherwise")
        if piece.chunks != told.chunks:
            raise CatalogueBroken(f"expected {told.chunks} chunks, as signed; {piece.chunks} are announced")
        if told.version <= (self.held.statement.version if self.held else 0):
            raise CatalogueBroken("expected a version above the one held; an older one came")
        if not told.is_snapshot:
            self._delta = (told, piece.statement)
        elif self._snapshot is None:
            self._snapshot = self._begin_snapshot(told, piece)
        elif (told.version, told.root) != (self._snapshot.told.version, self._snapshot.told.root):
            self._snapshot = None
            raise Superseded
        self._is_expecting = True

    def _begin_snapshot(self, told: CatalogueStatement, piece: catalogue_pb2.Piece) -> _Snapshot:
        """Open the snapshot's key and reserve room for the tags; the system gives it only as it is filled."""
        mine = [grant for grant in piece.grants if grant.searcher == self.reader.searcher]
        if len(mine) != 1:
            raise CatalogueBroken(f"expected one grant for this node with the snapshot, got {len(mine)}")
        self.reader.take_room(told.snapshot_count)
        key = open_grant(mine[0].sealed, told.which, self.reader.searcher, self.reader.sealing)
        memory = mmap.mmap(-1, told.snapshot_count * SHORT_TAG_SIZE)
        tags: ShortTags = np.frombuffer(memory, dtype=np.uint64, count=told.snapshot_count)
        return _Snapshot(told, piece.statement, key, tags)

    def _take_chunk(self, chunk: catalogue_pb2.Chunk) -> Taken | None:
        """Take a delta's one chunk, or the next one of a snapshot."""
        if self._delta is not None:
            (told, envelope), self._delta, self._is_expecting = self._delta, None, False
            if self.held is None or chunk.index != 0:
                raise CatalogueBroken("expected a snapshot before any delta, and one chunk for each delta")
            self.held = self.reader.apply_delta(self.held, told, chunk.ciphertext)
            return Taken(self.held, envelope, chunk.ciphertext)
        coming = self._snapshot
        if coming is None or chunk.index != coming.next_chunk:
            raise CatalogueBroken(f"expected chunk {coming.next_chunk if coming else 0}, got {chunk.index}")
        start = chunk.index * _TAGS_PER_CHUNK
        count = min(_TAGS_PER_CHUNK, coming.told.snapshot_count - start)
        if len(chunk.ciphertext) != count * SHORT_TAG_SIZE + GCM_TAG_SIZE:
            raise CatalogueBroken(f"expected a chunk of {count} tags; it has another size")
        coming.tags[start : start + count] = open_chunk(
            chunk.ciphertext, coming.key, coming.told.which, position=(chunk.index, coming.told.chunks)
        )
        coming.next_chunk += 1
        return self._finish(coming) if coming.next_chunk == coming.told.chunks else None

    def _finish(self, coming: _Snapshot) -> Taken:
        """Check a whole snapshot's order and root; only then is it held."""
        self._snapshot, self._is_expecting = None, False
        coming.tags.flags.writeable = False
        if snapshot_root(coming.tags) != coming.told.root:
            raise CatalogueBroken("expected the root that was signed for the snapshot")
        self.held = Held(coming.told, coming.key, Catalogue(coming.tags))
        return Taken(self.held, coming.envelope, b"")
