"""Records what each party of a federation in this process sees, while real lookups run through it.

The taps stand where bytes cross from one party to another: every message of every call at the gateway,
every frame that arrives at a node, every plaintext that a custodian opens. The product has no switch for it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog

import gateway.attach
import gateway.links
import node.answering.custodian
import node.asking.questions
import node.links.link
import node.program
from elsewhere.asking import Ask
from elsewhere.errors import ElsewhereError
from elsewhere.lookup import EvaluateReply, EvaluateRequest, RedeemReply, RedeemRequest
from elsewhere.oprf import voprf
from elsewhere.question import Question, build_question
from elsewhere.wire import envelope, kinds
from elsewhere.wire.convert import lookup as convert
from elsewhere.wire.convert.link import check_from_gateway, check_from_node
from elsewhere.wire.envelope import Kind, Opened
from elsewhere.wire.v1 import link_pb2
from node.asking.part import Part
from tests.federation import Federation, Lookup, federation
from tests.privacy.operations import Operations

LOOKUP_FRAMES = ("ask", "dispatch", "reply", "outcome", "redeem")
# How much of the deadline is left and since when somebody is away: times, which the gateway knows itself.
_TIMES = ("deadline_ms", "remaining_ms", "since_ms")

_who: ContextVar[str] = ContextVar("who", default="")


@dataclass(frozen=True)
class Frame:
    """One frame of a link, as the gateway heard it from an agency or sent it to one."""

    agency: str
    is_heard: bool
    kind: str
    message: Any

    @property
    def shape(self) -> tuple[Any, ...]:
        """All of it but the bytes, of which only the number stands here, and times."""
        return (self.agency, self.is_heard, self.kind, *_shape(self.message))

    @property
    def untimed(self) -> bytes:
        """The bytes on the wire, without times."""
        copy = type(self.message)()
        copy.CopyFrom(self.message)
        for name in _TIMES:
            if name in copy.DESCRIPTOR.fields_by_name:
                copy.ClearField(name)
        return bytes(copy.SerializeToString())


@dataclass
class Transcript:
    """Everything recorded since it was last cleared."""

    frames: list[Frame] = field(default_factory=list)
    calls: list[tuple[str, bytes]] = field(default_factory=list)  # at the gateway: method and raw message
    arrived: list[tuple[str, Any]] = field(default_factory=list)  # at a node: agency and frame
    opened: list[tuple[str, Kind, bytes]] = field(default_factory=list)  # by a custodian
    questions: list[Question] = field(default_factory=list)
    tags: list[list[bytes]] = field(default_factory=list)  # of each reply that a searcher unblinded
    told: list[tuple[str, EvaluateReply | RedeemReply]] = field(default_factory=list)  # by whom
    log: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    operations: Operations = field(default_factory=Operations)

    def clear(self) -> None:
        """Forget what was recorded."""
        for each in fields(self):
            getattr(self, each.name).clear()

    async def ask(self, made: Federation, ask: Ask, *, searcher: str = "social") -> Lookup:
        """Forget, then ask, to the end: what is recorded then is of this lookup alone."""
        self.clear()
        return await made.ask(searcher, ask)

    @property
    def lookup_frames(self) -> list[Frame]:
        """The frames of lookups, in the order of the gateway's links."""
        return [frame for frame in self.frames if frame.kind in LOOKUP_FRAMES]

    def requests(self, custodian: str) -> list[EvaluateRequest]:
        """The first rounds that a custodian opened."""
        payloads = self._opened_by(custodian, kinds.EVALUATE_REQUEST)
        return [convert.evaluate_request_from_wire(payload) for payload in payloads]

    def redeems(self, custodian: str) -> list[RedeemRequest]:
        """The second rounds that a custodian opened."""
        payloads = self._opened_by(custodian, kinds.REDEEM_REQUEST)
        return [convert.redeem_request_from_wire(payload) for payload in payloads]

    def at_gateway(self) -> Iterator[tuple[str, bytes]]:
        """Everything that the gateway heard, said and logged."""
        for method, raw in self.calls:
            yield f"call {method}", raw
        for frame in self.frames:
            yield f"frame {frame.kind}", frame.message.SerializeToString()
        yield "log", "\n".join(self.log).encode()

    def _opened_by(self, custodian: str, kind: Kind) -> list[bytes]:
        return [payload for agency, of, payload in self.opened if (agency, of) == (custodian, kind)]

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Set all taps; before any node or gateway starts."""
        self._tap_gateway(patch)
        self._tap_nodes(patch)
        self._tap_words(patch)
        self.operations.install(patch)

    def _tap_gateway(self, patch: pytest.MonkeyPatch) -> None:
        make_server, check = grpc.aio.server, check_from_node
        read, next_frame = gateway.attach.LinkService._read, gateway.links.Link.next_frame

        def server(*args: Any, **kwargs: Any) -> grpc.aio.Server:
            kwargs["interceptors"] = [_Raw(self.calls)]
            return make_server(*args, **kwargs)

        async def read_as(service: Any, link: Any, frames: Any) -> None:
            _who.set(link.agency)
            await read(service, link, frames)

        def check_and_keep(frame: link_pb2.AttachRequest) -> None:
            check(frame)
            self._keep(_who.get(), True, frame)

        async def keep_next(link: gateway.links.Link) -> link_pb2.AttachResponse | None:
            frame = await next_frame(link)
            if frame is not None:
                self._keep(link.agency, False, frame)
            return frame

        patch.setattr(grpc.aio, "server", server)
        patch.setattr(gateway.attach.LinkService, "_read", read_as)
        patch.setattr(gateway.attach, "check_from_node", check_and_keep)
        patch.setattr(gateway.links.Link, "next_frame", keep_next)

    def _keep(self, agency: str, is_heard: bool, frame: Any) -> None:
        kind = frame.WhichOneof("frame")
        self.frames.append(Frame(agency, is_heard, kind, getattr(frame, kind)))

    def _tap_nodes(self, patch: pytest.MonkeyPatch) -> None:
        start, check, unwrap = node.program.Node.start, check_from_gateway, envelope.unwrap
        build, unblind = build_question, voprf.unblind_tags
        open_reply, open_answer = Part.open_reply, Part.open_answer

        async def start_as(self_: node.program.Node) -> None:
            _who.set(self_.config.agency)  # its tasks inherit it
            await start(self_)
            self.operations.listen(self_)

        def check_and_keep(frame: link_pb2.AttachResponse) -> None:
            check(frame)
            self.arrived.append((_who.get(), frame))

        def unwrap_and_keep(sealed: bytes, kind: Kind, **place: Any) -> Opened:
            opened = unwrap(sealed, kind, **place)
            self.opened.append((place["context"].receiver, kind, opened.payload))
            return opened

        def build_and_keep(*args: Any) -> Question:
            self.questions.append(build(*args))
            return self.questions[-1]

        def unblind_and_keep(*args: Any) -> list[bytes]:
            self.tags.append(unblind(*args))
            return self.tags[-1]

        def reply_and_keep(part: Part, sealed: bytes) -> EvaluateReply:
            reply = open_reply(part, sealed)
            self.told.append((part.request.custodian, reply))
            return reply

        def answer_and_keep(part: Part, sealed: bytes, now: datetime) -> RedeemReply:
            answer = open_answer(part, sealed, now)
            self.told.append((part.request.custodian, answer))
            return answer

        patch.setattr(Part, "open_reply", reply_and_keep)
        patch.setattr(Part, "open_answer", answer_and_keep)
        patch.setattr(node.program.Node, "start", start_as)
        patch.setattr(node.links.link, "check_from_gateway", check_and_keep)
        patch.setattr(node.answering.custodian, "unwrap", unwrap_and_keep)
        patch.setattr(node.asking.questions, "build_question", build_and_keep)
        patch.setattr(voprf, "unblind_tags", unblind_and_keep)

    def _tap_words(self, patch: pytest.MonkeyPatch) -> None:
        """Log lines of every level, of ours and of the libraries; texts of our errors, raised or not."""

        def keep_event(_logger: Any, method: str, event: Any) -> Any:
            self.log.append(f"{method} {event!r}")
            raise structlog.DropEvent

        def keep_error(error: ElsewhereError, *args: object) -> None:
            Exception.__init__(error, *args)
            self.errors.append(f"{type(error).__name__} {args!r}")

        def keep_record(record: logging.LogRecord) -> bool:
            self.log.append(f"{record.levelname} {record.name} {record.getMessage()}")
            return False

        keeper = logging.NullHandler()
        keeper.handle = keep_record  # type: ignore[method-assign]
        structlog.configure(processors=[structlog.processors.format_exc_info, keep_event])
        patch.setattr(ElsewhereError, "__init__", keep_error)
        patch.setattr(logging.root, "handlers", [keeper])
        logging.root.setLevel(logging.DEBUG)


class _Raw(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in its stubs alone
    """Keeps the bytes of every message of every call, in both directions."""

    def __init__(self, calls: list[tuple[str, bytes]]) -> None:
        self._calls = calls

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler, method = await continuation(details), details.method.rsplit("/", 1)[-1]
        parse, write = handler.request_deserializer, handler.response_serializer

        def parse_and_keep(raw: bytes) -> Any:
            self._calls.append((method, raw))
            return parse(raw)

        def write_and_keep(message: Any) -> bytes:
            raw: bytes = write(message)
            self._calls.append((method, raw))
            return raw

        return handler._replace(request_deserializer=parse_and_keep, response_serializer=write_and_keep)


def _shape(message: Any) -> Iterator[Any]:
    """Every field by name: words and numbers as they are, bytes as their number, times not at all."""
    for described, value in message.ListFields():
        if described.name in _TIMES:
            continue
        if isinstance(value, bytes):
            yield described.name, len(value)
        elif isinstance(value, str | int):
            yield described.name, value
        else:
            yield described.name, tuple(tuple(_shape(each)) for each in value)


@asynccontextmanager
async def tapped(folder: Path) -> AsyncIterator[tuple[Federation, Transcript]]:
    """A federation whose every party is watched; nodes are still to join."""
    level = logging.root.level
    with pytest.MonkeyPatch.context() as patch:
        (tap := Transcript()).install(patch)
        # Between two tests nothing runs, which must not end the links.
        patch.setattr(node.links.link, "MISSED_BEATS", 100)
        patch.setattr(gateway.links, "MISSED_BEATS", 100)
        try:
            async with federation(folder) as made:
                yield made, tap
        finally:
            structlog.reset_defaults()
            logging.root.setLevel(level)
