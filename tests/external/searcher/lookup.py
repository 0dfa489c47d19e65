"""Both rounds of a lookup with every custodian.

Source:   docs/protocol.md "Messages", "A lookup", "Answers", "Receipts", "Non-answers"; lookup.proto.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError

from searcher import documents, ristretto, voprf
from searcher.agency import Agency, Custodian, Directory, now_utc
from searcher.catalogues import Catalogue
from searcher.documents import canonical, document_type, message_type, open_envelope
from searcher.keys import SLOTS
from searcher.link import Link
from searcher.logs import check_logged
from searcher.question import Question
from searcher.refusal import Refusal, require
from searcher.seal import SIZES, Place, SealingKey, pad, seal
from searcher.wire import Wire

MARGIN_S = 0.05
STATES = {"DENY": "DENIED", "REVIEW": "REVIEW", "RATE_LIMITED": "RATE_LIMITED"}
STATES |= {"INCOMPATIBLE": "INCOMPATIBLE", "ERROR": "ERROR"}
NON_ANSWERS = {"REFUSED": ("ERROR", "request.refused"), "OVERLOADED": ("TIMED_OUT", "gateway.overloaded")}


@dataclass(frozen=True, slots=True)
class Terms:
    """Why somebody asks."""

    purpose: str
    basis: str
    urgency: str
    role: str
    asker: str
    case_reference: str
    deadline_ms: int = 20_000


@dataclass(slots=True)
class Part:
    """One custodian's part of a lookup."""

    custodian: Custodian
    catalogue: Catalogue
    lookup_id: bytes
    reply_key: SealingKey = field(repr=False)
    request: Any = field(default=None, repr=False)
    digest: bytes = b""
    oprf_public: bytes = b""
    redeem_digest: bytes = b""
    decision: str = ""
    result: dict[str, Any] | None = None


