"""How many questions of one agency are taken in a day, whatever becomes of them.

Sees:     agency ids, codes and hours; no question.
Refuses:  what is beyond, before anything of it is written.
Promises: counted in the store, so for all processes together and over restarts; one agency's count is no
          other's. Questions that were refused and never redeemed are one log entry an agency, code and hour.

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
from node import logbook
from node.answering.queueing import Dropped
from node.store.exchange import tally

DAY_FULL: Final = "queue.day"
ALL: Final = ""  # the code under which every question counts
_HOUR_MS: Final = 3_600_000
_DAY_HOURS: Final = 24

_SINCE = (tally.c.searcher == bindparam("searcher"), tally.c.code == ALL, tally.c.hour > bindparam("hour"))
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


def take_in(connection: Connection, searcher: str, now: datetime, most: int) -> None:
    """Count a question that came, within the transaction that keeps it.

    Args:
        connection: of a transaction that writes: nobody else counts meanwhile.
        searcher: who signed it.
        now: when it came.
        most: how many are taken in a day.

    Raises:
        Dropped: there were as many. There is no room before the next hour.
    """
    hour = hour_of(now)
    taken = _TAKEN.row(connection, {"searcher": searcher, "hour": hour - _DAY_HOURS})
    if taken.questions >= most:
        raise Dropped(DAY_FULL)
    _count(connection, searcher, ALL, hour)


def note_refused(connection: Connection, searcher: str, code: str, received_ms: int) -> None:
    """Count a question that was refused and not redeemed, for the entry of its hour."""
    _count(connection, searcher, code, received_ms // _HOUR_MS)


def close_hours(connection: Connection, now: datetime, still_open: timedelta) -> None:
    """Log the hours of which nothing more can be noted, and forget those that count no more.

    Args:
        connection: of a transaction that writes.
        now: aware UTC time.
        still_open: how long after it came a question may yet be redeemed.
    """
    ended = (tally.c.code != ALL, tally.c.hour < hour_of(now - still_open))
    rows = connection.execute(select(tally).where(*ended).order_by(tally.c.hour, tally.c.searcher)).all()
    for row in rows:
        facts = {
            "counterparty": row.searcher,
            "code": row.code,
            "hour_utc": format_instant(from_ms(row.hour * _HOUR_MS)),
            "questions": int(row.questions),
            "counted": False,
        }
        logbook.append(connection, logbook.make_entry("unredeemed", facts, now))
    connection.execute(delete(tally).where(*ended))
    connection.execute(delete(tally).where(tally.c.hour <= hour_of(now) - _DAY_HOURS))


def _count(connection: Connection, searcher: str, code: str, hour: int) -> None:
    _ONE_MORE.change(connection, {"searcher": searcher, "code": code, "hour": hour, "questions": 1})
