"""What leaves with an answer: its entry in the log, the receipt over that, the proof that it is there.

Holds:    this agency's signing key while it signs.
Sees:     an answer, and which of this agency's own records it is about.
Promises: a receipt names the entry by its hash and brings the path to a root that this log signed, so that
          nobody gets an answer whose entry could be left out of the log later. Nothing of it may leave before
          the transaction that it was made in is durable.
Source:   docs/protocol.md, "Receipts"; docs/ledger.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from elsewhere.canonical import Json
from elsewhere.lookup import Answer, AnswerState, EvaluateRequest, elements_digest
from elsewhere.random import RandomBytes
from elsewhere.receipt import Receipt, answer_digest, attach_proof, sign_receipt
from elsewhere.transparency.proof import LogProof
from node.answering.kept import envelope_facts
from node.answering.noticing import add_notice, is_notified
from node.answering.redeem import Redeemed
from node.ledger import book
from node.ledger.checkpoints import Signer, note_over


@dataclass(frozen=True, slots=True)
class Answered:
    """One question with its answer, ready to be logged and receipted."""

    request: EvaluateRequest
    digest: bytes  # of the signed question
    ruling: dict[str, Json] = field(repr=False)
    found: Redeemed = field(repr=False)
    counts: bool  # whether it fills limits
    at: datetime

    @property
    def answer(self) -> Answer:
        """What is told."""
        return self.found.answer


@dataclass(frozen=True, slots=True)
class Released:
    """What goes into the reply beside the answer."""

    receipt: bytes
    call_reference: str


@dataclass(frozen=True, slots=True)
class Releasing:
    """An answer whose entry is made; it is not in the log yet."""

    answered: Answered
    reference: str
    entry: book.Entry
    subject: book.Subject
    is_notified: bool = False  # the duty desk gets a message

    def log(self, connection: Connection, signer: Signer) -> Released:
        """Append the entry, and make the receipt with its proof, in the caller's transaction."""
        place = book.append(connection, self.entry, self.subject)
        add_notice(connection, self.entry, is_open=self.is_notified)
        envelope = sign_receipt(signer.key, self._receipt())
        proof = LogProof(
            place.index, place.path, note_over(place.tree.size, place.tree.root, signer, place.number)
        )
        return Released(attach_proof(envelope, proof), self.reference)

    def _receipt(self) -> Receipt:
        request, ruling, answer = self.answered.request, self.answered.ruling, self.answered.answer
        return Receipt(
            custodian=request.custodian,
            searcher=request.searcher,
            commitment=request.commitment.hex(),
            elements=elements_digest(request.elements),
            request_digest=self.answered.digest.hex(),
            decision=str(ruling["decision"]),
            clause=str(ruling["clause"]),
            tier=answer.tier,
            released=answer_digest(answer),
            leaf=self.entry.digest.hex(),
            call_reference=self.reference,
            time_utc=self.answered.at.replace(microsecond=0),
        )


def make_releasing(answered: Answered, random: RandomBytes) -> Releasing:
    """Make the entry of an answer: the same work after every decision, hit and miss."""
    found, reference = answered.found, book.new_call_reference(random)
    subject = book.make_subject(found.subjects, random)
    facts: dict[str, Json] = {
        **envelope_facts(answered.request, answered.digest),
        **answered.ruling,
        "counted": answered.counts,
        "subject": subject.commitment.hex(),
        "reason": found.reason,
        "state": found.answer.state.name,
        "released": answer_digest(found.answer),
    }
    entry = book.make_entry("answered", facts, answered.at, reference, random=random)
    owed = answered.ruling["obligations"]
    notified = is_notified(
        owed if isinstance(owed, list) else (), found=found.answer.state is not AnswerState.NOTHING_RETURNED
    )
    return Releasing(answered, reference, entry, subject, notified)
