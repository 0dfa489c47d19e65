"""Catalogues as ciphertext: taken from their custodian, cached, handed to those it granted a key.

Holds:    encrypted pieces on disk, their index and grants in the store.
Sees:     whose catalogue of which collection and epoch has how many chunks; no tag, and no key.
Refuses:  a piece by anyone but its custodian, out of order or over a bound; a fetch without a grant.
          What one custodian may have cached at all is said in `custody`.
"""

from __future__ import annotations

import asyncio
import errno
import re
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import structlog

from elsewhere.errors import ElsewhereError, PieceMissing, PieceRefused, StoreUnavailable
from elsewhere.pace import Pace
from elsewhere.roster import AGENCY_ID, MAX_VERSION
from elsewhere.sealing import CATALOGUE_KEY, sealed_size
from elsewhere.statement import COLLECTION
from elsewhere.wire.channel import MAX_GRANTS, agency_of
from elsewhere.wire.status import FetchesTaken, PiecesTaken, to_status
from elsewhere.wire.v1 import catalogue_pb2, catalogue_pb2_grpc
from gateway.config import CatalogueConfig
from gateway.custody import Custody, Members
from gateway.directory import Directory
from gateway.finishing import to_its_end
from gateway.notices import is_outlived
from gateway.pieces import PieceWriter, piece_path, read_chunks, sweep
from gateway.store import CachedPiece, CatalogueName, Store

if TYPE_CHECKING:
    from elsewhere.wire.v1.catalogue_pb2_grpc import _ServicerContext

GRANT_BYTES = sealed_size(CATALOGUE_KEY)
# Of one agency. A snapshot is a whole fetch for each member. Deltas cost little, and a gateway that has lost
# everything is sent all those of four chains at once: each is one tick's, a minute unless set otherwise.
SNAPSHOTS, SNAPSHOT_EVERY_S = 32, 10.0
DELTAS, DELTA_EVERY_S = 8192, 0.125
PAGE = 32  # pieces that a fetch has in memory at once, with their statements

_log = structlog.get_logger("elsewhere.gateway.catalogues")
_Requests: TypeAlias = AsyncIterator[catalogue_pb2.PublishRequest]
Show: TypeAlias = Callable[[CatalogueName, int], None]
_Responses: TypeAlias = AsyncIterator[catalogue_pb2.FetchResponse]


