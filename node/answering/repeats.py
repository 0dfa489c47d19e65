"""When a question is the same one asked again, which costs no limit, and when it is another.

Sees:     digests of questions; no child.
Refuses:  to let a repeat through that asks something else, or for somebody else, or oftener than a node that
          could not be reached would have to.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, case, func, select

from elsewhere.agreement.vocabulary import vocabulary
from elsewhere.clock import to_ms
from elsewhere.lookup import EvaluateRequest
from node.store.exchange import COUNTED, question

# Of a question that was answered: its reply may have been lost on the way, but not again and again.
MOST_ANSWERED = 3
LEAST_PAUSE = timedelta(seconds=10)
_EARLIER = select(
    func.min(question.c.received_ms).label("first"),
    func.max(question.c.received_ms).label("last"),
    func.count(question.c.redeem_digest).label("answered"),
    func.max(case((COUNTED, 1), else_=0)).label("counted"),
).where(*(question.c[name] == bindparam(name) for name in ("searcher", "lookup_id", "core")))


def core_of(request: EvaluateRequest) -> bytes:
    """What makes two requests the same question: all but nonce, time, reply key, epoch and what is held.

    Purpose and pseudonym are in it: a repeat must not serve another purpose or another person's limit. The
    epoch is not: who could not be reached before its end is asked the same elements under the next one.
    """
    terms = request.terms
    words = (request.collection, terms.purpose, terms.basis, terms.urgency, terms.role)
    digest = hashlib.sha256(request.lookup_id + request.commitment)
    for part in (*(word.encode() for word in words), terms.pseudonym, terms.case_reference):
        digest.update(len(part).to_bytes(2) + part)
    digest.update(b"".join(request.elements))
    return digest.digest()


def is_asked_again(connection: Connection, request: EvaluateRequest, now: datetime) -> bool:
    """Whether this very question was counted already and may be asked again without being counted.

    For as long as its urgency allows an answer to be waited for, not oftener than every ten seconds, and a
    few times only once it has been answered.
    """
    same = {"searcher": request.searcher, "lookup_id": request.lookup_id, "core": core_of(request)}
    earlier = connection.execute(_EARLIER, same).one()
    urgency = vocabulary().urgencies.get(request.terms.urgency)
    if urgency is None or not earlier.counted:
        return False
    now_ms = to_ms(now)
    return bool(
        now_ms - earlier.first <= timedelta(hours=urgency.hours) / timedelta(milliseconds=1)
        and now_ms - earlier.last >= LEAST_PAUSE / timedelta(milliseconds=1)
        and earlier.answered <= MOST_ANSWERED
    )
