"""How many questions of one agency are taken in a day, whatever becomes of them.

Sees:     agency ids, codes and hours; of a question its urgency, and whether it was asked before.
Refuses:  what is beyond, before anything of it is worked on or written.
Promises: counted in the store, so for all processes together and over restarts; one agency's count is no
          other's, and what is asked again fills no room of new questions, nor those the room of RED ones.
          What was refused, asked again or beyond, and never redeemed, is one log entry an agency, code and
          hour.

Only what the searcher chose decides which room a question takes, never what was decided about it: the
gateway sees that a question is dropped. Whoever gets no reply asks one question about a hundred times a day,
for three days at most: a hundred times the room of new questions, four times what is agreed, is more.

An hour is a whole one of UTC, and a day the one that runs and the twenty-three before it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from elsewhere.clock import from_ms, to_ms
from elsewhere.database.ready import Ready
from elsewhere.fields import format_instant
from elsewhere.lookup import EvaluateRequest
from node.answering.queueing import Dropped
from node.answering.repeats import was_asked
from node.ledger import book
from node.store.exchange import tally

DAY_FULL: Final = "queue.day"
# The codes under which every question counts, by the room that it takes.
NEW: Final = ""
URGENT: Final = "day.red"  # new as well
AGAIN: Final = "day.again"
_ROOMS: Final = (NEW, URGENT, AGAIN)
AGAIN_FOR_ONE = 100  # asked again, for one new one that is taken
_HOUR_MS: Final = 3_600_000
_DAY_HOURS: Final = 24

_SINCE = (
    tally.c.searcher == bindparam("searcher"),
    tally.c.code == bindparam("room"),
    tally.c.hour > bindparam("hour"),
)
_TAKEN = Ready(select(func.coalesce(func.sum(tally.c.questions), 0).label("questions")).where(*_SINCE))
_KEY = ("searcher", "code", "hour")
# One statement whether or not it is the first of its hour. SQLite takes the same words.
_ONE_MORE = Ready(
    insert(tally).on_conflict_do_update(index_elements=_KEY, set_={"questions": tally.c.questions + 1}),
    *_KEY,
    "questions",
)


def hour_of(now: datetime) -> int:
    """Number the hours since 1970."""
    return to_ms(now) // _HOUR_MS


def find_room(
    connection: Connection, request: EvaluateRequest, now: datetime, most: int, *, stands: bool
) -> str:
    """Say which room a question takes; called before the work, and decisively by `take_in`.

    Args:
        connection: any.
        request: signed by the searcher it names.
        now: when it came.
        most: how many new ones are taken in a day.
        stands: whether it asks for what a person here decides or has decided: then it is not new.

    Raises:
        Dropped: there were as many. There is no room before the next hour.
    """
    room = URGENT if request.terms.urgency == "RED" else NEW
    if was_asked(connection, request) or stands:
        room, most = AGAIN, most * AGAIN_FOR_ONE
    since = {"searcher": request.searcher, "room": room, "hour": hour_of(now) - _DAY_HOURS}
    if _TAKEN.row(connection, since).questions >= most:
        raise Dropped(DAY_FULL)
    return room


def take_in(
    connection: Connection, request: EvaluateRequest, now: datetime, most: int, *, stands: bool
) -> None:
    """Count a question that came, within the transaction that keeps it: nobody else counts meanwhile.

    Args, Raises: as for `find_room`.
    """
    room = find_room(connection, request, now, most, stands=stands)
    _count(connection, request.searcher, room, hour_of(now))


def note_refused(connection: Connection, searcher: str, code: str, received_ms: int) -> None:
    """Count a question that has no entry of its own, for that of its hour."""
    _count(connection, searcher, code, received_ms // _HOUR_MS)


def close_hours(connection: Connection, now: datetime, still_open: timedelta) -> None:
    """Log the hours of which nothing more can be noted, and forget those that count no more.

    Args:
        connection: of a transaction that writes.
        now: aware UTC time.
        still_open: how long after it came a question may yet be redeemed.
    """
    ended = (tally.c.code.not_in(_ROOMS), tally.c.hour < hour_of(now - still_open))
    order = (tally.c.hour, tally.c.searcher, tally.c.code)
    rows = connection.execute(select(tally).where(*ended).order_by(*order)).all()
    for row in rows:
        facts = {
            "counterparty": row.searcher,
            "code": row.code,
            "hour_utc": format_instant(from_ms(row.hour * _HOUR_MS)),
            "questions": int(row.questions),
            "counted": False,
        }
        book.append(connection, book.make_entry("unredeemed", facts, now))
    connection.execute(delete(tally).where(*ended))
    connection.execute(delete(tally).where(tally.c.hour <= hour_of(now) - _DAY_HOURS))


def _count(connection: Connection, searcher: str, code: str, hour: int) -> None:
    _ONE_MORE.change(connection, {"searcher": searcher, "code": code, "hour": hour, "questions": 1})