class Catalogues:
    """The cache of all custodians' catalogues."""

    def __init__(self, root: Path, store: Store, config: CatalogueConfig, members: Members) -> None:
        self._root, self._store, self._config = root, store, config
        self._custody = Custody(members, config.quota_mb * 2**20)
        self._publishing: set[str] = set()
        self._snapshots, self._deltas = Pace(SNAPSHOTS, SNAPSHOT_EVERY_S), Pace(DELTAS, DELTA_EVERY_S)
        self._lock = threading.Lock()  # what a call reads of the index is of one moment
        root.mkdir(mode=0o700, exist_ok=True)
        pieces = store.all_pieces()
        sweep(root, pieces)
        for piece in pieces:
            self._custody.count(root, piece)

    def newest(self) -> list[tuple[CatalogueName, int]]:
        """Every cached catalogue with its versions, the newest last."""
        return [(piece.name, piece.version) for piece in self._store.all_pieces()]

    async def publish(self, caller: str, requests: _Requests, show: Show) -> int:
        """Take one piece from its custodian.

        Args:
            caller: the agency at the other end.
            requests: the piece's head, then its chunks.
            show: called with the catalogue and the version once it is cached.

        Returns:
            The version that is now cached.

        Raises:
            PieceRefused: another's piece, out of order, over a bound, or one is on its way already.
            PiecesTaken: they come too fast. Nothing was changed.
            StoreUnavailable: the disk is full or fails. Nothing was changed.
        """
        if caller in self._publishing:
            raise PieceRefused("expected one publication at a time; another is on its way")
        self._publishing.add(caller)
        try:
            return await self._take(caller, requests, show)
        except OSError as err:
            # Translated here: gRPC would show the caller the text, with a path of this machine.
            reason = errno.errorcode.get(err.errno or 0, "an error")
            raise StoreUnavailable(f"expected room for the piece; writing it failed with {reason}") from None
        finally:
            self._publishing.discard(caller)

    def add_grants(self, caller: str, request: catalogue_pb2.GrantRequest) -> tuple[int, CatalogueName, int]:
        """Add the custodian's grants to its newest snapshot, in the place of older ones to the same. Blocks.

        Returns:
            How many were new; the catalogue and its newest version, which more can fetch now.

        Raises:
            PieceMissing: that snapshot is not the one cached.
            PieceRefused: a grant of the wrong size, to no member, or one searcher twice.
        """
        name = _name(caller, request.collection, request.epoch)
        grants = _grants(request.grants)
        self._custody.check_grants(grants)
        with self._lock:
            held = self._store.chain(name)
            if held is None or held.snapshot_version != request.snapshot_version:
                raise PieceMissing("expected the newest snapshot's version; another is cached, or none")
            added = self._store.add_grants(name, request.snapshot_version, grants)
        return added, name, held.newest

    def drop_unstated(self, custodian: str) -> set[CatalogueName]:
        """Drop the catalogues whose keys a custodian states no longer: it has destroyed them. Blocks.

        And those that it signed with a key which was replaced since: nobody takes them.

        Returns:
            What is gone.
        """
        with self._lock:
            pieces = self._store.pieces_of(custodian)
            gone = {piece.name for piece in pieces if not self._custody.is_stated(piece.name)}
            gone |= {piece.name for piece in pieces if piece.is_snapshot and self._custody.is_outdated(piece)}
            for name in gone:
                self._store.drop_catalogue(name)
        for piece in pieces:
            if piece.name in gone:
                self._custody.forget(piece)
                piece_path(self._root, piece.name, piece.version).unlink(missing_ok=True)
        return gone

    def wanted(self, caller: str, request: catalogue_pb2.FetchRequest) -> tuple[list[CachedPiece], bytes]:
        """Say which pieces a searcher needs next, and give the snapshot key sealed to it. Blocks.

        Returns:
            At most PAGE pieces above the version it holds, oldest first; none when it is up to date.

        Raises:
            PieceMissing: nothing is cached, a caller who is not its custodian has no grant, or no such chunk.
        """
        name = _name(request.custodian, request.collection, request.epoch)
        with self._lock:
            held = self._store.chain(name)
            if held is None:
                raise PieceMissing("expected a cached catalogue; its custodian has published none")
            # A custodian may see what is held of its own; it has the key itself.
            is_own = caller == request.custodian
            grant = b"" if is_own else self._store.grant(name, held.snapshot_version, caller)
            if grant is None:
                raise PieceMissing("expected a grant for the caller; the custodian has sealed none to it")
            pieces = self._store.pieces(name, above=request.held_version, most=PAGE)
        if pieces and pieces[0].is_snapshot and request.from_chunk >= pieces[0].chunks:
            raise PieceMissing(f"expected a chunk below {pieces[0].chunks} to resume at")
        return pieces, grant

    def chunks(self, piece: CachedPiece, from_chunk: int) -> Iterator[tuple[int, bytes]]:
        """The chunks of a cached piece; raises PieceMissing as soon as it is superseded."""
        return read_chunks(piece_path(self._root, piece.name, piece.version), range(from_chunk, piece.chunks))

    async def _take(self, caller: str, requests: _Requests, show: Show) -> int:
        """Read a whole publication, then make it the newest and show it."""
        frames = aiter(requests)
        head = await anext(frames, None)
        if head is None or head.WhichOneof("part") != "piece":
            raise PieceRefused("expected the head of a piece first")
        piece, grants, room_bytes = await asyncio.to_thread(self._opened, caller, head.piece)
        # Only what is in order counts: a node that offers what is cached already would else wait for nothing.
        pace = self._snapshots if piece.is_snapshot else self._deltas
        if not pace.take(caller, asyncio.get_running_loop().time()):
            raise PiecesTaken(f"expected fewer versions of {caller} one after the other")
        writer = PieceWriter(piece_path(self._root, piece.name, piece.version), piece.chunks, room_bytes)
        try:
            async for frame in frames:
                if frame.WhichOneof("part") != "chunk":
                    raise PieceRefused("expected a chunk; another part came")
                await asyncio.to_thread(writer.add, frame.chunk.index, frame.chunk.ciphertext)
            await asyncio.to_thread(writer.finish)
        finally:
            writer.abandon()

        async def enter() -> None:
            await asyncio.to_thread(self._put, piece, grants)
            show(piece.name, piece.version)

        await to_its_end(enter())
        return piece.version

    def _put(self, piece: CachedPiece, grants: dict[str, bytes]) -> None:
        """Enter a piece in the index, and remove what it supersedes."""
        with self._lock:
            held = self._store.chain(piece.name)
            if held is not None and held.newest >= piece.version:
                # An earlier call of its custodian, whose link was lost in the middle of it, has entered it.
                raise PieceRefused(f"expected a piece above version {held.newest}, got {piece.version}")
            if not self._custody.is_stated(piece.name):
                # Its statement changed while it came.
                piece_path(self._root, piece.name, piece.version).unlink(missing_ok=True)
                raise PieceRefused("expected an epoch that your statement has; it has it no longer")
            superseded = self._superseded(piece)
            self._store.put_piece(piece, grants, superseded)
        self._custody.count(self._root, piece)
        for old in superseded:
            self._custody.forget(old)
            piece_path(self._root, old.name, old.version).unlink(missing_ok=True)

    def _opened(self, caller: str, piece: catalogue_pb2.Piece) -> tuple[CachedPiece, dict[str, bytes], int]:
        """Check everything that the head of a piece says against what is cached; tell what room is left."""
        if piece.custodian != caller:
            raise PieceRefused("expected the caller's own catalogue; the piece names another custodian")
        name = _name(caller, piece.collection, piece.epoch)
        self._custody.check_name(name)
        self._custody.check_statement(piece)
        held = self._store.chain(name)
        newest = held.newest if held is not None else 0
        is_snapshot = piece.version == piece.snapshot_version
        if is_snapshot:
            # A version may be skipped: one whose publication broke off may have reached somebody.
            if not newest < piece.version <= MAX_VERSION:
                raise PieceRefused(f"expected a snapshot above version {newest}, got {piece.version}")
            self._custody.check_new(name)
        elif held is None or (piece.snapshot_version, piece.version) != (held.snapshot_version, newest + 1):
            raise PieceRefused(f"expected a delta of version {newest + 1} on the snapshot cached")
        elif piece.grants or held.pieces > self._config.max_deltas:
            raise PieceRefused("expected a delta without grants, or a new snapshot by now")
        bound = self._config.max_chunks if is_snapshot else 1
        if not 1 <= piece.chunks <= bound:
            raise PieceRefused(f"expected 1..{bound} chunks, got {piece.chunks}")
        cached = CachedPiece(name, piece.version, piece.snapshot_version, piece.chunks, piece.statement)
        grants = _grants(piece.grants)
        self._custody.check_grants(grants)
        return cached, grants, self._custody.room_bytes(caller, self._superseded(cached))

    def _superseded(self, piece: CachedPiece) -> list[CachedPiece]:
        """What a new snapshot makes useless: all before it, and epochs whose keys are destroyed."""
        if not piece.is_snapshot:
            return []
        name = piece.name
        return [
            old
            for old in self._store.pieces_of(name.custodian, name.collection)
            if old.name == name or is_outlived(old.name, name)
        ]


