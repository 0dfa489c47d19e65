"""When a question is the same one asked again, which costs no limit, and what it may then be told.

Sees:     digests of questions; no child.
Refuses:  to let a repeat through that asks something else, or for somebody else, or oftener than a node that
          could not be reached would have to; to redeem a question that has been asked again since.
Promises: one counted question opens one set of slots, however often it is asked again: it is about one child.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, func, select

from elsewhere.agreement.vocabulary import vocabulary
from elsewhere.clock import to_ms
from elsewhere.database.ready import Ready
from elsewhere.lookup import EvaluateRequest
from node.errors import ReplayRefused
from node.store.exchange import COUNTED, REDEEMED, question

# Of a question that was answered: its reply may have been lost on the way, but not again and again.
MOST_ANSWERED = 3
LEAST_PAUSE = timedelta(seconds=10)
_SAME = tuple(question.c[name] == bindparam(name) for name in ("searcher", "lookup_id", "core"))
_ANSWERED = select(question.c.searcher).where(*_SAME, REDEEMED).limit(MOST_ANSWERED + 1).subquery()
# Each is a step or a few in an index of its own: who asks in vain all the time makes none of them longer.
_EARLIER = Ready(
    select(
        select(func.min(question.c.received_ms)).where(*_SAME, COUNTED).scalar_subquery().label("counted"),
        select(func.max(question.c.received_ms)).where(*_SAME).scalar_subquery().label("last"),
        select(func.count()).select_from(_ANSWERED).scalar_subquery().label("answered"),
    )
)
_NEWEST = Ready(select(func.max(question.c.received_ms).label("received_ms")).where(*_SAME))
_RELEASED = Ready(
    select(
        func.count().label("all"),
        func.count(case((question.c.opened == bindparam("opened"), 1))).label("alike"),
    ).where(*_SAME, REDEEMED, question.c.opened > 0)
)


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
    earlier = _EARLIER.row(connection, same)
    urgency = vocabulary().urgencies.get(request.terms.urgency)
    if urgency is None or earlier.counted is None:
        return False
    now_ms = to_ms(now)
    return bool(
        now_ms - earlier.counted <= timedelta(hours=urgency.hours) / timedelta(milliseconds=1)
        and now_ms - earlier.last >= LEAST_PAUSE / timedelta(milliseconds=1)
        and earlier.answered <= MOST_ANSWERED
    )


def was_asked(connection: Connection, request: EvaluateRequest) -> bool:
    """Whether this very question came before, whatever became of it."""
    same = {"searcher": request.searcher, "lookup_id": request.lookup_id, "core": core_of(request)}
    return _NEWEST.row(connection, same).received_ms is not None


def check_newest(connection: Connection, asked: Row[Any]) -> None:
    """Return only if a question has not been asked again since.

    Were several askings open at once, each could be redeemed otherwise. So what the earlier ones released is
    settled by the time that a question is asked again.

    Args:
        connection: of the transaction that uses the question up, for this to be decisive.
        asked: the question's row.

    Raises:
        ReplayRefused: it has been.
    """
    if _NEWEST.row(connection, _same(asked)).received_ms > asked.received_ms:
        raise ReplayRefused("expected the newest asking of a question; it has been asked again since")


def is_counted(connection: Connection, asked: Row[Any], opened: int) -> bool:
    """Whether a question that is redeemed counts: it did before, or opens other slots than before.

    Then it is about somebody else. Who got no reply opens the same ones again, unless records came or went
    meanwhile. Not what is revealed decides, as tags and blinds may be false, but what is opened by it.

    Args:
        connection: any.
        asked: the question's row.
        opened: the slots that are opened, slot n as 2**n; 0 releases nothing.
    """
    released = _RELEASED.row(connection, {**_same(asked), "opened": opened})
    return bool(asked.counted or (opened and released.all and not released.alike))


def _same(asked: Row[Any]) -> dict[str, Any]:
    return {"searcher": asked.searcher, "lookup_id": asked.lookup_id, "core": asked.core}
