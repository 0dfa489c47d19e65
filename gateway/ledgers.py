"""The members' logs as the gateway shows them: who may grow which and who may sign it, and proofs for all.

Holds:    for each log its newest checkpoint, with the lines of its witnesses.
Sees:     lengths of logs, salted hashes, and for which entry somebody wants a proof.
Refuses:  a log grown by another than its agency; lines of others than its witnesses.
Promises: what it shows of one log is one line of growth. Members check all of it again: a gateway can
          withhold, but forge neither a checkpoint nor a proof.
Source:   docs/ledger.md; C2SP tlog-witness, whose rules hold here for each witness by itself.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Final

import structlog

from elsewhere.errors import ElsewhereError, FrameMalformed, NotActive
from elsewhere.pace import Pace
from elsewhere.transparency.checkpoint import (
    Checkpoint,
    log_number,
    log_origin,
    open_checkpoint,
    open_log,
    stated_in,
)
from elsewhere.transparency.errors import LogShort, ProofBroken
from elsewhere.transparency.merkle import HASH_BYTES, Proof
from elsewhere.transparency.note import Verifier, add_lines, only_by
from elsewhere.transparency.witnesses import verifiers_of, witness_name, witnesses_of
from elsewhere.wire.channel import agency_of
from elsewhere.wire.status import StatementsTaken, to_status
from elsewhere.wire.v1 import ledger_pb2, ledger_pb2_grpc
from gateway.directory import Directory
from gateway.finishing import to_its_end
from gateway.mirror import MOST_AT_ONCE, Mirror
from gateway.store import LogNotes, Store

if TYPE_CHECKING:
    from elsewhere.wire.v1.ledger_pb2_grpc import _ServicerContext

MAX_LINE: Final = 512  # characters
CALLS, CALL_EVERY_S = 512, 0.05

_log = structlog.get_logger("elsewhere.gateway.ledgers")


class Ledgers:
    """All members' logs. Calls are made on the event loop; files are read and written on threads."""

    def __init__(self, mirror: Mirror, store: Store, directory: Directory) -> None:
        self._mirror, self._store, self._directory = mirror, store, directory
        self._notes = store.log_notes()
        self._growing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._begun: defaultdict[str, int] = defaultdict(
            int
        )  # by agency: the log begun last, since the start

    def shown(self, agency: str = "") -> dict[str, LogNotes]:
        """Give the checkpoints of every log, or of one."""
        if not agency:
            return dict(self._notes)
        return {agency: self._notes[agency]} if agency in self._notes else {}

    async def grow(self, caller: str, request: ledger_pb2.PublishHashesRequest) -> int:
        """Take the next entries' hashes of the caller's own log.

        Returns: how many hashes are held now. Where the request begins elsewhere, nothing was taken.

        Raises:
            FrameMalformed: too many hashes, or of another size.
            NoteInvalid: the checkpoint is not one that the caller has signed.
            ProofBroken: it is not over the log held here, grown.
            LogShort: over other entries than came, or more than the quota.
            StoreUnavailable: nothing was taken.
        """
        hashes = list(request.hashes)
        if len(hashes) > MOST_AT_ONCE or any(len(found) != HASH_BYTES for found in hashes):
            raise FrameMalformed("hashes", f"expected at most {MOST_AT_ONCE} of {HASH_BYTES} bytes")
        async with self._growing[caller]:
            newest = self._newest(caller)
            if not request.checkpoint:
                return await asyncio.to_thread(self._mirror.held, caller, newest)
            first = self._log_of(caller)
            stated = open_log(request.checkpoint, first.name, first.public).checkpoint
            log = Verifier(stated.origin, first.public)
            newest = await self._kept(caller, stated, newest)
            held = await asyncio.to_thread(self._mirror.held, caller, newest)
            if request.start != held:
                return held
            await asyncio.to_thread(self._mirror.append, caller, held, hashes, stated, newest)
            if newest is None or stated.size > newest.size:
                bare = only_by(request.checkpoint.decode("utf-8"), [log])
                witnessed = self._notes[caller].witnessed if newest is not None else ""
                await self._put(caller, LogNotes(bare, witnessed))
            return held + len(hashes)

    async def _kept(self, agency: str, stated: Checkpoint, newest: Checkpoint | None) -> Checkpoint | None:
        """The newest checkpoint of the log that is shown; None where that is begun anew.

        Then the copy of the one before is put aside, and from there on nothing is shown or proven of either
        until the new one is taken: a proof made of both would accuse an honest agency.

        Raises:
            ProofBroken: it is a log from before.
            StoreUnavailable: the copy stays where it is, and the log before is the one shown.
        """
        first = self._log_of(agency).name
        number = log_number(stated.origin, first)
        if number < self._begun[agency] or (newest and number < log_number(newest.origin, first)):
            raise ProofBroken("expected the log that was shown last, grown; it is one from before")
        if newest is None or stated.origin == newest.origin:
            return newest
        await to_its_end(asyncio.to_thread(self._mirror.put_aside, agency, newest.origin))
        self._begun[agency] = number
        del self._notes[agency]
        return None

    async def cosign(self, caller: str, request: ledger_pb2.CosignRequest) -> None:
        """Add a line to the newest checkpoint of another's log.

        Raises:
            NotActive: the caller is not one of that log's witnesses.
            LogShort: there is no such log, or its newest checkpoint is another.
            NoteInvalid: the line is none of the caller's over this checkpoint.
        """
        roster, agency = self._directory.roster, request.agency
        if roster.member(agency) is None or agency not in self._notes:
            raise LogShort("expected a log that is held here")
        if caller not in witnesses_of(roster, agency):
            raise NotActive(caller, "no witness of that log")
        if not 1 <= len(request.line) <= MAX_LINE:
            raise FrameMalformed("line", f"expected 1..{MAX_LINE} characters")
        async with self._growing[agency]:
            notes = self._notes[agency]
            if stated_in(notes.note).size != request.size:
                raise LogShort("expected a line on the newest checkpoint; it is over more entries by now")
            public, verifiers = self._log_of(agency).public, verifiers_of(roster, agency)
            log = Verifier(stated_in(notes.note).origin, public)
            note = add_lines(notes.note, [request.line])
            seen = open_checkpoint(note.encode(), log.name, log.public, verifiers)
            names = {signed.by.name for signed in seen.witnesses}
            if witness_name(roster.federation, caller) not in names:
                raise FrameMalformed("line", "expected the caller's own; it is of another key")
            note = only_by(note, [log, *verifiers])
            is_whole = len(names) == len(verifiers)
            await self._put(agency, LogNotes(note, note if is_whole else notes.witnessed))

    async def prove_growth(self, request: ledger_pb2.ProveGrowthRequest) -> Proof:
        """Prove that a log only grew between two sizes; raises LogShort, StoreUnavailable."""
        newest = self._newest(request.agency)
        sizes = (request.old_size, request.new_size)
        return await asyncio.to_thread(self._mirror.prove_growth, request.agency, *sizes, newest)

    async def prove_entry(self, request: ledger_pb2.ProveEntryRequest) -> Proof:
        """Prove that an entry is in a log at a size; raises LogShort, StoreUnavailable."""
        newest = self._newest(request.agency)
        place = (request.index, request.size)
        return await asyncio.to_thread(self._mirror.prove_entry, request.agency, *place, newest)

    def _newest(self, agency: str) -> Checkpoint | None:
        """The checkpoint that was entered last; None also for a name that is nobody's."""
        notes = self._notes.get(agency)
        return stated_in(notes.note) if notes is not None else None

    def _log_of(self, agency: str) -> Verifier:
        """The name and key of a member's first log."""
        member = self._directory.roster.member(agency)
        if member is None:
            raise NotActive(agency, "unknown")
        return Verifier(log_origin(self._directory.roster.federation, agency), member.signing_key)

    async def _put(self, agency: str, notes: LogNotes) -> None:
        await to_its_end(asyncio.to_thread(self._store.put_log_notes, agency, notes))
        self._notes[agency] = notes