class CatalogueService(catalogue_pb2_grpc.CatalogueServiceServicer):
    """Serves `Publish`, `Fetch` and `Grant` to active members."""

    def __init__(self, catalogues: Catalogues, directory: Directory, *, fetches: int) -> None:
        self._catalogues, self._directory = catalogues, directory
        self._fetching: Counter[str] = Counter()
        self._most = fetches

    async def Publish(  # noqa: N802 - the name in catalogue.proto
        self, request_iterator: _Requests, context: _ServicerContext
    ) -> catalogue_pb2.PublishResponse:
        """Cache one piece and tell all members that it is there."""
        try:
            show = self._directory.show_catalogue
            version = await self._catalogues.publish(self._caller(context), request_iterator, show)
        except ElsewhereError as err:
            _log.warning("piece refused", code=err.code)
            await context.abort(*to_status(err))
        return catalogue_pb2.PublishResponse(version=version)

    async def Fetch(  # noqa: N802
        self, request: catalogue_pb2.FetchRequest, context: _ServicerContext
    ) -> _Responses:
        """Send what brings the caller up to date, with its own grant and nobody else's."""
        try:
            caller = self._caller(context)
            with self._one_of_few(caller):
                while True:
                    pieces, grant = await asyncio.to_thread(self._catalogues.wanted, caller, request)
                    for piece in pieces:
                        yield _head(piece, caller, grant)
                        async for chunk in self._chunks(caller, piece, request.from_chunk):
                            yield catalogue_pb2.FetchResponse(chunk=chunk)
                    if len(pieces) < PAGE:
                        return
                    # Goes on as if it had been asked anew, also where a newer snapshot has come meanwhile.
                    request.held_version, request.from_chunk = pieces[-1].version, 0
        except ElsewhereError as err:
            await context.abort(*to_status(err))

    async def Grant(  # noqa: N802
        self, request: catalogue_pb2.GrantRequest, context: _ServicerContext
    ) -> catalogue_pb2.GrantResponse:
        """Add sealed keys for members that have none, or another key now, and let them know."""
        try:
            caller = self._caller(context)
            added = await to_its_end(self._add_grants(caller, request))
        except ElsewhereError as err:
            _log.warning("grants refused", code=err.code)
            await context.abort(*to_status(err))
        return catalogue_pb2.GrantResponse(added=added)

    async def _chunks(
        self, caller: str, piece: CachedPiece, from_chunk: int
    ) -> AsyncIterator[catalogue_pb2.Chunk]:
        """The chunks of a delta, or of a snapshot from one of them on, while the caller is active."""
        chunks = self._catalogues.chunks(piece, from_chunk if piece.is_snapshot else 0)
        while (found := await asyncio.to_thread(next, chunks, None)) is not None:
            self._directory.check_active(caller)
            index, ciphertext = found
            yield catalogue_pb2.Chunk(index=index, ciphertext=ciphertext)

    async def _add_grants(self, caller: str, request: catalogue_pb2.GrantRequest) -> int:
        """Add grants and show the catalogue to those who can fetch it now; tells how many were new."""
        added, name, version = await asyncio.to_thread(self._catalogues.add_grants, caller, request)
        if added:
            self._directory.show_catalogue(name, version)
        return added

    @contextmanager
    def _one_of_few(self, caller: str) -> Iterator[None]:
        """Count a fetch while it lasts: each has a chunk in memory until its caller reads it.

        A stalled one is not ended, as a server cannot take back what gRPC holds for its caller; it counts as
        long as it takes memory.
        """
        if self._fetching[caller] >= self._most:
            raise FetchesTaken(f"expected at most {self._most} fetches of one agency at once")
        self._fetching[caller] += 1
        try:
            yield
        finally:
            self._fetching[caller] -= 1

    def _caller(self, context: _ServicerContext) -> str:
        """The active member at the other end."""
        agency = agency_of(context)
        self._directory.check_active(agency)
        return agency


