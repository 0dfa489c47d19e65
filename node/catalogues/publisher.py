"""Publishing: one version of every own catalogue a tick, to every gateway, with its key for every member.

Holds:    nothing but what `node.catalogues.own` made durable before.
Sees:     which version each gateway has taken, and to which sealing keys each snapshot's key went.
Promises: while a gateway listens, exactly one delta a tick of one constant size, whether or not anything is
          new; a member that is no longer in force has no key to what is published from the next tick on.
          Of a node's processes one publishes, and what all of them state of its catalogues is what it wrote.

A gateway says in its notices what it has; its word decides only what it is sent. What it can show beside,
signed by this node, tells that the store was set back.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from elsewhere.catalogue.sealed import seal_snapshot
from elsewhere.errors import ElsewhereError, PieceRefused
from elsewhere.lookup import Head
from elsewhere.statement import SealingKeyEntry
from elsewhere.wire.channel import MAX_GRANTS
from elsewhere.wire.v1 import catalogue_pb2, catalogue_pb2_grpc, directory_pb2
from node.catalogues.ended import drop_others
from node.catalogues.grants import in_force, recipients, seal_grants
from node.catalogues.own import OwnCatalogue, OwnParts, OwnState
from node.catalogues.ownfile import OwnPiece
from node.catalogues.shown import shows_another
from node.catalogues.standing import Name, Standing
from node.catalogues.takers import ChannelSource, Taker
from node.catalogues.times import CALL_TIMEOUT_S, patience_s
from node.links.calls import CallBroke, breaking
from node.membership.trust import Trust

CHUNK_TIMEOUT_S = 5.0  # more for each chunk of a snapshot
REFUSED_BEFORE_RENEWAL = 2  # versions; each is offered again and again until the next one is made
RETRY_FIRST_S = 0.5  # before a gateway is offered again what it did not take; twice as long each time
STATE_EVERY_S = 1.0  # at the latest, what is stated follows what has waited too long

T = TypeVar("T")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PublisherParts:
    """What a publisher is made with."""

    own: OwnParts
    names: Callable[[], Sequence[Name]]  # the collections and epochs that are stated now
    trust: Trust
    gateways: Sequence[ChannelSource]  # for each gateway, its channel while it is linked
    executor: Executor
    tick_s: float
    set_back: Callable[[], None]  # withdraws what was stated: the store is older than what was published
    now_s: Callable[[], float] = time.monotonic


class Publisher:
    """Publishes this agency's catalogues while its process leads."""

    def __init__(self, parts: PublisherParts) -> None:
        self._parts = parts
        self._own: list[OwnCatalogue] = []  # of this term
        self._gateways = [Taker(source) for source in parts.gateways]
        self._closing, self._soon = asyncio.Event(), asyncio.Event()
        self._standing = self._new_standing()
        self._stating = asyncio.Lock()
        self._told_late: set[Name] = set()
        self._not_made: set[Name] = set()  # since a version could be made

    async def run(self) -> None:
        """Publish every tick until `close`; cancelled when the term is over."""
        await self.open()
        async with asyncio.TaskGroup() as tasks:
            servers = [tasks.create_task(self._serve(gateway)) for gateway in self._gateways]
            servers.append(tasks.create_task(self._keep_stating()))
            loop = asyncio.get_running_loop()
            due = loop.time()
            while not self._closing.is_set():
                await self.make()
                due = max(due + self._parts.tick_s, loop.time())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._soon.wait(), due - loop.time())
                self._soon.clear()
            for server in servers:
                server.cancel()

    def close(self) -> None:
        """Publish no more."""
        self._closing.set()
        self._soon.set()

    def make_soon(self) -> None:
        """Make the next versions now: a key was replaced that they are signed with."""
        self._soon.set()

    async def open(self) -> None:
        """Begin a term: take up what the one before published, forget the catalogues of keys that are gone.

        Raises:
            LeadLost, LogUnavailable, OSError: it has not begun.
        """
        self._parts.own.folder.mkdir(mode=0o700, exist_ok=True)
        self._own, self._standing, self._not_made = [], self._new_standing(), set()
        await self._follow(self._parts.names())
        for gateway in self._gateways:
            gateway.forget()

    async def make(self) -> None:
        """Make one version of each catalogue, if it has none yet or a gateway listens; have it sent."""
        if set(names := self._parts.names()) != {own.name for own in self._own}:
            try:
                await self._follow(names)
            except (ElsewhereError, OSError, SQLAlchemyError) as err:
                _log.error("catalogue.not_followed", code=str(getattr(err, "code", "store.unavailable")))
        listens = any(gateway.live is not None for gateway in self._gateways)
        for own in self._own:
            if own.state is not None and not listens and not own.is_outdated:
                continue
            if own.state is not None and own.state.granted.keys() - in_force(self._parts.trust):
                own.renew()  # who has left must not read on
            try:
                await self._call(own.step)
                self._not_made.discard(own.name)
            except (ElsewhereError, OSError, SQLAlchemyError) as err:
                code = getattr(err, "code", "store.unavailable")
                self._not_made.add(own.name)
                _log.error("catalogue.not_made", collection=own.collection, epoch=own.epoch, code=str(code))
            if own.state is not None:
                self._standing.made(own.name, own.state.pieces[-1].head)
        await self.state()
        for gateway in self._gateways:
            gateway.wake.set()
        late = self._standing.late() if listens else set()
        for collection, epoch in sorted(late - self._told_late):
            # Whoever asks is told STALE from now on: no gateway takes what they need.
            _log.error("catalogue.not_taken", collection=collection, epoch=epoch)
        self._told_late = late

    def take_notices(self, gateway: int, notices: Iterable[directory_pb2.CatalogueNotice]) -> None:
        """Hear from a gateway what it has of ours. Who may be given keys may have changed too.

        Args:
            gateway: its place in `PublisherParts.gateways`.
            notices: all that came over this channel. Nothing is sent over one before its first.
        """
        found = self._gateways[gateway]
        channel = found.source()
        if channel is not found.channel:
            found.channel = channel
            found.forget()
        mine = [notice for notice in notices if notice.custodian == self._parts.own.agency]
        found.hints = {(notice.collection, notice.epoch): notice.version for notice in mine}
        found.wake.set()

    def head(self, collection: str, epoch: int) -> Head:
        """Give what this process had stated: the newest version that a gateway has, or, once it has waited
        too long, the newest there is. Version 0 before there is any, and in a process that never led.
        """
        return next((own.stated for own in self._own if own.name == (collection, epoch)), Head(0))

    async def state(self) -> None:
        """Have all processes state what is to be stated now."""
        async with self._stating:
            for own in self._own:
                head = self._standing.head(own.name)
                if head.version <= own.stated.version:
                    continue
                try:
                    await self._call(own.note_stated, head)
                except (ElsewhereError, SQLAlchemyError) as err:
                    code = getattr(err, "code", "store.unavailable")
                    _log.error("catalogue.not_stated", collection=own.collection, code=str(code))

    async def _keep_stating(self) -> None:
        """State what has come to be late, also between two ticks."""
        while True:
            await asyncio.sleep(STATE_EVERY_S)
            await self.state()

    @property
    def is_current(self) -> bool:
        """Whether versions can be made, and none has waited too long for a gateway to take it."""
        return not self._not_made and not self._standing.late()

    async def send(self) -> None:
        """Bring every linked gateway up to date now."""
        for gateway in self._gateways:
            await self._send_to(gateway)

    async def _follow(self, names: Sequence[Name]) -> None:
        """Publish the catalogues of these keys from now on, and forget those of keys that are gone."""
        await self._call(drop_others, self._parts.own, set(names))
        held = {own.name: own for own in self._own}
        for name in held.keys() - set(names):
            self._standing.forget(name)
        for name in names:
            if name not in held:
                own = held[name] = OwnCatalogue(self._parts.own, *name)
                await self._call(own.open)
                newest = own.state.pieces[-1].head if own.state is not None else own.stated
                self._standing.begin(name, newest, own.stated)
        self._own = [held[name] for name in names]

    async def _serve(self, gateway: Taker) -> None:
        """Send to one gateway whenever there is something to send, and again what it did not take."""
        pause_s: float | None = None
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(gateway.wake.wait(), pause_s)
            gateway.wake.clear()
            if await self._send_to(gateway):
                pause_s = None
            else:
                pause_s = min(RETRY_FIRST_S if pause_s is None else 2 * pause_s, CALL_TIMEOUT_S)

    async def _send_to(self, gateway: Taker) -> bool:
        """Bring one gateway up to date, one publication at a time; False if it is linked and is not."""
        async with gateway.lock:
            channel, is_done = gateway.live, True
            if channel is None:
                return True  # its next notices begin anew
            stub = catalogue_pb2_grpc.CatalogueServiceStub(channel)
            for own in self._own:
                if own.name not in self._parts.names():
                    continue  # its key has ended: the gateway would refuse every piece
                try:
                    is_done &= await self._bring_up(gateway, stub, own)
                except CallBroke as err:
                    is_done = False
                    _log.warning("catalogue.not_taken", collection=own.collection, code=err.code)
                except (ElsewhereError, OSError, SQLAlchemyError) as err:
                    is_done = False
                    _log.error("catalogue.not_sent", collection=own.collection, kind=type(err).__name__)
            await self.state()
            return is_done

    async def _bring_up(
        self, gateway: Taker, stub: catalogue_pb2_grpc.CatalogueServiceAsyncStub, own: OwnCatalogue
    ) -> bool:
        """Send the versions that a gateway lacks of one catalogue, then the grants; False if it refuses."""
        known = gateway.heads.get(own.name)
        version = known.version if known is not None else gateway.hints.get(own.name, 0)
        if known is None and version and await shows_another(stub, own, version):
            # A version must not get a second content, and of what is in the lost one nothing would be found.
            _log.error("catalogue.behind", collection=own.collection, epoch=own.epoch)
            await self._call(self._parts.set_back)
            return True
        state = own.state
        if state is None:
            return True
        if version > state.newest.version:
            version = 0  # its word alone; it is offered everything
        if version == state.newest.version:
            self._note_head(gateway, own, state.pieces[-1])
        # A gateway that lacks more than it said, or has forgotten, is offered everything.
        elif not (
            await self._send_after(gateway, stub, own, state, version)
            or (version and await self._send_after(gateway, stub, own, state, 0))
        ):
            refused = gateway.refused.setdefault(own.name, set())
            refused.add(state.newest.version)
            if len(refused) >= REFUSED_BEFORE_RENEWAL:
                own.renew()
            return False
        gateway.refused.pop(own.name, None)
        await self._grant(gateway, stub, own, state)
        return True

    async def _send_after(
        self,
        gateway: Taker,
        stub: catalogue_pb2_grpc.CatalogueServiceAsyncStub,
        own: OwnCatalogue,
        state: OwnState,
        version: int,
    ) -> bool:
        """Send every piece above a version in order; True if the gateway now has the last."""
        has_last = False
        for piece in state.pieces:
            if piece.statement.version <= version:
                continue
            try:
                await self._send_piece(gateway, stub, own, state, piece)
                has_last = True
            except CallBroke as err:
                if err.code != PieceRefused.code:
                    raise
                has_last = False
                if version:
                    break  # each piece builds on the one before, so the rest would be refused too
        return has_last

    async def _send_piece(
        self,
        gateway: Taker,
        stub: catalogue_pb2_grpc.CatalogueServiceAsyncStub,
        own: OwnCatalogue,
        state: OwnState,
        piece: OwnPiece,
    ) -> None:
        """Send one version, a snapshot with its grants; note it once the gateway says that it is cached."""
        told, wanted = piece.statement, {}
        head = catalogue_pb2.Piece(
            custodian=told.custodian,
            collection=told.collection,
            epoch=told.epoch,
            version=told.version,
            snapshot_version=told.snapshot_version,
            chunks=told.chunks,
            statement=piece.envelope,
        )
        if told.is_snapshot:
            listed = recipients(self._parts.trust, self._parts.own.clock())
            wanted = dict(list(listed.items())[:MAX_GRANTS])
            head.grants.extend(await self._seal(own, state, wanted))
        with breaking():
            answer = await stub.Publish(
                self._messages(head, state, piece), timeout=CALL_TIMEOUT_S + told.chunks * CHUNK_TIMEOUT_S
            )
        if answer.version != told.version:
            raise PieceRefused("expected the gateway to name the version it was sent")
        self._note_head(gateway, own, piece)
        if told.is_snapshot:
            gateway.note_granted(own.name, told.version, wanted)

    async def _messages(
        self, head: catalogue_pb2.Piece, state: OwnState, piece: OwnPiece
    ) -> AsyncIterator[catalogue_pb2.PublishRequest]:
        """Give a piece and its chunks; a snapshot is encrypted as it goes, to the same bytes each time."""
        yield catalogue_pb2.PublishRequest(piece=head)
        if not piece.statement.is_snapshot:
            yield catalogue_pb2.PublishRequest(
                chunk=catalogue_pb2.Chunk(index=0, ciphertext=piece.ciphertext)
            )
            return
        chunks = seal_snapshot(state.catalogue.base, state.key, piece.statement.which)
        index = 0
        while (ciphertext := await self._call(next, chunks, None)) is not None:
            chunk = catalogue_pb2.Chunk(index=index, ciphertext=ciphertext)
            yield catalogue_pb2.PublishRequest(chunk=chunk)
            index += 1

    async def _grant(
        self,
        gateway: Taker,
        stub: catalogue_pb2_grpc.CatalogueServiceAsyncStub,
        own: OwnCatalogue,
        state: OwnState,
    ) -> None:
        """Seal the snapshot's key to members that have no grant at this gateway, or have another key now."""
        version = state.newest.snapshot_version
        snapshot, given = gateway.granted.get(own.name, (0, {}))
        given = given if snapshot == version else {}
        listed = recipients(self._parts.trust, self._parts.own.clock())
        missing = {agency: entry for agency, entry in listed.items() if given.get(agency) != entry.key_id}
        for start in range(0, len(missing), MAX_GRANTS):
            batch = dict(list(missing.items())[start : start + MAX_GRANTS])
            request = catalogue_pb2.GrantRequest(
                collection=own.collection, epoch=own.epoch, snapshot_version=version
            )
            request.grants.extend(await self._seal(own, state, batch))
            with breaking():
                await stub.Grant(request, timeout=CALL_TIMEOUT_S)
            gateway.note_granted(own.name, version, batch)

    async def _seal(
        self, own: OwnCatalogue, state: OwnState, to: dict[str, SealingKeyEntry]
    ) -> list[catalogue_pb2.KeyGrant]:
        """Seal a snapshot's key to members, once it is durable that they may have it from now on."""
        ids = {agency: entry.key_id for agency, entry in to.items()}
        if any(state.granted.get(agency) != key for agency, key in ids.items()):
            await self._call(own.note_granted, ids, state.newest.snapshot_version)
        return await self._call(seal_grants, state.key, state.pieces[0].statement.which, to)

    def _note_head(self, gateway: Taker, own: OwnCatalogue, piece: OwnPiece) -> None:
        """Note what a gateway has; what all that listen have is what can be fetched."""
        gateway.heads[own.name] = piece.head
        live = [other.heads for other in self._gateways if other.live is not None]
        known = [heads[own.name] for heads in live if own.name in heads]
        self._standing.taken(own.name, min(known, key=lambda head: head.version, default=piece.head))

    def _new_standing(self) -> Standing:
        return Standing(patience_s(self._parts.tick_s), self._parts.now_s)

    async def _call(self, work: Callable[..., T], *given: object) -> T:
        """Run work that blocks off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._parts.executor, work, *given)
