"""The answering side of a lookup: evaluate without learning what, then redeem what was proven to be asked.

Holds:    this agency's OPRF and sealing keys while it works.
Sees:     round one: a purpose, pseudonyms and 40 elements, uniformly random whatever was asked.
          Round two: which of its own records were asked about, if any.
Refuses:  messages not signed by an active member; a Redeem of another question, a second one, or late.
Promises: permit, deny, review, hit and miss take the same steps and give the same sizes; every answer is
          in the log, durably, before it is released.
Source:   docs/protocol.md, "Round one at the custodian", "Round two at the custodian".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any

import structlog
from sqlalchemy import Connection, Row, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from elsewhere.canonical import canonical_json, parse_canonical
from elsewhere.clock import Clock, from_ms, to_ms
from elsewhere.database.ready import Ready
from elsewhere.errors import MalformedElement, SealBroken
from elsewhere.lookup import (
    MAX_OTHERS,
    RESERVE,
    SLOTS,
    Answer,
    AnswerState,
    Decision,
    EvaluateReply,
    EvaluateRequest,
    Head,
    RedeemReply,
    Ruling,
)
from elsewhere.oprf import voprf
from elsewhere.random import RandomBytes
from elsewhere.sealing import SealingPublic
from elsewhere.wire import kinds
from elsewhere.wire.convert import lookup as convert
from elsewhere.wire.envelope import Opened, unwrap, wrap
from node.answering.answer import NOTHING
from node.answering.guard import Guard, Verdict
from node.answering.intake import find_room, take_in
from node.answering.kept import REDEEMABLE_FOR, check_remembered, ruling_facts
from node.answering.readiness import is_tagged
from node.answering.redeem import Both, Redeemed, redeem
from node.answering.releasing import Answered, Releasing, make_releasing
from node.answering.repeats import check_newest, core_of, is_asked_again, is_counted
from node.answering.reviewing import RELEASE_USED, Came, find_standing, note
from node.catalogues.stated import stated_heads
from node.errors import RecordsUntagged, ReplayRefused
from node.keys.live import KeyView, LiveKeys
from node.ledger.checkpoints import Signer
from node.store.engine import Store
from node.store.exchange import question

_log = structlog.get_logger(__name__)
_STAND_IN_DOMAIN = b"elsewhere/stand-in/"
_COUNTED = (Decision.PERMIT, Decision.REVIEW)
_UNFIT = (Decision.ERROR.name, Decision.INCOMPATIBLE.name)

_BY_DIGEST = Ready(select(question).where(question.c.digest == bindparam("digest")))
_ADD = Ready(
    insert(question),
    *("digest", "searcher", "lookup_id", "nonce", "pseudonym", "received_ms"),
    *("core", "counted", "ruling", "request", "reply"),
)
_USE_UP = Ready(
    update(question)
    .where(question.c.digest == bindparam("asked"), question.c.redeem_digest.is_(None))
    .values({name: bindparam(name) for name in ("redeem_digest", "redeem_reply", "opened", "counted")})
)

Change = Callable[[Connection], bytes]  # gives a sealed reply
Heads = Mapping[tuple[str, int], Head]


class LimitReached(Exception):
    """Counting a question showed that it breaks a limit: it is to be answered with this ruling instead."""

    def __init__(self, ruling: Ruling) -> None:
        super().__init__(ruling.code)
        self.ruling = ruling


@dataclass(frozen=True, slots=True)
class Prepared:
    """A reply that was given before, or the change that gives one: it may leave once that is durable."""

    sealed: bytes = field(default=b"", repr=False)
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class Custodian:
    """Both rounds at the custodian. Methods block; they run on crypto threads."""

    keys: LiveKeys
    guard: Guard
    store: Store
    clock: Clock
    random: RandomBytes
    heads: Callable[[Connection], Heads] = stated_heads  # of this agency's own catalogues

    def evaluate(
        self, searcher: str, lookup_id: bytes, sealed: bytes, *, limited: Ruling | None = None
    ) -> Prepared:
        """Answer round one.

        Args:
            searcher: agency id of the link that it came on, as the gateway says; the seal proves it.
            lookup_id: 16 bytes, bound by the seal.
            sealed: as it came.
            limited: the ruling to give in place of a permission, after counting found a limit reached.

        Returns:
            The change that counts the question and keeps nonce and reply.

        Raises:
            SealBroken, SignatureInvalid, LookupMalformed, NotActive, RosterExpired: not an authentic question
            of a member; nothing is told but that it was refused.
            ReplayRefused: these bytes came before, more than ten minutes ago.
            Dropped: it is so old that its row may have gone, or its agency's day has no room for it.
        """
        now = self.clock()
        opened, view = self._open(searcher, lookup_id, sealed, 1)
        request = convert.evaluate_request_from_wire(opened.payload)
        if (request.searcher, request.custodian, request.lookup_id) != (
            searcher,
            self.guard.trust.me,
            lookup_id,
        ):
            raise SealBroken(
                "expected the parties and lookup id that the seal binds; the message states others"
            )
        check_remembered(request, now)
        with self.store.read() as connection:
            asked = _BY_DIGEST.row(connection, {"digest": opened.digest})
            # The same bytes again get the same bytes back and are not counted twice.
            if asked is not None:
                _check_in_time(asked, now)
                return Prepared(asked.reply)
            standing = find_standing(connection, request, now)
            find_room(connection, request, now, self.guard.most_a_day, stands=standing.stands)
            if request.documents.statement_digest not in view.own.accepted and self.keys.look():
                view = self.keys.view  # another process has stated new keys
            verdict = self.guard.judge(request, now, connection, view)
            heads = self.heads(connection)
        if limited is not None and limited.code != RESERVE and _counts(verdict):
            verdict = Verdict(limited)
        reply = self._reply(request, opened.digest, verdict, heads, view)
        sealed_reply = self._seal(convert.evaluate_reply_to_wire(reply), request, 1)
        return Prepared(change=self._counting(request, opened, verdict, sealed_reply, now))

    def redeem(
        self, searcher: str, lookup_id: bytes, sealed: bytes, *, limited: Ruling | None = None
    ) -> Prepared:
        """Answer round two: the same steps and one log entry, whatever came in round one.

        Args:
            searcher, lookup_id, sealed: as for `evaluate`.
            limited: the ruling to give if this Redeem counts, after counting found a limit reached.

        Raises:
            ReplayRefused: no question of this id waits to be redeemed, or it was redeemed already.
            RecordsUntagged: since round one a load has left out the epoch asked under.
            SealBroken, SignatureInvalid, LookupMalformed, NotActive, RosterExpired: as for `evaluate`.
        """
        now = self.clock()
        opened, view = self._open(searcher, lookup_id, sealed, 2)
        asked = convert.redeem_request_from_wire(opened.payload)
        with self.store.read() as connection:
            row = self._waiting(connection, searcher, asked.request_digest, now)
            if row.lookup_id != lookup_id:
                raise ReplayRefused("expected the digest of this lookup's own question; another is named")
            if row.redeem_digest is not None:
                if row.redeem_digest == opened.digest and row.redeem_reply is not None:
                    return Prepared(row.redeem_reply)
                raise ReplayRefused("expected one redeem for each question; this one was redeemed already")
            request = convert.evaluate_request_from_wire(row.request)
            ruling = parse_canonical(row.ruling.encode())
            if not isinstance(ruling, dict):
                raise TypeError("a stored ruling is a table")
            # What is decided before the records matter stands whatever became of them.
            key = view.digest(request.collection, request.epoch)
            if not is_tagged(connection, request, key) and ruling["decision"] not in _UNFIT:
                raise RecordsUntagged("expected every record to be tagged as in round one; not all are")
            agreed = self.guard.max_age_days(request.collection)
            found = self._find(connection, Both(request, asked, str(ruling["tier"]), agreed), now)
            counts = is_counted(connection, row, found.opened)
            reached = limited or self.guard.find_limit(request, now, connection)
        if counts and not row.counted and reached is not None:
            # Sealed like any other: a gateway would know from a refusal that something was opened.
            found = replace(found, answer=NOTHING, reason=reached.code, opened=0)
            counts, ruling = False, ruling_facts(Verdict(reached))
        answered = Answered(request, row.digest, ruling, found, counts, now)
        return Prepared(change=self._redeeming(row, opened.digest, make_releasing(answered, self.random)))

    def _find(self, connection: Connection, rounds: Both, now: datetime) -> Redeemed:
        """Redeem; after a mistake of ours say "call": a hit caused it, and "nothing" would lie."""
        try:
            return redeem(connection, rounds, now=now, random=self.random)
        except Exception as err:
            # What went wrong may quote a record, so only its type is logged, under a number to look for.
            incident = self.random(4).hex()
            _log.error("redeem.failed", incident=incident, error=type(err).__name__)
            possible = Answer(AnswerState.POSSIBLE, strength="WEAK", tier=rounds.tier)
            opened = sum(1 << reveal.slot for reveal in rounds.asked.reveals if rounds.tier)
            return Redeemed(possible if rounds.tier else NOTHING, (), f"internal {incident}", opened)

    def _open(self, searcher: str, lookup_id: bytes, sealed: bytes, round_: int) -> tuple[Opened, KeyView]:
        """Open and authenticate; who signed is taken from the roster in force now, on standing links too.

        Returns: the message, and the keys to go on with.
        """
        self.guard.trust.look()  # another process may have heard that the searcher is a member no longer
        member = self.guard.trust.member(searcher, self.clock())
        context = kinds.request_context(searcher, self.guard.trust.me, lookup_id, round_)
        kind = kinds.EVALUATE_REQUEST if round_ == 1 else kinds.REDEEM_REQUEST
        while True:
            view = self.keys.view
            try:
                opened = unwrap(
                    sealed, kind, keys=view.sealing, sender_public=member.signing_key, context=context
                )
            except SealBroken:
                if not self.keys.look():
                    raise
                continue  # another process has stated a new sealing key
            return opened, view

    def _seal(self, payload: bytes, request: EvaluateRequest, round_: int) -> bytes:
        """Sign and seal a reply to the key that its question brought."""
        sealed, _ = wrap(
            payload,
            kinds.EVALUATE_REPLY if round_ == 1 else kinds.REDEEM_REPLY,
            signer=self.keys.view.signing,
            receiver=SealingPublic.from_bytes(request.reply_key),
            context=kinds.reply_context(request.searcher, request.custodian, request.lookup_id, round_),
        )
        return sealed

    def _reply(
        self, request: EvaluateRequest, digest: bytes, verdict: Verdict, heads: Heads, view: KeyView
    ) -> EvaluateReply:
        """Evaluate under the real key, or under one thrown away at once: the same work and the same look."""
        key = view.oprf[request.collection, request.epoch] if verdict.permits else None
        ruling = verdict.ruling
        elements = _stand_in_elements() if ruling.code == MalformedElement.code else request.elements
        throwaway = voprf.generate_key(self.random)
        evaluation = voprf.blind_evaluate(key or throwaway, elements, random=self.random)
        published = heads.get((request.collection, request.epoch), Head(0))
        names = [name for name in view.names if name != (request.collection, request.epoch)]
        others = tuple((*name, heads.get(name, Head(0))) for name in names[:MAX_OTHERS])
        return EvaluateReply(digest, ruling, evaluation.elements, evaluation.proof, published, others)

    def _counting(
        self, request: EvaluateRequest, opened: Opened, verdict: Verdict, sealed_reply: bytes, now: datetime
    ) -> Change:
        """The change that makes round one count: limits are decided here, where questions queue up.

        It raises Dropped where the agency has asked as much today as is taken of one.
        """

        def change(connection: Connection) -> bytes:
            is_repeat = is_asked_again(connection, request, now)
            standing = find_standing(connection, request, now)
            counted = _counts(verdict) and not is_repeat and not standing.is_waited_for(now)
            # Counted after every decision, as all take the same steps; it binds those that count.
            limit, is_reserve = self.guard.weigh(request, now, connection)
            if limit is not None and counted:
                raise LimitReached(limit)
            is_plain = verdict.permits and not verdict.is_released and not verdict.ruling.code
            if is_reserve and counted and is_plain:
                raise LimitReached(replace(verdict.ruling, code=RESERVE))  # it is judged again, and says so
            take_in(connection, request, now, self.guard.most_a_day, stands=standing.stands)
            try:
                row = {
                    "digest": opened.digest,
                    "searcher": request.searcher,
                    "lookup_id": request.lookup_id,
                    "nonce": request.nonce,
                    "pseudonym": request.terms.pseudonym,
                    "received_ms": to_ms(now),
                    "core": core_of(request),
                    "counted": counted,
                    "ruling": canonical_json({**ruling_facts(verdict), "counted": counted}).decode(),
                    "request": opened.payload,
                    "reply": sealed_reply,
                }
                _ADD.change(connection, row)
                came = Came(request, opened.digest, verdict.ruling, verdict.is_released, now)
                if not note(connection, came, standing):
                    raise LimitReached(RELEASE_USED)
            except IntegrityError:
                raise ReplayRefused("expected a nonce and question that were not used before") from None
            return sealed_reply

        return change

    def _redeeming(self, row: Row[Any], redeem_digest: bytes, releasing: Releasing) -> Change:
        """The change that uses a question up and logs its answer, in one; limits hold for what counts by it.

        The reply is sealed within it: it brings the proof that its entry is in the log.

        Args:
            row: the question.
            redeem_digest: of the signed redeem.
            releasing: the answer.
        """
        answered = releasing.answered
        request, found = answered.request, answered.found

        def change(connection: Connection) -> bytes:
            check_newest(connection, row)
            is_further = answered.counts and not row.counted
            limit = self.guard.find_limit(request, self.clock(), connection)
            if is_further and limit is not None:
                raise LimitReached(limit)
            signer = Signer(self.guard.trust.roster.federation, request.custodian, self.keys.view.signing)
            out = releasing.log(connection, signer)
            reply = RedeemReply(redeem_digest, found.answer, out.receipt, out.call_reference)
            sealed_reply = self._seal(convert.redeem_reply_to_wire(reply), request, 2)
            kept = {"redeem_digest": redeem_digest, "redeem_reply": sealed_reply}
            used = {**kept, "opened": found.opened, "counted": answered.counts}
            if _USE_UP.change(connection, {"asked": row.digest, **used}) != 1:
                raise ReplayRefused("expected one redeem for each question; this one was redeemed already")
            return sealed_reply

        return change

    def _waiting(self, connection: Connection, searcher: str, digest: bytes, now: datetime) -> Row[Any]:
        """The question of this digest, if it can still be redeemed."""
        row: Row[Any] | None = _BY_DIGEST.row(connection, {"digest": digest})
        if row is None or row.searcher != searcher:
            raise ReplayRefused("expected a question that waits to be redeemed; there is none of this lookup")
        _check_in_time(row, now)
        return row


def _check_in_time(asked: Row[Any], now: datetime) -> None:
    """Return only while a question's request and replies are kept, be they removed on the minute or not."""
    if asked.request is None or now - from_ms(asked.received_ms) > REDEEMABLE_FOR:
        raise ReplayRefused("expected a question of the last ten minutes; this one is older")


def _counts(verdict: Verdict) -> bool:
    """Whether a question so decided fills the limits, and so is held to them."""
    return verdict.ruling.decision in _COUNTED


@cache
def _stand_in_elements() -> tuple[bytes, ...]:
    """Forty fixed elements to work on where those that came cannot be."""
    one = voprf.scalar_from_uniform(b"\x01" + bytes(63))
    inputs = [_STAND_IN_DOMAIN + bytes([slot]) for slot in range(SLOTS)]
    return tuple(voprf.blind(inputs, [one] * SLOTS))
