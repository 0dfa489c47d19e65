"""Receipts: what a custodian signs for each answer, so that neither side can later tell another story.

Sees:     digests, pseudonymous ids, the decision and its clause; the child is not in a receipt, nor is the
          answer: only its digest, which whoever holds the answer can compare.
Refuses:  a receipt not signed by the custodian's roster key, or one about another question or answer.
Source:   docs/protocol.md, "Receipts".
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from elsewhere.canonical import Json, canonical_json, parse_canonical
from elsewhere.clock import CLOCK_TOLERANCE
from elsewhere.errors import DocumentInvalid, ElsewhereError, ReceiptMismatch, SignatureInvalid
from elsewhere.fields import Fields, as_instant, as_text, format_instant
from elsewhere.lookup import (
    SENTENCE_CHARACTERS,
    Answer,
    AnswerState,
    Decision,
    EvaluateRequest,
    RedeemReply,
    Ruling,
    elements_digest,
)
from elsewhere.roster import AGENCY_ID, Member, Roster
from elsewhere.signing import SigningKey, open_document, sign_document
from elsewhere.transparency.checkpoint import Seen, log_origin
from elsewhere.transparency.errors import NoteInvalid
from elsewhere.transparency.note import Verifier
from elsewhere.transparency.proof import LogProof, open_proof

RECEIPT_TYPE: Final = "application/vnd.elsewhere.receipt.v1+json"
CALL_REFERENCE: Final = r"[0-9A-Za-z-]{8}"
_PROOF: Final = "log_proof"
_DIGEST: Final = r"[0-9a-f]{64}"
CLOCK_SKEW: Final = "clock.skew"
LONGEST_LOOKUP: Final = timedelta(minutes=1)  # between the receipt and its reading, clocks aside
_DIGESTS: Final = ("commitment", "elements", "request_digest", "released", "leaf")


@dataclass(frozen=True, slots=True)
class Receipt:
    """One answer to one question, as the custodian logged it. Digests are 64 lower-case hex digits."""

    custodian: str
    searcher: str
    commitment: str  # to the question, as the searcher made it
    elements: str  # SHA-256 of all that was asked, slot after slot: the same at every custodian of a lookup
    request_digest: str  # SHA-256 of the signed EvaluateRequest
    decision: str  # name of a `Decision`
    clause: str  # that decided; at most 200 characters
    tier: str  # "", R1, R2, R3
    released: str  # `answer_digest` of what was answered
    leaf: str  # leaf hash of the custodian's log entry, RFC 9162 §2.1.1
    call_reference: str
    time_utc: datetime  # aware, whole seconds

    def __post_init__(self) -> None:
        for name in ("custodian", "searcher"):
            as_text(getattr(self, name), name, AGENCY_ID)
        for name in _DIGESTS:
            as_text(getattr(self, name), name, _DIGEST)
        as_text(self.call_reference, "call_reference", CALL_REFERENCE)
        if self.decision not in Decision.__members__:
            raise DocumentInvalid("decision", f"expected one of {', '.join(Decision.__members__)}")
        if self.tier not in ("", "R1", "R2", "R3"):
            raise DocumentInvalid("tier", "expected R1, R2, R3 or nothing")
        if not isinstance(self.clause, str) or len(self.clause) > SENTENCE_CHARACTERS:
            raise DocumentInvalid("clause", f"expected at most {SENTENCE_CHARACTERS} characters")
        if self.clause and not self.clause.isprintable():
            raise DocumentInvalid("clause", "expected one line of printable characters")
        object.__setattr__(self, "time_utc", as_instant(self.time_utc, "time_utc"))

    def to_json(self) -> dict[str, Json]:
        """Write the payload that the custodian signs."""
        return {
            "custodian": self.custodian,
            "searcher": self.searcher,
            "commitment": self.commitment,
            "elements": self.elements,
            "request_digest": self.request_digest,
            "decision": self.decision,
            "clause": self.clause,
            "tier": self.tier,
            "released": self.released,
            "leaf": self.leaf,
            "call_reference": self.call_reference,
            "time_utc": format_instant(self.time_utc),
        }

    @classmethod
    def from_json(cls, value: Json) -> Receipt:
        """Read a payload whose signature has been checked; raises DocumentInvalid naming the key."""
        fields = Fields(value)
        found = cls(
            custodian=fields.text("custodian", AGENCY_ID),
            searcher=fields.text("searcher", AGENCY_ID),
            commitment=fields.text("commitment", _DIGEST),
            elements=fields.text("elements", _DIGEST),
            request_digest=fields.text("request_digest", _DIGEST),
            decision=fields.choice("decision", Decision.__members__),
            clause=fields.take("clause"),
            tier=fields.choice("tier", ("", "R1", "R2", "R3")),
            released=fields.text("released", _DIGEST),
            leaf=fields.text("leaf", _DIGEST),
            call_reference=fields.text("call_reference", CALL_REFERENCE),
            time_utc=fields.instant("time_utc"),
        )
        fields.done()
        return found


def answer_to_json(answer: Answer) -> dict[str, Json]:
    """Write an answer as JSON with every field, the one form that receipts and logs take the digest of."""
    return {
        "state": answer.state.name,
        "strength": answer.strength,
        "tier": answer.tier,
        "service": answer.contact.service,
        "contact_in_hours": answer.contact.in_hours,
        "contact_out_of_hours": answer.contact.out_of_hours,
        "last_contact_band": answer.last_contact_band,
        "flags": [
            {"code": flag.code, "start_date": flag.start_date, "end_date": flag.end_date}
            for flag in answer.flags
        ],
        "source_age_days": answer.source_age_days,
        "source_stale": answer.source_stale,
    }


def answer_digest(answer: Answer) -> str:
    """Give the SHA-256 of an answer's canonical JSON, 64 hex digits."""
    return hashlib.sha256(canonical_json(answer_to_json(answer))).hexdigest()


