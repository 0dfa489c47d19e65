"""Ways to break a federation on purpose: hold a node's hand, put the gateway in other hands, count."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from secrets import token_bytes
from typing import Any

import pytest
from sqlalchemy import func, select

from elsewhere.asking import Coverage, CustodianAnswer, Started, State
from elsewhere.lookup import Head
from elsewhere.wire.v1 import link_pb2
from gateway.agreed import TEXT_FILE
from gateway.links import Link as GatewayLink
from gateway.lookups import Lookups
from node.asking.part import Part
from node.program import Node
from node.store.exchange import log, question
from tests import partnership
from tests.federation import ZOE, Federation, Lookup, ask_about

Down = Callable[[str, link_pb2.AttachResponse], Iterable[link_pb2.AttachResponse]]
Up = Callable[[str, link_pb2.Reply], Iterable[tuple[str, link_pb2.Reply]]]
_asker = count()
_BEAT_S = 0.02


def somebody(**changes: Any) -> Any:
    """A question about Zofia by somebody who has not asked yet, so that no limit of a person is met."""
    row = changes.pop("row", ZOE)
    return ask_about(row, asker=f"worker-{next(_asker)}", **changes)


class Hold:
    """Keeps a node from answering one round: before it works on it, or once its reply is ready."""

    def __init__(self, node: Node, round_: int, *, after: bool = False, by_every_link: bool = False) -> None:
        self.reached, self.release, self.passed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        held = node.links if by_every_link else node.links[:1]
        self._before = {link: link._parts for link in held}
        handle = node.links[0]._parts.handle

        async def slow(dispatch: link_pb2.Dispatch) -> link_pb2.Reply | None:
            if dispatch.round != round_:
                return await handle(dispatch)
            reply = await handle(dispatch) if after else None
            self.reached.set()
            await self.release.wait()
            reply = reply if after else await handle(dispatch)
            self.passed.set()
            return reply

        for link, parts in self._before.items():
            link._parts = replace(parts, handle=slow)

    def end(self) -> None:
        """Let go of what is held and hold nothing any more."""
        self.release.set()
        for link, parts in self._before.items():
            link._parts = parts


class Relay:
    """A gateway in other hands: what it passes on, repeats, alters or keeps back is up to a test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.down: Down = lambda agency, frame: (frame,)
        self.up: Up = lambda agency, reply: ((agency, reply),)
        self.sent: list[tuple[str, link_pb2.AttachResponse]] = []
        self.replies: list[tuple[str, link_pb2.Reply]] = []
        put, reply = GatewayLink._put, Lookups.reply

        def put_what_it_likes(link: GatewayLink, frame: link_pb2.AttachResponse) -> None:
            self.sent.append((link.agency, frame))
            for passed in self.down(link.agency, frame):
                put(link, passed)

        def take_what_it_likes(lookups: Lookups, custodian: str, said: link_pb2.Reply) -> None:
            self.replies.append((custodian, said))
            for agency, passed in self.up(custodian, said):
                reply(lookups, agency, passed)

        monkeypatch.setattr(GatewayLink, "_put", put_what_it_likes)
        monkeypatch.setattr(Lookups, "reply", take_what_it_likes)

    async def hand(self, made: Federation, frame: link_pb2.AttachResponse) -> link_pb2.Reply:
        """Hand a dispatch to the police, as a gateway could at any time, and take what comes back."""
        assert made.gateway is not None
        link = made.gateway.links.get("police")
        assert link is not None
        link.send(frame)

        def said() -> list[link_pb2.Reply]:
            return [reply for _, reply in self.replies if reply.route == frame.dispatch.route]

        await until(lambda: bool(said()))
        return said()[0]

    def of(self, what: str, agency: str = "") -> list[link_pb2.AttachResponse]:
        """Every message of a kind that it was to pass on, oldest first."""
        return [f for to, f in self.sent if what_is(f) == what and agency in ("", to)]


async def made_part(node: Node, custodian: str, row: Mapping[str, str] = ZOE) -> Part:
    """One custodian's part of a lookup, unsealed, as an altered searcher might change it."""
    ask, maker = somebody(row=row), node.searcher._exchange._parts.maker
    now = maker.clock()
    member = maker.trust.member(custodian, now)
    route = maker.route(member, maker.collection(ask, member, now), now)
    assert route is not None
    prepared = maker.prepare(ask, maker.new_secrets(ask), now)
    return maker.part(ask, prepared, route, Head(0), token_bytes(16))


def what_is(frame: link_pb2.AttachResponse) -> str:
    """question, reply, redeem or answer: the four messages of a lookup; else the frame's own name."""
    kind = frame.WhichOneof("frame") or ""
    if kind == "dispatch":
        return "question" if frame.dispatch.round == 1 else "redeem"
    if kind == "outcome" and not frame.outcome.non_answer:
        return "reply" if frame.outcome.round == 1 else "answer"
    return kind


def altered(frame: link_pb2.AttachResponse, **changes: Any) -> link_pb2.AttachResponse:
    """A copy of a dispatch or an outcome with fields changed."""
    copy = link_pb2.AttachResponse()
    copy.CopyFrom(frame)
    inner = getattr(copy, copy.WhichOneof("frame") or "")
    for name, value in changes.items():
        setattr(inner, name, value)
    return copy


