"""This log as others see it: its hashes go to every gateway, and what its witnesses signed comes back.

Sees:     hashes of entries; no entry.
Refuses:  lines of others than this log's witnesses, or over another log than this one.
Promises: whichever process leads shows what all have appended. A gateway that holds another log than this
          one is told of, loudly: either the store was set back, or that gateway is not what it should be.
Source:   docs/ledger.md.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar

import structlog
from sqlalchemy import Connection, select, update
from sqlalchemy.exc import SQLAlchemyError

from elsewhere.errors import ElsewhereError
from elsewhere.transparency.checkpoint import Seen, log_origin, open_log
from elsewhere.transparency.errors import LogShort, ProofBroken
from elsewhere.transparency.merkle import root_of
from elsewhere.transparency.note import add_lines, only_by
from elsewhere.transparency.witnesses import verifiers_of
from elsewhere.wire.v1 import ledger_pb2, ledger_pb2_grpc
from node.errors import LedgerSetBack
from node.ledger.book import append, make_entry
from node.ledger.checkpoints import newest_size, note_over, sign_newest
from node.ledger.parts import LedgerParts
from node.ledger.tree import StoredTree, read_number
from node.links.calls import CallBroke, breaking
from node.store.ledger import checkpoint

CALL_TIMEOUT_S: Final = 20.0
FIRST_S: Final = 0.5  # until a gateway is looked for again that was never asked
AT_ONCE: Final = 16_384  # hashes in one call
NOWHERE: Final = 2**63  # a place that no log has: nothing is to be taken

_REMEDY: Final = (
    "others have seen another log of this agency. If the store was restored, run 'elsewhere node begin-log'; "
    "if not, somebody has altered it: run 'elsewhere audit verify' and tell your data protection officer"
)
BEGUN: Final = "begun"  # kind of the entry with which a log is shown to be the newest
T = TypeVar("T")
_log = structlog.get_logger(__name__)


class Showing:
    """Signs and shows the log on a timer. Of a node's processes the one that leads does it for all."""

    def __init__(self, parts: LedgerParts, every_s: float) -> None:
        self._parts, self._every_s = parts, every_s
        self._held: dict[int, int] = {}  # by gateway: how many hashes it has, as far as is known
        self._told: dict[int, str] = {}  # by gateway: what is wrong with it, said once
        self._overtaken: int | None = None  # number of the log that others have seen go further
        self._number: int | None = None  # which log of this agency the next two are about
        self._fresh = 0  # length of the log with an entry that was not there before; 0 before it was written
        self._soon = asyncio.Event()  # there is something to show
        self._witnessed = 0  # length at which a witness has signed it, as far as is known here

    async def run(self) -> None:
        """Sign and show again and again until cancelled."""
        while True:
            await self.step()
            # Studies wait for the first link, and then for a witness.
            is_waiting = not self._held or self._witnessed < self._fresh
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(
                    self._soon.wait(), min(FIRST_S, self._every_s) if is_waiting else self._every_s
                )
            self._soon.clear()

    async def step(self) -> None:
        """Sign how long the log is, and show that to every gateway that is linked."""
        parts = self._parts
        try:
            await parts.writer.run(partial(sign_newest, signer=parts.signer(), now=parts.clock()))
            number = await asyncio.to_thread(self._read, read_number)
        except (ElsewhereError, SQLAlchemyError) as err:
            _log.warning("log.not_signed", code=getattr(err, "code", "store.unavailable"))
            return
        if self._number != number:
            self._number, self._fresh, self._witnessed = number, 0, 0
        if self._overtaken != number:
            self._overtaken = None  # begun anew, by people; until then nothing that a gateway says helps
        for place, source in enumerate(parts.gateways):
            channel, code = source(), ""
            if channel is None:
                self._held.pop(place, None)  # what comes back may be another one, or one that lost its disk
                continue
            try:
                await self._show(place, ledger_pb2_grpc.LedgerServiceStub(channel))
            except (CallBroke, ElsewhereError, SQLAlchemyError) as err:
                code = str(getattr(err, "code", "store.unavailable"))
                self._held.pop(place, None)
            self._tell(place, code)
            if code == ProofBroken.code:
                self._overtaken = number
        if not self._held:
            self._fresh = 0  # a machine that is set back as a whole has lost its links, and nothing else

    def check_newest(self) -> None:
        """Return only if this log is the newest there is, as a gateway and a witness say.

        A gateway alone could have a ledger believed that was restored, and with it a second share for one
        query: it would say that it has seen no more. So a witness must have signed the log with an entry in
        it that was written since, and whoever has seen the log go further signs no such thing. A call that
        broke says nothing.

        Raises:
            LedgerSetBack: what was charged for studies since is not known here.
        """
        if self._overtaken is not None:
            raise LedgerSetBack("expected the newest state of this log; others have seen it go further")
        if not self._held:
            raise LedgerSetBack("expected to have compared this log with a gateway's copy; none says now")
        if not self._fresh or self._witnessed < self._fresh:
            raise LedgerSetBack("expected a witness to have signed this log as it is now; none has yet")

    async def is_sure(self) -> bool:
        """Whether it is known by now that this log is the newest there is, or that it is not.

        The first time it writes the entry that a witness is to sign. Its salt is drawn then, so no signature
        from before can be over it.
        """
        if self._overtaken is None and self._held and not self._fresh:
            entry = make_entry(BEGUN, {}, self._parts.clock())
            try:
                self._fresh = (await self._parts.writer.run(partial(append, entry=entry))).index + 1
            except (ElsewhereError, SQLAlchemyError) as err:
                _log.warning("log.not_signed", code=getattr(err, "code", "store.unavailable"))
                return False
            self._soon.set()
        return self._overtaken is not None or 0 < self._fresh <= self._witnessed

    def _tell(self, place: int, code: str) -> None:
        """Say what is wrong with a gateway, or that it is well again, once."""
        if code != self._told.get(place, ""):
            is_other = code in (ProofBroken.code, LogShort.code)
            say = _log.info if not code else _log.error if is_other else _log.warning
            if code == ProofBroken.code:
                say("log.not_shown", gateway=place, code=code, remedy=_REMEDY)
            else:
                say("log.not_shown" if code else "log.shown", gateway=place, code=code or "ok")
            self._told[place] = code

    async def _show(self, place: int, stub: ledger_pb2_grpc.LedgerServiceAsyncStub) -> None:
        """Bring a gateway's copy up to date, then take back what the witnesses have signed."""
        size = await asyncio.to_thread(self._read, newest_size)
        held = self._held.get(place)
        if held is None:
            held = await self._publish(stub, await asyncio.to_thread(self._read, self._question))
        while held < size:
            request = await asyncio.to_thread(
                self._read, partial(self._piece, held, min(held + AT_ONCE, size))
            )
            now = await self._publish(stub, request)
            if now <= held:
                raise LogShort(f"expected a gateway to take hashes from {held} on; it has {now}")
            held = now
        if held > size:
            # Another process of this node may have shown what it appended meanwhile.
            size = await asyncio.to_thread(self._read, newest_size)
        if held > size:
            raise ProofBroken(
                f"expected a gateway's copy of this log to have at most {size} entries; it has {held}"
            )
        self._held[place] = held
        with breaking():
            found = await stub.Checkpoints(
                ledger_pb2.CheckpointsRequest(agency=self._parts.agency), timeout=CALL_TIMEOUT_S
            )
        for log in found.logs:
            if log.agency == self._parts.agency and log.witnessed:
                await self._take(log.witnessed)

    async def _publish(
        self, stub: ledger_pb2_grpc.LedgerServiceAsyncStub, request: ledger_pb2.PublishHashesRequest
    ) -> int:
        with breaking():
            return (await stub.PublishHashes(request, timeout=CALL_TIMEOUT_S)).held

    def _read(self, what: Callable[[Connection], T]) -> T:
        with self._parts.store.read() as connection:
            return what(connection)

    def _piece(self, start: int, stop: int, connection: Connection) -> ledger_pb2.PublishHashesRequest:
        """The hashes from one place to before another, and what is signed over all up to there."""
        tree, signer = StoredTree(connection), self._parts.signer()
        note = note_over(stop, root_of(tree, stop), signer, read_number(connection))
        return ledger_pb2.PublishHashesRequest(
            start=start, hashes=tree.hashes(0, start, stop), checkpoint=note.encode()
        )

    def _question(self, connection: Connection) -> ledger_pb2.PublishHashesRequest:
        """Ask how much a gateway has; what is signed tells it which log it is, if that was begun anew."""
        size, number = newest_size(connection), read_number(connection)
        if not size:
            return ledger_pb2.PublishHashesRequest()
        note = note_over(size, root_of(StoredTree(connection), size), self._parts.signer(), number)
        return ledger_pb2.PublishHashesRequest(start=NOWHERE, checkpoint=note.encode())

    async def _take(self, witnessed: bytes) -> None:
        """Keep the lines of this log's witnesses beside the checkpoint that they are on."""
        signer = self._parts.signer()
        first = log_origin(signer.federation, signer.agency)
        verifiers = verifiers_of(self._parts.roster(), self._parts.agency)
        seen = open_log(witnessed, first, signer.key.public, verifiers, earlier=signer.earlier)
        if seen.witnesses:
            is_newer = seen.checkpoint.size > self._witnessed
            lines = (
                only_by(witnessed.decode("utf-8"), verifiers).rpartition("\n\n")[2].splitlines(keepends=True)
            )
            await self._parts.writer.run(partial(_keep, seen=seen, lines=lines))
            self._witnessed = seen.checkpoint.size if is_newer else self._witnessed


def _keep(connection: Connection, seen: Seen, lines: Sequence[str]) -> None:
    """Put witnesses' lines to a checkpoint of ours; one that we never signed so is none of ours."""
    is_it = checkpoint.c.size == seen.checkpoint.size
    held = connection.execute(select(checkpoint.c.note).where(is_it)).scalar_one_or_none()
    if held is None or not held.startswith(seen.checkpoint.to_text()):
        raise ProofBroken("expected a checkpoint of this log as it was signed; a gateway shows another")
    note = add_lines(held, lines)
    if note != held:
        witnesses = len(seen.witnesses)
        connection.execute(update(checkpoint).where(is_it).values(note=note, witnesses=witnesses))
