"""Questions that a person here decides about: which stand, which were released once, which were refused.

Holds:    questions without a child: no element of them was evaluated under a key that could tell.
Sees:     who asked and why, as their envelope says.
Promises: every question, whatever was decided of it, costs the same reads and writes here. A release lets
          one question through once: of this searcher, person and case, for this purpose, with these very
          elements, so for the child that was asked about when a person was asked to decide.
Source:   docs/protocol.md, "Review".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Column, Connection, Label, bindparam, delete, func, insert, select, update

from elsewhere.canonical import Json, canonical_json, parse_canonical
from elsewhere.clock import Clock, from_ms, to_ms
from elsewhere.database.ready import Ready
from elsewhere.lookup import Decision, EvaluateRequest, Ruling
from elsewhere.reviewing import MAX_REVIEWS, ReviewDecision, ReviewGone, WaitingReview
from node.ledger import book
from node.store.engine import Store
from node.store.reviewing import review
from node.store.writer import Writer

DECIDED_WITHIN: Final = timedelta(hours=72)
USED_WITHIN: Final = timedelta(hours=72)  # after the release
# Whoever waits asks again at its pauses, which are longer; oftener it counts like any question.
LEAST_PAUSE: Final = timedelta(seconds=30)
_REMEMBERED: Final = timedelta(minutes=10)  # of every question

RELEASE_USED: Final = Ruling(
    Decision.DENY, "review.used", remedy="It was let through once, for another asking. Ask again."
)
_SAME = review.c.key == bindparam("key")


def _newest(column: Column[Any]) -> Label[Any]:
    """A column of the newest asking that people were to decide about, while that holds."""
    holds = (_SAME, review.c.state != "none", review.c.until_ms > bindparam("now"))
    newest = select(column).where(*holds).order_by(review.c.received_ms.desc()).limit(1)
    return newest.scalar_subquery().label(column.name)


_LAST = select(func.max(review.c.received_ms)).where(_SAME).scalar_subquery().label("asked_ms")
_STANDING = Ready(select(_newest(review.c.state), _newest(review.c.used_by), _LAST))
_ADD = Ready(insert(review), "digest", "key", "received_ms", "state", "until_ms", "facts", "expected_ms")
_USE = Ready(
    update(review)
    .where(review.c.key == bindparam("used"), review.c.state == "released", review.c.used_by.is_(None))
    .values(used_by=bindparam("by"))
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What people here have decided about a question so far."""

    state: str = "none"
    used_by: bytes | None = None
    asked_ms: int | None = None  # when it last came

    def lets_through(self, request: EvaluateRequest) -> bool:
        """Whether it was released, and that was not used; the lookup that used it may repeat itself."""
        return self.state == "released" and self.used_by in (None, request.lookup_id)

    @property
    def stands(self) -> bool:
        """Whether people are to decide about it, or have."""
        return self.state != "none"

    @property
    def refuses(self) -> bool:
        """Whether a person said no."""
        return self.state == "refused"

    def is_waited_for(self, now: datetime) -> bool:
        """Whether asking is asking for the decision, which does not count as another question."""
        if self.state == "none" or self.asked_ms is None:
            return False
        return to_ms(now) - self.asked_ms >= LEAST_PAUSE / timedelta(milliseconds=1)


def key_of(request: EvaluateRequest) -> bytes:
    """What a release is for: searcher, person, case, purpose and all elements, not lookup id or epoch."""
    terms = request.terms
    words = (request.searcher, request.collection, terms.purpose, terms.basis, terms.urgency, terms.role)
    digest = hashlib.sha256(b"elsewhere/review/v1:" + request.commitment)
    for part in (*(word.encode() for word in words), terms.pseudonym, terms.case_reference):
        digest.update(len(part).to_bytes(2) + part)
    digest.update(b"".join(request.elements))
    return digest.digest()


def find_standing(connection: Connection, request: EvaluateRequest, now: datetime) -> Standing:
    """Say what stands of a question; the same read for every one."""
    row = _STANDING.row(connection, {"key": key_of(request), "now": to_ms(now)})
    is_spent = row.state == "released" and row.used_by not in (None, request.lookup_id)
    return Standing("none" if is_spent else row.state or "none", row.used_by, row.asked_ms)


@dataclass(frozen=True, slots=True)
class Came:
    """A question that was decided."""

    request: EvaluateRequest
    digest: bytes  # of the signed question
    ruling: Ruling  # what it is told
    is_released: bool  # it is let through by a person's leave, and not otherwise
    at: datetime


def note(connection: Connection, came: Came, standing: Standing) -> bool:
    """Note a question: a review is queued, a release that let it through is used up.

    Args:
        connection: of the transaction that counts the question; nobody else writes meanwhile.
        came: the question.
        standing: as it is in this transaction.

    Returns: whether it may be told so; False where its release was used by another asking since.
    """
    request, now = came.request, came.at
    queued = came.ruling.decision is Decision.REVIEW and standing.state != "open"
    row = {
        "digest": came.digest,
        "key": key_of(request),
        "received_ms": to_ms(now),
        "state": "open" if queued else "none",
        "until_ms": to_ms(now + (DECIDED_WITHIN if queued else _REMEMBERED)),
        "facts": canonical_json(_facts(request, came.ruling)).decode(),
        "expected_ms": came.ruling.expected_by_ms,
    }
    _ADD.change(connection, row)
    used = row["key"] if came.is_released else b""
    _USE.change(connection, {"used": used, "by": request.lookup_id})
    return not came.is_released or standing.lets_through(request)


