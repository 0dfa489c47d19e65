"""The catalogues of the other agencies: held, followed in the background, brought up to date on demand.

Holds:    the newest verified version of each, in memory and encrypted on disk, until its epoch ends or its
          custodian is no longer an active member.
Sees:     nothing about any child: a short tag means nothing without its custodian's live help.
Refuses:  whatever the custodian's signature does not cover; to go back; to hold what is out of force.
Promises: `held` is safe from any thread; a value it gave stays as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import grpc
import structlog

from elsewhere.asking import MemberStatus
from elsewhere.clock import Clock
from elsewhere.errors import ElsewhereError, NotActive, PieceMissing
from elsewhere.lookup import Head
from elsewhere.random import RandomBytes
from elsewhere.sealing import SealingKey
from elsewhere.wire.v1 import catalogue_pb2, catalogue_pb2_grpc, directory_pb2
from node.caseload.shields import INVOLVEMENT, PROTECTED
from node.catalogues.calls import Channels, from_any
from node.catalogues.copies import Copies
from node.catalogues.holding import MAX_TAGS, CatalogueName, Held, Intake, Reader, Superseded
from node.catalogues.peer_files import PeerFiles
from node.catalogues.peer_status import is_all_askable, member_statuses
from node.catalogues.room import Room
from node.errors import CatalogueDiverged, CatalogueNoRoom, CatalogueStale
from node.links.calls import CallBroke, breaking
from node.membership.trust import Trust

SILENCE_S = 10.0  # of a gateway in the middle of a fetch
ATTEMPTS = 10  # of one fetch that breaks off and is resumed
AT_ONCE = 4  # fetches in the background
MAX_HELD_TAGS = 4 * MAX_TAGS  # of all catalogues together
COLLECTIONS = frozenset({INVOLVEMENT, PROTECTED})  # no question is asked in any other
RETRY_S = 5.0  # between attempts at what is announced and could not be fetched

T = TypeVar("T")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PeersParts:
    """What `Peers` is made with."""

    folder: Path  # made if it is not there
    local: bytes = field(repr=False)  # the key of files at rest
    sealing: Callable[[], Sequence[SealingKey]] = field(repr=False)  # newest first, as they are now
    trust: Trust
    channels: Channels  # of the linked gateways, the best first
    executor: Executor
    clock: Clock
    random: RandomBytes
    max_tags: int = MAX_TAGS
    max_held_tags: int = MAX_HELD_TAGS
    silence_s: float = SILENCE_S
    retry_s: float = RETRY_S


class Peers:
    """Copies of all catalogues this agency may test against. All calls on the event loop but `held`."""

    def __init__(self, parts: PeersParts) -> None:
        self._parts = parts
        parts.folder.mkdir(mode=0o700, exist_ok=True)
        self._room = Room(parts.max_held_tags, partial(_count_others, parts.trust))
        self._copies = Copies(PeerFiles(parts.folder, parts.local, parts.random), self._room)
        self._announced: dict[CatalogueName, int] = {}
        self._too_big: dict[CatalogueName, int] = {}  # the announced version that there was no room for
        self._fetches: dict[CatalogueName, asyncio.Task[None]] = {}
        self._background: dict[CatalogueName, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._was_told = False

    async def open(self) -> None:
        """Take up what an earlier run kept, verified again; what fails is dropped and fetched anew."""
        for name in await self._call(self._copies.kept):
            await self._call(self._copies.take_up, name, self._reader(name))

    async def run(self) -> None:
        """Until cancelled: drop what has run out, and try again what could not be fetched."""
        try:
            while True:
                self.prune()
                for name in self._announced:
                    self._begin_to_follow(name)
                await asyncio.sleep(self._parts.retry_s)
        finally:
            await self.close()

    async def close(self) -> None:
        """End all fetches."""
        tasks = [*self._background.values(), *self._fetches.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def is_held(self, name: CatalogueName) -> bool:
        """Tell whether there is a copy."""
        return self._copies.held(name) is not None

    def held(self, custodian: str, collection: str, epoch: int) -> Held | None:
        """Give the copy held now; None if there is none."""
        return self._copies.held(CatalogueName(custodian, collection, epoch))

    async def ensure(
        self, custodian: str, collection: str, epoch: int, head: Head, *, timeout_s: float
    ) -> Held:
        """Give a copy that is at least at the version a custodian states.

        Args:
            custodian: agency id.
            collection: such as "involvement".
            epoch: of the key that the question was evaluated with.
            head: as the custodian stated it in its signed answer.
            timeout_s: the fetch itself goes on beyond it, for the next question.

        Raises:
            CatalogueStale: it could not be had in time.
            CatalogueDiverged: it still has another root than the custodian states, or that has gone back.
        """
        name = CatalogueName(custodian, collection, epoch)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._bring_up(name, head)
        except TimeoutError:
            raise CatalogueStale(f"expected version {head.version} within {timeout_s:g} s") from None

    def fetch_behind(self, custodian: str, heads: Iterable[tuple[str, int, Head]]) -> None:
        """Begin to fetch all of a custodian's catalogues if any copy is behind what it states, else none.

        A fetch in the middle of a lookup must not tell the gateway which collection was asked, and so what
        kind of purpose it was asked for, whichever notices it withheld before.

        Args:
            custodian: agency id.
            heads: collection, epoch and head of each, as the custodian stated them in its signed answer.
        """
        names = {CatalogueName(custodian, collection, epoch): head for collection, epoch, head in heads}
        if any(self._copies.version(name) < head.version for name, head in names.items()):
            for name in sorted(names):
                if self._reader(name) is not None:
                    self._fetching(name)

    def take_notices(self, notices: Iterable[directory_pb2.CatalogueNotice]) -> None:
        """Begin to fetch what a gateway says is newer; drop what may be held no longer.

        Call it again after `Trust` has taken a Directory: what no statement names is passed over.
        """
        self.prune()
        self._was_told = True
        for notice in notices:
            name = CatalogueName(notice.custodian, notice.collection, notice.epoch)
            # Only what a signed key statement names: a gateway cannot make this node keep anything else.
            if self._reader(name) is None:
                continue
            self._announced[name] = notice.version
            self._begin_to_follow(name)

    def may_hold(self, name: CatalogueName) -> bool:
        """Tell whether its key is in force and its custodian an active member. Any thread may call it."""
        return self._reader(name) is not None

    def prune(self) -> None:
        """Drop the copies whose key has run out or is gone, and those of agencies no longer active."""
        for name in {*self._copies.names(), *self._announced}:
            if self._reader(name) is None:
                self._announced.pop(name, None)
                asyncio.get_running_loop().run_in_executor(self._parts.executor, self._drop(name))

    def ready(self, now: datetime) -> bool:
        """Tell whether of all collections that a gateway announces an epoch is held under which to ask."""
        announced = filter(self._reader, self._announced)
        return self._was_told and is_all_askable(self._parts.trust, announced, now, self.is_held)

    def status(self, now: datetime) -> tuple[MemberStatus, ...]:
        """Say of each other active member what is held; nothing on a roster that has run out."""
        return member_statuses(self._parts.trust, now, self._copies.version)

    async def _bring_up(self, name: CatalogueName, head: Head) -> Held:
        """Fetch until the copy is at least at this version, or the gateway has nothing newer."""
        has_diverged = False
        while True:
            held = self._copies.held(name)
            if held is not None and held.head.version >= head.version:
                held.check_stated(head, self._parts.clock())
                if held.head.version > head.version or not head.version or held.head.root == head.root:
                    return held
                _log.error("catalogue.diverged", custodian=name.custodian, version=head.version)
                if has_diverged:
                    raise CatalogueDiverged(f"expected the root of version {head.version} as stated")
                has_diverged = True
                await self._call(self._drop(name))
            before = self._copies.version(name)
            await self._fetch(name)
            if self._copies.version(name) <= before:
                raise CatalogueStale(f"expected version {head.version}; the gateway has none above {before}")

    def _begin_to_follow(self, name: CatalogueName) -> None:
        """Fetch a catalogue in the background, unless what is announced is held, on its way or too big."""
        announced = self._announced[name]
        if self._too_big.get(name) == announced:
            return  # until another version is announced or another copy dropped
        if self._copies.version(name) < announced and name not in self._background:
            self._background[name] = asyncio.create_task(self._follow(name))

    async def _follow(self, name: CatalogueName) -> None:
        """Fetch in the background what is announced, few at once."""
        before = -1
        try:
            async with self._slots:
                while before < self._copies.version(name) < self._announced.get(name, 0):
                    before = self._copies.version(name)
                    await self._fetch(name)
        except CatalogueStale:
            pass  # told by `_run_fetch`; `run` begins again
        finally:
            self._background.pop(name, None)

    async def _fetch(self, name: CatalogueName) -> None:
        """Wait for the one fetch of this catalogue; whoever stops waiting does not stop it."""
        task = self._fetching(name)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise CatalogueStale("expected the fetch to go on; the copy was dropped") from None
            raise
        finally:
            del task  # its error holds this frame, and so what had come: together until a collector comes by

    def _fetching(self, name: CatalogueName) -> asyncio.Task[None]:
        """Give the one fetch of this catalogue, begun now unless it is under way."""
        task = self._fetches.get(name)
        if task is None:
            fetch, version = partial(self._run_fetch, name), partial(self._copies.version, name)
            task = self._fetches[name] = asyncio.create_task(from_any(self._parts.channels, fetch, version))

            def forget(done: asyncio.Task[None]) -> None:
                if self._fetches.get(name) is done:
                    del self._fetches[name]
                if not done.cancelled():
                    done.exception()  # seen, also when everybody has stopped waiting

            task.add_done_callback(forget)
        return task

    async def _run_fetch(self, name: CatalogueName, channel: grpc.aio.Channel) -> None:
        """Fetch what is newer; resume where a stream breaks off, as long as each one brings something."""
        for _ in range(ATTEMPTS):
            if (reader := self._reader(name)) is None:
                raise CatalogueStale("expected a custodian whose key is in force; there is none")
            intake = self._copies.intake(name, reader)
            before = intake.progress
            try:
                await self._stream(name, intake, channel)
                return
            except Superseded:
                continue
            except CallBroke as err:
                if err.code != PieceMissing.code:  # not published yet, as when somebody joins: no news
                    _log.warning("catalogue.fetch_broke", custodian=name.custodian, code=err.code)
                is_superseded = err.code == PieceMissing.code and intake.give_up()
                if not is_superseded and intake.progress <= before:
                    raise CatalogueStale("expected the gateway to send what is newer; it did not") from None
            except ElsewhereError as err:
                if isinstance(err, CatalogueNoRoom):
                    self._too_big[name] = self._announced.get(name, 0)
                # A gateway or custodian that sends what does not hold up is a matter for people.
                _log.error("catalogue.refused", custodian=name.custodian, code=err.code)
                raise CatalogueStale("expected what the custodian published; the gateway sent else") from err
        raise CatalogueStale(f"expected a whole catalogue in {ATTEMPTS} attempts")

    async def _stream(self, name: CatalogueName, intake: Intake, channel: grpc.aio.Channel) -> None:
        """Take one stream to its end; each version is held as soon as it is complete."""
        intake.begin()
        version = intake.held.statement.version if intake.held is not None else 0
        request = catalogue_pb2.FetchRequest(
            custodian=name.custodian,
            collection=name.collection,
            epoch=name.epoch,
            held_version=version,
            from_chunk=intake.resume_at,
        )
        with breaking():
            call = catalogue_pb2_grpc.CatalogueServiceStub(channel).Fetch(request)
        try:
            while True:
                with breaking():
                    message = await asyncio.wait_for(call.read(), self._parts.silence_s)
                if not isinstance(message, catalogue_pb2.FetchResponse):
                    return  # gRPC's mark for the end of the stream
                taken = await self._call(self._copies.take, name, intake, message)
                if taken is not None:
                    self._copies.hold(name, intake, taken)
        finally:
            call.cancel()

    def _drop(self, name: CatalogueName) -> Callable[[], None]:
        """Forget a copy at once, and end its fetch; gives the work that removes its files."""
        self._too_big.clear()
        if (task := self._fetches.pop(name, None)) is not None:
            task.cancel()
        return self._copies.drop(name)

    def _reader(self, name: CatalogueName) -> Reader | None:
        """Say how to read a catalogue; None unless its custodian is active and states a key for it in force.

        None also for a collection in which nothing is asked: memory is not for whatever a member makes up.
        That the roster has run out is no reason to drop anything: whoever asks finds that out.
        """
        parts, trust = self._parts, self._parts.trust
        statement = trust.statements.get(name.custodian)
        entry = statement.oprf_key(name.collection, name.epoch) if statement is not None else None
        if entry is None or name.custodian == trust.me or name.collection not in COLLECTIONS:
            return None
        if parts.clock() >= entry.valid_until_utc:
            return None
        try:
            member = trust.roster.active(name.custodian)
        except NotActive:
            return None
        take_room = partial(self._room.take, name)
        return Reader(name, member.signing_key, trust.me, parts.sealing(), parts.max_tags, take_room)

    async def _call(self, work: Callable[..., T], *given: object) -> T:
        """Run work that blocks off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._parts.executor, work, *given)


def _count_others(trust: Trust) -> int:
    """How many custodians there may be: the active members but this agency."""
    return sum(member.agency_id != trust.me for member in trust.roster.active_members())