def sealed_of(frame: link_pb2.AttachResponse) -> bytes:
    """The sealed bytes of a dispatch or an outcome."""
    sealed: bytes = getattr(frame, frame.WhichOneof("frame") or "").sealed
    return sealed


def flipped(data: bytes, at: int) -> bytes:
    """One bit changed."""
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def leaves(node: Node) -> int:
    """How many answers the custodian's log holds."""
    with node._store.read() as connection:
        query = select(func.count()).select_from(log).where(log.c.kind == "answered")
        return int(connection.execute(query).scalar_one())


def counted(node: Node) -> int:
    """How many questions count against the limits at a custodian."""
    with node._store.read() as connection:
        query = select(func.count()).select_from(question).where(question.c.counted)
        return int(connection.execute(query).scalar_one())


def kept(node: Node) -> tuple[int, int]:
    """What a custodian keeps of all questions: how many counted, how many were answered."""
    return counted(node), leaves(node)


def deadline(node: Node, milliseconds: int) -> None:
    """Set the deadline of the lookups that a node begins from now on."""
    exchange = node.searcher._exchange
    exchange._parts = replace(exchange._parts, deadline_ms=milliseconds)


class Asking:
    """A lookup under way, whose events can be waited for one by one."""

    def __init__(self, made: Federation, **changes: Any) -> None:
        self.answers: dict[str, CustodianAnswer] = {}
        self.started, self._news = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._run(made, changes))

    async def _run(self, made: Federation, changes: dict[str, Any]) -> Lookup:
        begun, done = None, None
        async for event in made.nodes["social"].searcher.ask(somebody(**changes)):
            if isinstance(event, Started):
                begun = event
                self.started.set()
            elif isinstance(event, CustodianAnswer):
                assert event.custodian not in self.answers  # one state each, never two
                self.answers[event.custodian] = event
                self._news.set()
            else:
                done = event
        assert begun is not None
        assert done is not None
        assert set(self.answers) == set(begun.custodians)
        return Lookup(begun, self.answers, done)

    async def heard_of(self, custodian: str) -> None:
        """Wait for one custodian's state."""
        async with asyncio.timeout(20):
            while custodian not in self.answers:
                self._news.clear()
                await self._news.wait()

    async def end(self, patience_s: float = 20) -> Lookup:
        """Wait for the end."""
        return await asyncio.wait_for(asyncio.shield(self._task), patience_s)


def check_absent(found: Lookup, **states: State) -> None:
    """Those named have these states and nobody else is missing; coverage and summary say so too."""
    assert {name: found.state(name) for name in states} == states
    others = [answer for name, answer in found.answers.items() if name not in states]
    assert all(answer.state.is_answer for answer in others)
    missing = [found.answers[name] for name, state in states.items() if not state.is_answer]
    wanted = Coverage.NONE if not others else Coverage.PARTIAL if missing else Coverage.COMPLETE
    assert found.coverage is wanted
    assert f"{len(found.answers) - len(missing)} of {len(found.answers)} agencies" in found.done.summary
    for answer in missing:
        assert answer.custodian_name in found.done.summary
        # Nothing of an answer stands beside a non-answer, and whom to call does.
        assert (answer.strength, answer.tier, answer.contact.service, answer.flags) == ("", "", "", ())
        assert answer.duty_contact
        assert answer.duty_contact in found.done.summary
        assert answer.remedy


async def until(condition: Callable[[], bool], patience_s: float = 20) -> None:
    """Wait until something has come about."""
    async with asyncio.timeout(patience_s):
        while not condition():
            await asyncio.sleep(0.01)


async def resign(
    made: Federation, *edits: tuple[str, str], ago: timedelta = timedelta(0), to: Sequence[str] = ()
) -> None:
    """Edit the agreement's text, sign it and the roster anew, and wait until these nodes hold both."""
    path = made.folder / "gw" / TEXT_FILE
    text = path.read_text("utf-8")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, "utf-8")
    roster, agreement = partnership.resign(made.folder / "gw", now=datetime.now(UTC) - ago)
    trusts = [made.nodes[agency].trust for agency in to or made.nodes]
    await until(lambda: all(trust.roster.version == roster for trust in trusts))
    await until(lambda: all(t.agreement is not None and t.agreement.version == agreement for t in trusts))


async def check_healed(made: Federation) -> None:
    """The next lookup works, whole, and nobody healthy was restarted for it."""
    await made.settle()
    found = await made.ask("social", somebody())
    assert {name: answer.state for name, answer in found.answers.items()} == {
        "police": State.KNOWN_CURRENT,
        "hospital": State.KNOWN_CURRENT,
    }
    assert found.coverage is Coverage.COMPLETE


@dataclass
class Lateness:
    """The most that this machine kept a wait of ours beyond its time; what we suffer, others suffer too."""

    most_s: float = 0.0

    async def feel(self) -> None:
        """Look how late short waits end, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await asyncio.sleep(_BEAT_S)
            self.most_s = max(self.most_s, loop.time() - began - _BEAT_S)


@asynccontextmanager
async def lateness() -> AsyncIterator[Lateness]:
    """Feel how late the machine is while the block lasts."""
    felt = Lateness()
    task = asyncio.create_task(felt.feel())
    try:
        yield felt
    finally:
        task.cancel()
