"""One custodian's part of one lookup, at the searcher: seal round one, test and redeem, read the answer.

Holds:    the reply key of this part; the question's blinds and tags, in memory, until the lookup ends.
Sees:     which of the asker's own match keys this custodian's catalogue holds.
Refuses:  replies to another question, by another signer, with another key than the statement's; receipts
          that are not about this answer.
Promises: a Redeem is made whatever came in round one, and after the same work.
Source:   docs/protocol.md, "Round one at the searcher", "Round two at the searcher".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from elsewhere.catalogue.tags import short_tags
from elsewhere.errors import ElsewhereError, ProofInvalid, SealBroken
from elsewhere.lookup import (
    Decision,
    EvaluateReply,
    EvaluateRequest,
    RedeemReply,
    RedeemRequest,
    Reveal,
    Ruling,
)
from elsewhere.matching import choose_reveals
from elsewhere.matchkeys import MatchKey
from elsewhere.oprf import voprf
from elsewhere.question import Question
from elsewhere.random import RandomBytes
from elsewhere.receipt import Asked, check_receipt, open_receipt, open_receipt_proof
from elsewhere.roster import Member
from elsewhere.sealing import Context, SealingKey, SealingPublic
from elsewhere.signing import SigningKey
from elsewhere.statement import OprfKeyEntry
from elsewhere.wire import kinds
from elsewhere.wire.convert import lookup as convert
from elsewhere.wire.envelope import unwrap, wrap
from node.catalogues.holding import Held


@dataclass(frozen=True, slots=True)
class Route:
    """Whom this part asks and with which keys, all from signed documents."""

    federation: str
    custodian: Member
    sealing: SealingPublic
    oprf: OprfKeyEntry


@dataclass(slots=True, eq=False)
class Part:
    """The state of one custodian's part. Methods block; they run on crypto threads, one at a time."""

    route: Route
    request: EvaluateRequest
    question: Question = field(repr=False)
    keys: Sequence[MatchKey] = field(repr=False)
    signer: SigningKey = field(repr=False)
    reply_key: SealingKey = field(repr=False)
    digest: bytes = b""  # of the signed question, once sealed
    stated: Ruling | None = None  # what the custodian decided, as it signed it
    redeem_digest: bytes = b""
    limited: Ruling | None = None  # by the answer: what was opened makes another question, over a limit

    def seal_question(self) -> bytes:
        """Sign and seal round one."""
        sealed, self.digest = wrap(
            convert.evaluate_request_to_wire(self.request),
            kinds.EVALUATE_REQUEST,
            signer=self.signer,
            receiver=self.route.sealing,
            context=self._request_context(1),
        )
        return sealed

    def open_reply(self, sealed: bytes) -> EvaluateReply:
        """Open and authenticate round one's reply.

        Raises:
            SealBroken, SignatureInvalid, LookupMalformed: not this custodian's reply to this question.
        """
        reply = convert.evaluate_reply_from_wire(self._open(sealed, 1))
        if reply.request_digest != self.digest:
            raise SealBroken("expected a reply to this question; it answers another")
        self.stated = reply.ruling
        return reply

    def find_reveals(self, reply: EvaluateReply, held: Held | None) -> tuple[tuple[Reveal, ...], Ruling]:
        """Check the proof, take the blinds off and test the tags.

        The same work is done after every decision: the gateway must not read one off the time it takes.

        Args:
            reply: round one's reply.
            held: the custodian's catalogue, brought up to date; None where it could not be.

        Returns:
            What to reveal, strongest first, and the ruling: the custodian's, or an error if its proof fails.
        """
        ruling = reply.ruling
        evaluation = voprf.Evaluation(reply.elements, reply.proof)
        try:
            voprf.check_proof(self.route.oprf.public, self.question.blinded, evaluation)
        except ProofInvalid as err:
            if ruling.decision is Decision.PERMIT:
                # Evaluated with a key made for this agency alone, say: its tags would mark whoever uses them.
                ruling = Ruling(
                    Decision.ERROR, err.code, remedy="the answer was not used; tell the federation"
                )
        try:
            tags = self.question.unblind(reply.elements)
        except ElsewhereError:
            return (), ruling
        hits = held.contains_each(short_tags(tags)) if held is not None else [False] * len(tags)
        if ruling.decision is not Decision.PERMIT:
            return (), ruling
        mine = [
            (slot, self.keys[index])
            for slot, (index, hit) in enumerate(zip(self.question.key_of_slot, hits, strict=True))
            if hit and index is not None
        ]
        chosen = choose_reveals(mine)
        return tuple(Reveal(slot, tags[slot], self.question.blinds[slot]) for slot, _ in chosen), ruling

    def seal_redeem(self, reveals: tuple[Reveal, ...], *, names_asked: bool, random: RandomBytes) -> bytes:
        """Sign and seal round two; with no reveals it looks the same from outside."""
        # Who holds nothing of the child is not to learn how the child was described, so it always reads true.
        redeem = RedeemRequest(self.digest, random(16), reveals, names_asked or not reveals)
        sealed, self.redeem_digest = wrap(
            convert.redeem_request_to_wire(redeem),
            kinds.REDEEM_REQUEST,
            signer=self.signer,
            receiver=self.route.sealing,
            context=self._request_context(2),
        )
        return sealed

    def open_answer(self, sealed: bytes, now: datetime) -> RedeemReply:
        """Open and authenticate round two's reply, its receipt included.

        Raises:
            SealBroken, SignatureInvalid, LookupMalformed: not this custodian's reply to this redeem.
            ReceiptMismatch, DocumentInvalid, NotCanonical: the receipt does not prove this answer.
            NoteInvalid, ProofBroken: the answer is not proven to be in the custodian's log.
        """
        reply = convert.redeem_reply_from_wire(self._open(sealed, 2))
        if reply.redeem_digest != self.redeem_digest:
            raise SealBroken("expected a reply to this redeem; it answers another")
        receipt = open_receipt(reply.receipt, self.route.custodian.signing_key)
        asked = Asked(self.request, self.digest, self.stated)
        check_receipt(receipt, asked=asked, reply=reply, now=now)
        open_receipt_proof(reply.receipt, receipt, self.route.custodian, self.route.federation)
        is_limited = receipt.decision == Decision.RATE_LIMITED.name
        if is_limited and self.stated is not None and self.stated.decision is Decision.PERMIT:
            remedy = "call the duty desk; asked again, this opens other records than before, which counts"
            self.limited = Ruling(Decision.RATE_LIMITED, "limits.opened", receipt.clause, remedy)
        return reply

    def _request_context(self, round_: int) -> Context:
        return kinds.request_context(
            self.request.searcher, self.request.custodian, self.request.lookup_id, round_
        )

    def _open(self, sealed: bytes, round_: int) -> bytes:
        return unwrap(
            sealed,
            kinds.EVALUATE_REPLY if round_ == 1 else kinds.REDEEM_REPLY,
            keys=(self.reply_key,),
            sender_public=self.route.custodian.signing_key,
            context=kinds.reply_context(
                self.request.searcher, self.request.custodian, self.request.lookup_id, round_
            ),
        ).payload
