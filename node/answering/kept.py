"""What is kept of questions that others asked: a row until they are redeemed, a log entry for good.

Sees:     what a question's envelope says; no child.
Promises: every question that was decided shows in the log, also when its searcher stopped before round two:
          it may have learnt from round one that this agency knows a child. Where it was refused it has learnt
          nothing, and where it asked again the first asking has its entry: such questions are one entry for
          an agency, a code and an hour, however many come.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from elsewhere.canonical import Json, parse_canonical
from elsewhere.clock import from_ms, to_ms
from elsewhere.lookup import Decision, EvaluateRequest, elements_digest
from elsewhere.wire.convert.lookup import evaluate_request_from_wire
from node.answering.guard import Verdict
from node.answering.intake import close_hours, note_refused
from node.answering.queueing import Dropped
from node.ledger import book
from node.store.exchange import question

REDEEMABLE_FOR = timedelta(minutes=10)
# Longer than any limit counts, any clock tolerance reaches and any question is asked again.
REMEMBERED_FOR = timedelta(days=4)
# A question issued longer than this before or after it comes is not answered: once the row of one that was is
# gone, it was issued longer ago than this, so that none recorded on the way is ever taken for a new one.
STRANGE_AFTER = REMEMBERED_FOR / 2
TOO_OLD = "queue.old"
ASKED_AGAIN = "asked.again"  # for the log: not counted as it was before
_EVALUATED = (Decision.PERMIT.name, Decision.REVIEW.name)  # or, of the latter, yet to be
AT_ONCE = 1000  # rows in one transaction, so that nobody waits long for the writer


def forget(connection: Connection, now: datetime) -> int:
    """Drop requests and replies that can no longer be redeemed, logging those that never were.

    Returns: how many rows that was; AT_ONCE if there may be more.
    """
    late = question.c.request.is_not(None) & (question.c.received_ms < to_ms(now - REDEEMABLE_FOR))
    told = ("digest", "searcher", "received_ms", "request", "ruling", "redeem_digest", "counted")
    columns = [question.c[name] for name in told]
    rows = connection.execute(select(*columns).where(late).limit(AT_ONCE)).all()
    for row in rows:
        if row.redeem_digest is not None:
            continue
        ruling = parse_canonical(row.ruling.encode())
        if not isinstance(ruling, dict):
            raise TypeError("a stored ruling is a table")
        refused = ruling["decision"] not in _EVALUATED
        if refused or not row.counted:
            code = str(ruling["code"] or ruling["decision"]) if refused else ASKED_AGAIN
            note_refused(connection, row.searcher, code, row.received_ms)
            continue
        facts = {**envelope_facts(evaluate_request_from_wire(row.request), row.digest), **ruling}
        book.append(connection, book.make_entry("unredeemed", facts, now))
    emptied = {"request": None, "reply": None, "redeem_reply": None}
    digests = [row.digest for row in rows]
    connection.execute(update(question).where(question.c.digest.in_(digests)).values(emptied))
    if len(rows) < AT_ONCE:
        close_hours(connection, now, REDEEMABLE_FOR)
    connection.execute(question.delete().where(question.c.received_ms < to_ms(now - REMEMBERED_FOR)))
    return len(rows)


def check_remembered(request: EvaluateRequest, now: datetime) -> None:
    """Return if a question that is as old would be remembered, had it come before.

    Raises:
        Dropped: it might not be.
    """
    if abs(now - from_ms(request.issued_ms)) > STRANGE_AFTER:
        raise Dropped(TOO_OLD)


def ruling_facts(verdict: Verdict) -> dict[str, Json]:
    """What was decided, as it stands in the log and, until then, beside the question."""
    ruling = verdict.ruling
    return {
        "decision": ruling.decision.name,
        "code": ruling.code,
        "clause": ruling.clause,
        "tier": verdict.tier if verdict.permits else "",
        "obligations": list(verdict.obligations),
    }


def envelope_facts(request: EvaluateRequest, digest: bytes) -> dict[str, Json]:
    """Who asked and why, as far as it was told: no child in it."""
    terms, documents = request.terms, request.documents
    return {
        "counterparty": request.searcher,
        "lookup_id": request.lookup_id.hex(),
        "request_digest": digest.hex(),
        "commitment": request.commitment.hex(),
        "elements": elements_digest(request.elements),
        "collection": request.collection,
        "epoch": request.epoch,
        "purpose": terms.purpose,
        "basis": terms.basis,
        "urgency": terms.urgency,
        "role": terms.role,
        "pseudonym": terms.pseudonym.hex(),
        "case_reference": terms.case_reference.hex(),
        "agreement": documents.agreement_digest.hex(),
        "roster_version": documents.roster_version,
        "statement": documents.statement_digest.hex(),
    }
