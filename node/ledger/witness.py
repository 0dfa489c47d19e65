"""The logs of others that this agency watches: each may grow, and nothing else.

Sees:     lengths of others' logs, and salted hashes.
Refuses:  to sign a log that does not begin with what it was when it was seen last.
Promises: what was seen is durable before it is signed, and in one step with the comparison, so that two
          processes never see two different logs. Whatever does not fit is kept, with both checkpoints, in the
          store and in this agency's own log: together they prove it to anybody.
Source:   C2SP tlog-witness, "add-checkpoint"; docs/ledger.md.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog
from sqlalchemy import BigInteger, Connection, delete, insert, literal, select, update
from sqlalchemy.exc import SQLAlchemyError

from elsewhere.clock import to_ms
from elsewhere.errors import ElsewhereError
from elsewhere.transparency.checkpoint import Checkpoint, log_number, log_origin, open_log, stated_in
from elsewhere.transparency.errors import LogShort, ProofBroken
from elsewhere.transparency.merkle import check_consistency
from elsewhere.transparency.note import Verifier, add_lines, cosign, is_by_same, only_by
from elsewhere.transparency.witnesses import witness_name, witnesses_of
from elsewhere.wire.v1 import ledger_pb2, ledger_pb2_grpc
from node.ledger import book
from node.ledger.parts import LedgerParts
from node.ledger.showing import CALL_TIMEOUT_S
from node.links.calls import CallBroke, breaking
from node.store.ledger import watched, witnessed, witnessed_before

FORKED: Final = (
    "log.forked"  # two checkpoints of one length, both signed by the log: they cannot both be true
)
UNPROVEN: Final = (
    "log.unproven"  # a gateway does not prove that one is the other, grown: a fork, or that gateway
)
BEGUN_ANEW: Final = "log.begun_anew"  # the agency shows another log, as after a restore
BEHIND: Final = "log.behind"  # a gateway goes on showing less than was seen before
DRAWABLE_FOR: Final = timedelta(days=60)  # twice as long as a question can be opened
BEHIND_AFTER: Final = timedelta(minutes=10)  # of two gateways one always has a log first

# What is said of a log once, and again only of something worse; what was begun anew is another log.
_WORSE: Final = (BEGUN_ANEW, BEHIND, UNPROVEN, FORKED)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Shown:
    """A log as one gateway shows it; its signature holds."""

    place: tuple[int, str]  # which gateway shows whose
    checkpoint: Checkpoint
    note: str
    is_signed: bool  # by us, already

    @property
    def agency(self) -> str:
        """Whose log it is."""
        return self.place[1]


class Witness:
    """Looks at others' logs on a timer. Of a node's processes the one that leads does it for all."""

    def __init__(self, parts: LedgerParts, every_s: float) -> None:
        self._parts, self._every_s = parts, every_s
        self._told: set[tuple[str, str]] = set()  # agency and code
        self._behind_since: dict[tuple[int, str], datetime] = {}  # by gateway and agency

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            await self.step()

    async def step(self) -> None:
        """Look at every log to be watched, at every gateway that is linked."""
        for place, source in enumerate(self._parts.gateways):
            channel = source()
            if channel is None:
                continue
            stub = ledger_pb2_grpc.LedgerServiceStub(channel)
            try:
                with breaking():
                    found = await stub.Checkpoints(ledger_pb2.CheckpointsRequest(), timeout=CALL_TIMEOUT_S)
            except CallBroke as err:
                _log.warning("logs.not_seen", code=err.code)
                continue
            for log in found.logs:
                await self._look_at(stub, place, log)

    async def _look_at(
        self, stub: ledger_pb2_grpc.LedgerServiceAsyncStub, place: int, log: ledger_pb2.LogCheckpoint
    ) -> None:
        """Look at one log; a mistake or an attack of one is no reason to look at no other."""
        try:
            shown = self._open(place, log)
            if shown is not None:
                await self._compare(stub, shown)
        except CallBroke as err:
            _log.warning("log.not_witnessed", agency=log.agency, code=err.code)
        except (ElsewhereError, SQLAlchemyError) as err:
            code = str(getattr(err, "code", "store.unavailable"))
            if (log.agency, code) not in self._told:
                self._told.add((log.agency, code))
                _log.error("log.not_witnessed", agency=log.agency, code=code)

    def _open(self, place: int, log: ledger_pb2.LogCheckpoint) -> _Shown | None:
        """Check who signed a log's checkpoint; None if it is not ours to watch."""
        parts = self._parts
        roster, me = parts.roster(), parts.agency
        member = roster.member(log.agency)
        if member is None or log.agency == me or me not in witnesses_of(roster, log.agency):
            return None
        own = Verifier(witness_name(roster.federation, me), parts.key().public, is_witness=True)
        origin = log_origin(roster.federation, log.agency)
        seen = open_log(log.note, origin, member.signing_key, [own], earlier=member.earlier_keys)
        if seen.key != member.signing_key:
            return None  # its key was replaced just now, and nothing that another signed is signed here
        bare = only_by(log.note.decode("utf-8"), [Verifier(seen.checkpoint.origin, member.signing_key)])
        return _Shown((place, log.agency), seen.checkpoint, bare, bool(seen.witnesses))

    async def _compare(self, stub: ledger_pb2_grpc.LedgerServiceAsyncStub, shown: _Shown) -> None:
        """Sign a log if it is the one that was seen before, grown."""
        before = await asyncio.to_thread(self._seen, shown.agency)
        if before is not None and shown.checkpoint.origin != before.origin:
            before = await self._follow_begun(shown, before)
        if before is not None and shown.checkpoint.size <= before.size:
            await self._check_older(stub, shown, before)
        if before is not None and shown.checkpoint.size < before.size:
            return
        if before is not None and shown.checkpoint.size > before.size:
            await self._check_grown(stub, before, shown.checkpoint, shown)
        if shown.is_signed:
            return
        roster, key, now_ms = self._parts.roster(), self._parts.key(), to_ms(self._parts.clock())
        name = witness_name(roster.federation, self._parts.agency)
        line = cosign(shown.note, name, key, now_ms // 1000)
        # The comparison holds for what is in the store at this very moment, or nothing is signed.
        line = await self._parts.writer.run(
            partial(_see, shown=shown, before=before, line=line, now_ms=now_ms)
        )
        request = ledger_pb2.CosignRequest(agency=shown.agency, size=shown.checkpoint.size, line=line)
        with breaking():
            await stub.Cosign(request, timeout=CALL_TIMEOUT_S)

    async def _follow_begun(self, shown: _Shown, before: Checkpoint) -> Checkpoint:
        """Take note that an agency has begun another log; gives its first state as what was seen.

        It does so after its store was set back. Whatever the reason, what was in the log before is not to be
        seen any more, so this is said aloud and both checkpoints are kept.

        Raises:
            ProofBroken: it is a log from before.
        """
        first = log_origin(self._parts.roster().federation, shown.agency)
        number = log_number(before.origin, first)
        if log_number(shown.checkpoint.origin, first) < number:
            raise ProofBroken(f"expected the log that {shown.agency} has begun last; it is one from before")
        now = self._parts.clock()
        await self._parts.writer.run(partial(_begin, shown=shown, before=before, number=number, now=now))
        _log.error("log.begun_anew", agency=shown.agency, entries_before=before.size)
        return shown.checkpoint

    async def _check_older(
        self, stub: ledger_pb2_grpc.LedgerServiceAsyncStub, shown: _Shown, before: Checkpoint
    ) -> None:
        """Return if what a gateway shows is what was seen, or an earlier state of it for a short while."""
        if shown.checkpoint.size == before.size:
            if shown.checkpoint.root != before.root:
                await self._keep_aside(shown, FORKED)
            self._behind_since.pop(shown.place, None)
            return
        since = self._behind_since.setdefault(shown.place, self._parts.clock())
        if self._parts.clock() - since >= BEHIND_AFTER:
            await self._keep_aside(shown, BEHIND)
        if shown.checkpoint.size:
            try:
                await self._check_grown(stub, shown.checkpoint, before, shown)
            except CallBroke as err:
                if err.code != LogShort.code:  # it has no more of it, so it cannot prove what follows
                    raise

    async def _check_grown(
        self, stub: ledger_pb2_grpc.LedgerServiceAsyncStub, old: Checkpoint, new: Checkpoint, shown: _Shown
    ) -> None:
        """Return if one state of a log is the other, grown, as the gateway can prove."""
        sizes = {"old_size": old.size, "new_size": new.size}
        with breaking():
            found = await stub.ProveGrowth(
                ledger_pb2.ProveGrowthRequest(agency=shown.agency, **sizes), timeout=CALL_TIMEOUT_S
            )
        try:
            check_consistency(old.size, new.size, old.root, new.root, tuple(found.path))
        except ProofBroken:
            await self._keep_aside(shown, UNPROVEN)

    async def _keep_aside(self, shown: _Shown, what: str) -> None:
        """Keep both checkpoints, and log that; raises ProofBroken, so that this one is not signed."""
        now = self._parts.clock()
        if await self._parts.writer.run(partial(_put_aside, shown=shown, facts=(what, now))):
            _log.error(what, agency=shown.agency, gateway=shown.place[0])
        raise ProofBroken(f"expected the log of {shown.agency} as it was seen, grown; it is another")

    def _seen(self, agency: str) -> Checkpoint | None:
        """What was seen last of a log."""
        with self._parts.store.read() as connection:
            note = connection.execute(
                select(watched.c.note).where(watched.c.agency == agency)
            ).scalar_one_or_none()
        return stated_in(note) if note is not None else None


def _see(connection: Connection, shown: _Shown, before: Checkpoint | None, line: str, now_ms: int) -> str:
    """Note what is about to be signed, if what was compared with is still what was seen last.

    Returns: the line to show; the one shown before, if another gateway had this checkpoint first. Were there
    two, whoever is drawn by them could choose.
    """
    is_it = watched.c.agency == shown.agency
    held = connection.execute(select(watched.c.note).where(is_it)).scalar_one_or_none()
    if (stated_in(held) if held is not None else None) != before:
        raise ProofBroken("expected what was seen of a log to stand still while it was compared; look again")
    if held is None:
        row = {"agency": shown.agency, "note": shown.note, "seen_ms": now_ms}
        connection.execute(insert(watched).values(row))
    else:
        connection.execute(update(watched).where(is_it).values(note=shown.note, seen_ms=now_ms))
    size = shown.checkpoint.size
    is_signed = (witnessed.c.agency == shown.agency) & (witnessed.c.size == size)
    signed = connection.execute(select(witnessed.c.note).where(is_signed)).scalar_one_or_none()
    if signed is not None:
        kept = str(signed).splitlines(keepends=True)[-1]
        # One under a key that we had before helps nobody now; draws are by the one that is kept.
        return kept if is_by_same(kept, line) else line
    note = add_lines(shown.note, [line])
    row = {"agency": shown.agency, "size": size, "at_s": now_ms // 1000, "note": note}
    connection.execute(insert(witnessed).values(row))
    return line


def forget_witnessed(connection: Connection, now: datetime) -> None:
    """Delete signatures by which nothing is drawn any more: what they drew can be opened no longer."""
    for table in (witnessed, witnessed_before):
        connection.execute(delete(table).where(table.c.at_s < to_ms(now - DRAWABLE_FOR) // 1000))


def _begin(connection: Connection, shown: _Shown, before: Checkpoint, number: int, now: datetime) -> None:
    """Watch a log begun anew from now on; the last state of the one before is kept beside it.

    What was signed of that one still draws, or whoever sees its question drawn would begin another log.
    """
    is_it = watched.c.agency == shown.agency
    row = connection.execute(select(watched).where(is_it)).one()
    if stated_in(row.note) != before:
        raise ProofBroken("expected what was seen of a log to stand still while it was compared; look again")
    other = {"other_note": row.note, "other_ms": to_ms(now), "other_event": BEGUN_ANEW}
    values = {"note": shown.note, "seen_ms": to_ms(now), **other}
    connection.execute(update(watched).where(is_it).values(values))
    is_before = witnessed.c.agency == shown.agency
    signed = select(
        witnessed.c.agency,
        literal(number, BigInteger()),
        witnessed.c.size,
        witnessed.c.at_s,
        witnessed.c.note,
    )
    kept = ("agency", "number", "size", "at_s", "note")
    connection.execute(insert(witnessed_before).from_select(kept, signed.where(is_before)))
    connection.execute(delete(witnessed).where(is_before))
    entry = {"agency": shown.agency, "event": BEGUN_ANEW, "seen": row.note, "shown": shown.note}
    book.append(connection, book.make_entry("witness", entry, now))


def _put_aside(connection: Connection, shown: _Shown, facts: tuple[str, datetime]) -> bool:
    """Keep a checkpoint that does not fit, with what it was seen beside, in this agency's log too.

    Returns: whether it is news. Whoever makes such checkpoints may make any number: of each log the first is
    kept, and the first of anything worse.
    """
    what, now = facts
    is_it = watched.c.agency == shown.agency
    row = connection.execute(select(watched).where(is_it)).one()
    if row.other_event is not None and _WORSE.index(what) <= _WORSE.index(row.other_event):
        return False
    values = {"other_note": shown.note, "other_ms": to_ms(now), "other_event": what}
    connection.execute(update(watched).where(is_it).values(values))
    entry = {"agency": shown.agency, "event": what, "seen": row.note, "shown": shown.note}
    by = {"gateway": shown.place[0]} if what == UNPROVEN else {}
    book.append(connection, book.make_entry("witness", {**entry, **by}, now))
    return True