def _head(piece: CachedPiece, caller: str, grant: bytes) -> catalogue_pb2.FetchResponse:
    """The head of a piece as one searcher may see it."""
    grants = [catalogue_pb2.KeyGrant(searcher=caller, sealed=grant)] if piece.is_snapshot and grant else []
    return catalogue_pb2.FetchResponse(
        piece=catalogue_pb2.Piece(
            custodian=piece.name.custodian,
            collection=piece.name.collection,
            epoch=piece.name.epoch,
            version=piece.version,
            snapshot_version=piece.snapshot_version,
            chunks=piece.chunks,
            statement=piece.statement,
            grants=grants,
        )
    )


def _name(custodian: str, collection: str, epoch: int) -> CatalogueName:
    """Name a catalogue; what comes from the wire becomes part of a path only in this form."""
    if not re.fullmatch(AGENCY_ID, custodian) or not re.fullmatch(COLLECTION, collection):
        raise PieceRefused("expected an agency id and the name of a collection")
    return CatalogueName(custodian, collection, epoch)


def _grants(grants: Iterable[catalogue_pb2.KeyGrant]) -> dict[str, bytes]:
    """Check grants: few enough, of the one size, one for each searcher."""
    found: dict[str, bytes] = {}
    for count, grant in enumerate(grants, 1):
        if count > MAX_GRANTS or grant.searcher in found or len(grant.sealed) != GRANT_BYTES:
            raise PieceRefused(f"expected at most {MAX_GRANTS} grants of {GRANT_BYTES} bytes, one a searcher")
        if not re.fullmatch(AGENCY_ID, grant.searcher):
            raise PieceRefused("expected each grant to name an agency")
        found[grant.searcher] = grant.sealed
    return found