class LedgerService(ledger_pb2_grpc.LedgerServiceServicer):
    """Serves the members' logs to active members."""

    def __init__(self, ledgers: Ledgers, directory: Directory) -> None:
        self._ledgers, self._directory = ledgers, directory
        self._pace = Pace(CALLS, CALL_EVERY_S)

    async def PublishHashes(  # noqa: N802 - the name in ledger.proto
        self, request: ledger_pb2.PublishHashesRequest, context: _ServicerContext
    ) -> ledger_pb2.PublishHashesResponse:
        """Let the caller's own log grow."""
        try:
            held = await to_its_end(self._ledgers.grow(self._caller(context), request))
        except ElsewhereError as err:
            _log.warning("log not taken", agency=agency_of(context), code=err.code)
            await context.abort(*to_status(err))
        return ledger_pb2.PublishHashesResponse(held=held)

    async def Checkpoints(  # noqa: N802
        self, request: ledger_pb2.CheckpointsRequest, context: _ServicerContext
    ) -> ledger_pb2.CheckpointsResponse:
        """Show how long logs are, and who has seen them so."""
        try:
            self._caller(context)
        except ElsewhereError as err:
            await context.abort(*to_status(err))
        return ledger_pb2.CheckpointsResponse(
            logs=[
                ledger_pb2.LogCheckpoint(
                    agency=agency, note=notes.note.encode(), witnessed=notes.witnessed.encode()
                )
                for agency, notes in self._ledgers.shown(request.agency).items()
            ]
        )

    async def Cosign(  # noqa: N802
        self, request: ledger_pb2.CosignRequest, context: _ServicerContext
    ) -> ledger_pb2.CosignResponse:
        """Note that the caller has seen another's checkpoint."""
        try:
            await to_its_end(self._ledgers.cosign(self._caller(context), request))
        except ElsewhereError as err:
            await context.abort(*to_status(err))
        return ledger_pb2.CosignResponse()

    async def ProveGrowth(  # noqa: N802
        self, request: ledger_pb2.ProveGrowthRequest, context: _ServicerContext
    ) -> ledger_pb2.ProveGrowthResponse:
        """Prove that a log only grew."""
        try:
            self._caller(context)
            path = await self._ledgers.prove_growth(request)
        except ElsewhereError as err:
            await context.abort(*to_status(err))
        return ledger_pb2.ProveGrowthResponse(path=path)

    async def ProveEntry(  # noqa: N802
        self, request: ledger_pb2.ProveEntryRequest, context: _ServicerContext
    ) -> ledger_pb2.ProveEntryResponse:
        """Prove that an entry is in a log."""
        try:
            self._caller(context)
            path = await self._ledgers.prove_entry(request)
        except ElsewhereError as err:
            await context.abort(*to_status(err))
        return ledger_pb2.ProveEntryResponse(path=path)

    def _caller(self, context: _ServicerContext) -> str:
        """The active member at the other end, unless it calls all the time."""
        agency = agency_of(context)
        self._directory.check_active(agency)
        if not self._pace.take(agency, asyncio.get_running_loop().time()):
            raise StatementsTaken(f"expected at most {CALLS} calls of {agency} at once")
        return agency