def sign_receipt(key: SigningKey, receipt: Receipt) -> bytes:
    """Wrap a receipt in an envelope signed with the custodian's key; under 1.8 kB with an ASCII clause."""
    return sign_document([key], RECEIPT_TYPE, receipt.to_json())


def attach_proof(envelope: bytes, proof: LogProof) -> bytes:
    """Put the proof that a receipt's entry is in the log beside the receipt, as one more member of the file.

    The receipt's signature does not cover it: it is signed by the log itself, and may be replaced later by
    one that more witnesses have seen.
    """
    found = parse_canonical(envelope)
    if not isinstance(found, dict):
        raise TypeError("an envelope is an object")
    return canonical_json({**found, _PROOF: proof.to_text()})


def attached_proof(envelope: bytes) -> LogProof:
    """Read the proof beside a receipt, of which nothing is trusted yet.

    Raises:
        NoteInvalid: there is none, or none of its form.
    """
    try:
        found = json.loads(envelope.decode("utf-8"))[_PROOF]
    except (ValueError, KeyError, TypeError, RecursionError):
        found = None
    if not isinstance(found, str):
        raise NoteInvalid("expected a receipt with the proof that it was logged; it has none")
    return LogProof.from_text(found)


def open_receipt_proof(
    envelope: bytes, receipt: Receipt, member: Member, federation: str, witnesses: Sequence[Verifier] = ()
) -> Seen:
    """Return only if the entry that a receipt names is in the log of the agency that gave it.

    Args:
        envelope: the receipt as received, or from a case file.
        receipt: as read from it.
        member: the custodian's entry in the roster.
        federation: whose roster that is.
        witnesses: whose cosignatures count.

    Returns: what the log signed, and who has seen it so.

    Raises:
        NoteInvalid: there is no proof, or the log has not signed it.
        ProofBroken: the entry is not in the log.
    """
    origin = log_origin(federation, member.agency_id)
    proof, leaf = attached_proof(envelope), bytes.fromhex(receipt.leaf)
    return open_proof(proof, leaf, origin, member.keys, witnesses)


class ReceiptKeyReplaced(ElsewhereError):
    """Only a key that was replaced since has signed this receipt and its proof, so a thief of it might have.

    'elsewhere audit refresh' fetches a proof under the key in force, if the entry is in that agency's log.
    """

    code = "receipt.key_replaced"


def check_seen_in_time(seen: Seen, roster: Roster) -> None:
    """Return unless whoever stole a key that was replaced since could have made all of this with it.

    Args:
        seen: the state of a log that a receipt's entry is in.
        roster: in force.

    Raises:
        ReceiptKeyReplaced: only that key has signed. A witness signs nothing under a key once it is replaced.
    """
    in_force = {member.signing_key for member in roster.members}
    if not in_force & {seen.key, *(signed.by.public for signed in seen.witnesses)}:
        raise ReceiptKeyReplaced(
            "expected the log signed with the key in force, or seen by a witness under the one before; this "
            "proof is of neither: run 'elsewhere audit refresh' on the receipt first"
        )


