"""Two nodes without a gateway between them: an altered searcher hands its bytes straight to a custodian."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_bytes
from typing import Any

from elsewhere.asking import Ask
from elsewhere.catalogue.tags import ShortTags, short_tags
from elsewhere.lookup import EvaluateReply, Head, RedeemReply, RedeemRequest, Reveal
from elsewhere.oprf import voprf
from elsewhere.wire import kinds
from elsewhere.wire.convert import lookup as convert
from elsewhere.wire.envelope import Kind, wrap
from elsewhere.wire.v1 import link_pb2
from gateway.agreed import TEXT_FILE
from node.asking.part import Part
from node.config import load_config
from node.program import Node
from tests import partnership
from tests.federation import KAI, ZOE, Federation, Shifted
from tests.held import short_tags as shown_tags

LONG_FROM_NOW = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass
class OwnTags:
    """Stands in for a held catalogue: what the custodian itself would publish."""

    tags: frozenset[int]

    def contains_each(self, needles: ShortTags) -> list[bool]:
        return [int(needle) in self.tags for needle in needles]


@dataclass
class Pair:
    """Social care, altered as a test likes, and the police as they are."""

    made: Federation
    social: Node
    police: Node
    clock: Shifted

    def part(self, ask: Ask) -> Part:
        """A part of a lookup at the police, unsealed."""
        maker = self.social.searcher._exchange._parts.maker
        prepared = maker.prepare(ask, maker.new_secrets(ask), maker.clock())
        return self.parts(ask, prepared, 1)[0]

    def parts(self, ask: Ask, prepared: Any, count: int) -> list[Part]:
        """Several lookups of one person with the same elements."""
        maker = self.social.searcher._exchange._parts.maker
        now = maker.clock()
        member = maker.trust.member("police", now)
        route = maker.route(member, maker.collection(ask, member, now), now)
        assert route is not None
        return [maker.part(ask, prepared, route, Head(0), token_bytes(16)) for _ in range(count)]

    async def say(self, part: Part, sealed: bytes, round_: int) -> bytes | None:
        """Hand sealed bytes over; None if they were refused."""
        dispatch = link_pb2.Dispatch(
            route=token_bytes(16),
            round=round_,
            searcher="social",
            lookup_id=part.request.lookup_id,
            sealed=sealed,
            remaining_ms=30_000,
        )
        reply = await self.police.links[0]._parts.handle(dispatch)
        assert reply is not None
        return None if reply.refused else reply.sealed

    async def evaluate(self, part: Part) -> EvaluateReply | None:
        """Round one."""
        sealed = await self.say(part, part.seal_question(), 1)
        return None if sealed is None else part.open_reply(sealed)

    async def redeem(self, part: Part, reveals: Sequence[Reveal] = (), **changes: Any) -> RedeemReply | None:
        """Round two with any reveals, or any other field changed."""
        terms: dict[str, Any] = {"request_digest": part.digest, "nonce": token_bytes(16)}
        terms |= {"reveals": tuple(reveals), "names_asked": True} | changes
        return await self.redeem_bytes(part, convert.redeem_request_to_wire(RedeemRequest(**terms)))

    async def redeem_bytes(self, part: Part, payload: bytes) -> RedeemReply | None:
        """Round two with any payload."""
        sealed, part.redeem_digest = self.seal(part, payload, kinds.REDEEM_REQUEST, 2)
        said = await self.say(part, sealed, 2)
        return None if said is None else part.open_answer(said, self.clock())

    def seal(self, part: Part, payload: bytes, kind: Kind, round_: int) -> tuple[bytes, bytes]:
        """Sign and seal a payload of any content as this searcher."""
        return wrap(
            payload,
            kind,
            signer=part.signer,
            receiver=part.route.sealing,
            context=kinds.request_context("social", "police", part.request.lookup_id, round_),
        )

    def every_hit(self, part: Part, reply: EvaluateReply) -> list[Reveal]:
        """Each slot whose tag the police hold, without the choice that an unaltered node makes."""
        with self.police._store.read() as connection:
            theirs = shown_tags(connection, part.request.collection, part.request.epoch)
        held = OwnTags(frozenset(int(tag) for tag in theirs))
        question = part.question
        tags = voprf.unblind_tags(question.inputs, question.blinds, reply.elements)
        hits = held.contains_each(short_tags(tags))
        return [Reveal(slot, tags[slot], question.blinds[slot]) for slot in range(40) if hits[slot]]

    def restart_police(self) -> None:
        """A new process on the same folder, as after a crash: only what was durable is left."""
        self.police._writer.close()
        self.police._store.close()
        self.police = _node(self.made, "police", self.clock)
        introduce(self.made, self.social, self.police)


def _node(made: Federation, agency: str, clock: Shifted) -> Node:
    made.nodes[agency] = node = Node(load_config(made.folder / agency), clock=clock, random=token_bytes)
    node.trust.vouched.at = LONG_FROM_NOW  # there is no gateway over which anybody could vouch
    return node


def introduce(made: Federation, *nodes: Node) -> None:
    roster = (made.folder / "gw" / "roster.json").read_bytes()
    agreement = (made.folder / "gw" / "agreement.json").read_bytes()
    statements = [node.keys.view.own.envelope for node in nodes]
    for node in nodes:
        assert node.trust.take_directory(roster, agreement, statements) == []


@asynccontextmanager
async def pair(folder: Path, *edits: tuple[str, str], **settings: Any) -> AsyncIterator[Pair]:
    """The police know Zofia and Kai; the agreement is edited before anybody sees it."""
    made = Federation(folder)
    made.found()
    hasty = {"others_per_s": 10_000.0, "others_burst": 10_000}
    base = {"lookup": {"redeem_tick_ms": 0, "workers": 2, **hasty}}
    made.join("social", [], **base)
    made.join("police", [ZOE, KAI], **{**base, **settings})
    text = (folder / "gw" / TEXT_FILE).read_text("utf-8")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    (folder / "gw" / TEXT_FILE).write_text(text, "utf-8")
    partnership.resign(folder / "gw", now=datetime.now(UTC))
    clock = Shifted()
    found = Pair(made, _node(made, "social", clock), _node(made, "police", clock), clock)
    introduce(made, found.social, found.police)
    try:
        yield found
    finally:
        for node in made.nodes.values():
            node._pool.shutdown()
            node._writer.close()
            node._store.close()


def with_request(part: Part, **changes: Any) -> Part:
    """The same part with fields of its question changed."""
    part.request = replace(part.request, **changes)
    return part