def waiting_reviews(connection: Connection, now: datetime) -> list[WaitingReview]:
    """Give the questions that wait for a person, those that are expected first; as many as a list holds.

    However many that can wait are asked, none of them hides one that cannot.
    """
    open_ones = (review.c.state == "open", review.c.until_ms > to_ms(now))
    first = func.coalesce(review.c.expected_ms, review.c.until_ms)
    query = select(review).where(*open_ones).order_by(first, review.c.digest).limit(MAX_REVIEWS)
    rows = connection.execute(query)
    found = [_waiting(row.digest, _parsed(row.facts), row.received_ms, row.until_ms) for row in rows]
    return sorted(found, key=lambda one: (one.expected_by, one.number))


def decide(connection: Connection, decision: ReviewDecision, who: str, now: datetime) -> None:
    """Record what a reviewer decided, in the log too; in the caller's transaction.

    Raises:
        ReviewGone: no such question waits.
    """
    open_ones = (review.c.state == "open", review.c.until_ms > to_ms(now))
    rows = connection.execute(select(review.c.digest, review.c.facts).where(*open_ones)).all()
    found = [row for row in rows if row.digest.hex().startswith(decision.number)]
    if len(found) != 1:
        raise ReviewGone("expected the number of a question that waits; none has it, or not any more")
    (row,) = found
    state = "released" if decision.releases else "refused"
    until_ms = to_ms(now + USED_WITHIN)
    changed = update(review).where(review.c.digest == row.digest).values(state=state, until_ms=until_ms)
    connection.execute(changed)
    facts: dict[str, Json] = {"review": state, "reviewer": who, "reason": decision.reason}
    _log(connection, row.digest, row.facts, facts, now)


@dataclass(frozen=True, slots=True)
class Reviews:
    """The queue as the desk serves it. Methods block."""

    store: Store
    writer: Writer
    clock: Clock

    def waiting(self) -> list[WaitingReview]:
        """Give the questions that wait for a person."""
        with self.store.read() as connection:
            return waiting_reviews(connection, self.clock())

    def count(self) -> int:
        """How many there are, those included that a list has no room for."""
        with self.store.read() as connection:
            open_ones = (review.c.state == "open", review.c.until_ms > to_ms(self.clock()))
            query = select(func.count()).select_from(review).where(*open_ones)
            return int(connection.execute(query).scalar_one())

    def decide(self, decision: ReviewDecision, who: str) -> None:
        """Record a decision durably; raises ReviewGone, LogUnavailable."""
        self.writer.submit(partial(decide, decision=decision, who=who, now=self.clock())).result()


def forget_reviews(connection: Connection, now: datetime) -> None:
    """Drop what stands no more; a question that nobody decided about is in the log as such."""
    over = review.c.until_ms <= to_ms(now)
    for row in connection.execute(select(review).where(over, review.c.state == "open")):
        _log(connection, row.digest, row.facts, {"review": "lapsed"}, now)
    connection.execute(delete(review).where(over))


def _log(connection: Connection, digest: bytes, facts: str, act: dict[str, Json], now: datetime) -> None:
    entry = book.make_entry("review", {**_parsed(facts), "request_digest": digest.hex(), **act}, now)
    book.append(connection, entry)


def _facts(request: EvaluateRequest, ruling: Ruling) -> dict[str, Json]:
    terms = request.terms
    return {
        "counterparty": request.searcher,
        "commitment": request.commitment.hex(),
        "collection": request.collection,
        "purpose": terms.purpose,
        "basis": terms.basis,
        "urgency": terms.urgency,
        "role": terms.role,
        "pseudonym": terms.pseudonym.hex(),
        "case_reference": terms.case_reference.hex(),
        "clause": ruling.clause,
        "expected_by_ms": ruling.expected_by_ms,
    }


def _parsed(facts: str) -> dict[str, Json]:
    found = parse_canonical(facts.encode())
    if not isinstance(found, dict):
        raise TypeError("stored facts are a table")
    return found


def _waiting(digest: bytes, facts: dict[str, Json], received_ms: int, until_ms: int) -> WaitingReview:
    expected_ms = facts["expected_by_ms"]
    return WaitingReview(
        number=digest.hex()[:16],
        searcher=str(facts["counterparty"]),
        purpose=str(facts["purpose"]),
        basis=str(facts["basis"]),
        urgency=str(facts["urgency"]),
        role=str(facts["role"]),
        pseudonym=str(facts["pseudonym"])[:8],
        case=str(facts["case_reference"])[:8],
        clause=str(facts["clause"]),
        asked_utc=from_ms(received_ms),
        expected_by=from_ms(expected_ms if isinstance(expected_ms, int) else until_ms),
        lapses_utc=from_ms(until_ms),
    )