@dataclass(slots=True)
class Lookup:
    """One question to some custodians, to the end."""

    wire: Wire
    agency: Agency
    directory: Directory
    link: Link
    question: Question
    terms: Terms
    update: Callable[[Custodian], None]
    ask_id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    parts: dict[str, Part] = field(default_factory=dict)

    def run(self, catalogues: dict[str, Catalogue]) -> list[dict[str, Any]]:
        """Ask everybody whose catalogue is given; return one result each."""
        questions = [self._begin(name, catalogue) for name, catalogue in catalogues.items()]
        ask = self.wire.Ask(ask_id=self.ask_id, deadline_ms=self.terms.deadline_ms, questions=questions)
        ends = time.monotonic() + self.terms.deadline_ms / 1000 + MARGIN_S
        self.link.send(ask=ask)
        open_parts = set(self.parts)
        while open_parts:
            try:
                frame = self.link.next_frame(max(0.0, ends - time.monotonic()))
            except TimeoutError:
                break
            if frame.WhichOneof("frame") == "directory":
                self.directory.take(frame.directory, now_utc())
            elif self._is_ours(frame, open_parts):
                self._take(frame.outcome, open_parts)
        for name in open_parts:
            self._finish(self.parts[name], "TIMED_OUT", code="custodian.timed_out")
        return [{"custodian": name, **(part.result or {})} for name, part in self.parts.items()]

    def _is_ours(self, frame: Any, open_parts: set[str]) -> bool:
        is_outcome = frame.WhichOneof("frame") == "outcome"
        return is_outcome and frame.outcome.ask_id == self.ask_id and frame.outcome.custodian in open_parts

    def _begin(self, name: str, catalogue: Catalogue) -> Any:
        """Write, sign, pad and seal the EvaluateRequest."""
        now = now_utc()
        custodian = self.directory.custodian(name)
        part = Part(custodian, catalogue, secrets.token_bytes(16), SealingKey(secrets.token_bytes(96)))
        epoch, part.oprf_public = custodian.oprf_key(catalogue.collection, now)
        agreement, roster = self.directory.agreement, self.directory.roster
        if agreement is None or roster is None:
            raise Refusal("agreement.missing", "a roster and an agreement")
        held = self.wire.CatalogueHead(version=catalogue.version, root=catalogue.root)
        part.request = self.wire.EvaluateRequest(
            protocol_version=1,
            lookup_id=part.lookup_id,
            searcher=self.agency.id,
            custodian=name,
            collection=catalogue.collection,
            epoch=epoch,
            match_key_version="2",
            held=held,
            purpose=self.terms.purpose,
            basis=self.terms.basis,
            urgency=self.terms.urgency,
            role=self.terms.role,
            pseudonym=self._pseudonym(name, "asker", self.terms.asker),
            case_reference=self._pseudonym(name, "case", self.terms.case_reference),
            commitment=self.question.commitment,
            agreement_digest=agreement.digest,
            roster_version=roster.content["version"],
            statement_digest=custodian.statement.digest,
            issued_ms=int(now.timestamp() * 1000),
            nonce=secrets.token_bytes(16),
            reply_key=part.reply_key.public(),
            elements=self.question.elements,
        )
        self.parts[name] = part
        sealed, part.digest = self._sealed(part, part.request, "EvaluateRequest", 1)
        return self.wire.Question(custodian=name, lookup_id=part.lookup_id, sealed=sealed)

    def _pseudonym(self, custodian: str, kind: str, text: str) -> bytes:
        about = "\0".join((custodian, kind, text)).encode()
        return hmac.digest(self.agency.pseudonym_key, about, "sha256")

    def _sealed(self, part: Part, message: Any, kind: str, number: int) -> tuple[bytes, bytes]:
        """Sealed bytes, and the digest of the message."""
        payload = message.SerializeToString()
        name = "evaluate-request" if kind == "EvaluateRequest" else "redeem-request"
        signature = documents.sign(self.agency.signing, message_type(name), payload)
        signed = self.wire.Signed(payload=payload, signature=signature).SerializeToString()
        place = Place(self.agency.id, part.custodian.id, "request", part.lookup_id, number)
        public = part.custodian.sealing_public(now_utc())
        sealed = seal(public, pad(signed, SIZES[kind]), place, secrets.token_bytes)
        return sealed, hashlib.sha256(payload).digest()

    def _opened(self, part: Part, sealed: bytes, kind: str, number: int) -> Any:
        """Open, unpad, verify, parse a reply."""
        require(len(sealed) == SIZES[kind] + 1136, "message.size", "the size of its kind")
        place = Place(part.custodian.id, self.agency.id, "reply", part.lookup_id, number)
        signed = _parsed(self.wire.Signed, part.reply_key.open(sealed, place))
        name = "evaluate-reply" if kind == "EvaluateReply" else "redeem-reply"
        public = part.custodian.signing_public
        documents.verify_signature(public, message_type(name), signed.payload, signed.signature)
        return _parsed(getattr(self.wire, kind), signed.payload)

    def _take(self, outcome: Any, open_parts: set[str]) -> None:
        part = self.parts[outcome.custodian]
        if not outcome.sealed:
            number = outcome.non_answer
            name = self.wire.enum_name("NonAnswer", number, "NON_ANSWER_")
            state, code = NON_ANSWERS.get(name, (name, f"custodian.{name.lower()}"))
            self._finish(part, state, code=code)
            open_parts.discard(outcome.custodian)
        elif outcome.round == 1:
            self._after_first(part, outcome.sealed)
        else:
            self._after_second(part, outcome.sealed)
            open_parts.discard(outcome.custodian)

    def _after_first(self, part: Part, sealed: bytes) -> None:
        """Do all the work whatever was decided, then send Redeem whatever came of it."""
        reveals: list[Any] = []
        try:
            reveals = self._first_reply(part, sealed)
        except Refusal as refusal:
            state = "STALE" if refusal.code.startswith("catalogue.") else "ERROR"
            self._finish(part, state, code=refusal.code)
        names_asked = any(s.key is not None and s.key.strength != "IDENTIFIER" for s in self.question.slots)
        redeem = self.wire.RedeemRequest(
            request_digest=part.digest,
            nonce=secrets.token_bytes(16),
            reveals=reveals,
            names_asked=names_asked,
        )
        sent, part.redeem_digest = self._sealed(part, redeem, "RedeemRequest", 2)
        self.link.send(redeem=self.wire.Redeem(ask_id=self.ask_id, custodian=part.custodian.id, sealed=sent))

    def _first_reply(self, part: Part, sealed: bytes) -> list[Any]:
        reply = self._opened(part, sealed, "EvaluateReply", 1)
        require(reply.request_digest == part.digest, "request.malformed", "a reply to this request")
        require(len(reply.elements) == SLOTS, "oprf.size", "forty elements")
        part.decision = self.wire.enum_name("Decision", reply.decision, "DECISION_")
        require(part.decision in ("PERMIT", *STATES), "request.malformed", "a decision that is known")
        if part.decision != "PERMIT":
            said = {"code": reply.code, "clause": reply.clause, "remedy": reply.remedy}
            self._finish(part, STATES[part.decision], **said)
        broken: Refusal | None = None
        try:
            voprf.verify_proof(part.oprf_public, self.question.elements, reply.elements, reply.proof)
        except Refusal as refusal:
            broken = refusal  # by design, unless the decision is PERMIT; the work below is done all the same
        hits = self._hits(part, reply.elements, reply.published)
        if part.decision != "PERMIT":
            return []
        if broken is not None:
            raise broken
        return hits

    def _hits(self, part: Part, elements: Any, published: Any) -> list[Any]:
        slots = zip(self.question.slots, elements, strict=True)
        tags = [voprf.finalise(slot.input, slot.blind, element) for slot, element in slots]
        catalogue = part.catalogue
        if catalogue.version < published.version:
            self.update(part.custodian)
        require(catalogue.version >= published.version, "catalogue.stale", "the newest catalogue")
        is_same = catalogue.version > published.version or catalogue.root == published.root
        require(is_same, "catalogue.diverged", "the catalogue that others are shown")
        hits = [place for place, tag in enumerate(tags) if int.from_bytes(tag[:8], "big") in catalogue.tags]
        return [
            self.wire.Reveal(slot=place, tag=tags[place], blind=self._blind(place))
            for place in choose(self.question, hits)
        ]

    def _blind(self, place: int) -> bytes:
        blind = self.question.slots[place].blind
        return ristretto.scalar_from_wire(blind.to_bytes(32, "little")).to_bytes(32, "little")

    def _after_second(self, part: Part, sealed: bytes) -> None:
        try:
            reply = self._opened(part, sealed, "RedeemReply", 2)
            require(reply.redeem_digest == part.redeem_digest, "request.malformed", "a reply to this redeem")
            answer = self._answer(reply.answer)
            receipt = self._checked_receipt(part, reply, answer)
        except Refusal as refusal:
            self._finish(part, "ERROR", code=refusal.code)
            return
        kept = {"call_reference": reply.call_reference, "receipt": reply.receipt.decode()}
        if part.result is not None:
            part.result |= kept
        else:
            part.result = {**answer, **kept, "decision": receipt["decision"]}

    def _answer(self, answer: Any) -> dict[str, Any]:
        names = ("tier", "service", "contact_in_hours", "contact_out_of_hours", "last_contact_band")
        flags = [{"code": f.code, "start_date": f.start_date, "end_date": f.end_date} for f in answer.flags]
        state = self.wire.enum_name("AnswerState", answer.state, "ANSWER_STATE_")
        require(answer.state != 0, "request.malformed", "a state")
        strength = self.wire.enum_name("Strength", answer.strength, "STRENGTH_") if answer.strength else ""
        return {
            "state": state,
            "strength": strength,
            "flags": flags,
            "source_age_days": answer.source_age_days,
            "source_stale": answer.source_stale,
            **{name: getattr(answer, name) for name in names},
        }

    def _checked_receipt(self, part: Part, reply: Any, answer: dict[str, Any]) -> dict[str, Any]:
        """The receipt, once it is signed and about this question and this answer."""
        kind, public = document_type("receipt"), part.custodian.signing_public
        envelope = documents.parse(reply.receipt)
        proof = envelope.pop("log_proof", None)
        receipt = open_envelope(canonical(envelope), kind, public, documents.RECEIPT_KEYS).content
        expected = {
            "custodian": part.custodian.id,
            "searcher": self.agency.id,
            "commitment": self.question.commitment.hex(),
            "elements": hashlib.sha256(b"".join(self.question.elements)).hexdigest(),
            "request_digest": part.digest.hex(),
            "tier": answer["tier"],
            "released": hashlib.sha256(canonical(answer)).hexdigest(),
            "call_reference": reply.call_reference,
        }
        is_ours = {name: receipt[name] for name in expected} == expected
        require(is_ours, "receipt.mismatch", "a receipt of this question and answer")
        is_told = not part.decision or receipt["decision"] == part.decision
        require(is_told, "receipt.mismatch", "the decision of the first round")
        origin = f"{self.directory.admission.federation}/{part.custodian.id}/log"
        check_logged(proof, bytes.fromhex(receipt["leaf"]), origin, public)
        return receipt

    def _finish(self, part: Part, state: str, **said: str) -> None:
        """Note a non-answer; what a first round decided stands."""
        if part.result is None:
            part.result = {"state": state, **said}