def open_receipt(envelope: bytes, public: bytes, earlier: Sequence[bytes] = ()) -> Receipt:
    """Read a receipt that one agency signed.

    Args:
        envelope: as received, or from a case file.
        public: the custodian's 32-byte signing key, from the roster and never from the envelope.
        earlier: keys that it had before, where a receipt of that time will do.

    Raises:
        SignatureInvalid: not signed with that key. It proves nothing.
        NotCanonical, DocumentInvalid: signed, but not a receipt this version can read.
    """
    return Receipt.from_json(open_document(envelope, RECEIPT_TYPE, [public, *earlier]))


def open_member_receipt(envelope: bytes, roster: Roster) -> tuple[Receipt, Member]:
    """Read a receipt by whichever member signed it, for a case file from which nothing is trusted.

    Args:
        envelope: as kept; may come from anyone.
        roster: verified; members that have since been suspended or revoked are read too.

    Returns:
        The receipt, and the entry of the custodian that it names, whose key signed it.

    Raises:
        SignatureInvalid: not signed by a member, or by another one than it names. It proves nothing.
        NotCanonical, DocumentInvalid: signed, but not a receipt this version can read.
    """
    keys = [key for member in roster.members for key in member.keys]
    if not keys:
        raise SignatureInvalid("expected a roster with members; it has none")
    receipt = Receipt.from_json(open_document(envelope, RECEIPT_TYPE, keys))
    # Some member signed it. Only now may it say which, and then that member's own key must have.
    member = roster.member(receipt.custodian)
    if member is None:
        raise SignatureInvalid("expected a receipt of a member; it names another agency")
    return open_receipt(envelope, member.signing_key, member.earlier_keys), member


@dataclass(frozen=True, slots=True)
class Asked:
    """What a searcher knows of one question before the receipt comes."""

    request: EvaluateRequest
    request_digest: bytes  # SHA-256 of its signed bytes
    ruling: Ruling | None  # as the custodian signed it in round one; None if that reply never opened


def check_receipt(receipt: Receipt, *, asked: Asked, reply: RedeemReply, now: datetime) -> None:
    """Return only if a receipt is about this question, this decision and this answer, and was made now.

    A receipt that says otherwise would let its custodian prove another story later.

    Args:
        receipt: as `open_receipt` gave it, under the key of `request.custodian`.
        asked: the question, and what round one said of it.
        reply: what came back, the receipt with it.
        now: aware UTC time.

    Raises:
        ReceiptMismatch: names the first field that differs. Do not keep the answer.
    """
    request, ruling = asked.request, asked.ruling
    expected = {
        "custodian": request.custodian,
        "searcher": request.searcher,
        "commitment": request.commitment.hex(),
        "elements": elements_digest(request.elements),
        "request_digest": asked.request_digest.hex(),
        "tier": reply.answer.tier,
        "released": answer_digest(reply.answer),
        "call_reference": reply.call_reference,
    }
    # Only round two shows which slots are opened, and so that a question counts as another.
    is_over = receipt.decision == Decision.RATE_LIMITED.name
    if ruling is not None and not (is_over and ruling.decision is Decision.PERMIT):
        expected |= {"decision": ruling.decision.name, "clause": ruling.clause}
    for name, value in expected.items():
        if getattr(receipt, name) != value:
            raise ReceiptMismatch(name)
    is_empty = reply.answer.state is AnswerState.NOTHING_RETURNED
    if receipt.decision != Decision.PERMIT.name and not is_empty:
        raise ReceiptMismatch("decision")
    # Where round one said that the clocks are apart, they are.
    are_apart = ruling is not None and ruling.code == CLOCK_SKEW
    if not are_apart and abs(receipt.time_utc - now) > CLOCK_TOLERANCE + LONGEST_LOOKUP:
        raise ReceiptMismatch("time_utc")


def is_call_reference(text: str) -> bool:
    """Tell whether a text has the form of a call reference."""
    return re.fullmatch(CALL_REFERENCE, text) is not None