def _parsed(kind: Any, data: bytes) -> Any:
    try:
        return kind.FromString(data)
    except DecodeError:
        raise Refusal("request.malformed", f"a {kind.DESCRIPTOR.name}") from None


def choose(question: Question, hits: list[int]) -> list[int]:
    """At most four slots, as few and as telling as possible, strongest first."""
    keyed = [(place, key) for place in hits if (key := question.slots[place].key) is not None]
    ranks = {"IDENTIFIER": 0, "STRONG": 1, "WEAK": 2}
    keyed.sort(key=lambda hit: (ranks[hit[1].strength], -len(hit[1].values)))
    supported = any(key.number and len(key.values) > 1 for _, key in keyed)
    has_whole = supported or any(key.has_whole_first for _, key in keyed)
    strongest = ranks[keyed[0][1].strength] if keyed else 0
    chosen: list[int] = []
    rules: set[str] = set()
    numbers: set[str] = set()
    for place, key in keyed:
        is_needless = key.rule in rules or (key.number and key.number in numbers)
        is_needless = is_needless or (key.strength == "WEAK" and strongest < ranks["WEAK"])
        is_needless = is_needless or (has_whole and key.has_start_only and not key.number)
        if not is_needless:
            chosen.append(place)
            rules.add(key.rule)
            numbers.add(key.number)
    return chosen[:4]
