"""Messages to the duty desk (obligation NOTIFY_DESK): another agency was told of a child known here.

Sees:     entries of the log, and which of this agency's records they are about.
Promises: a message is durable with the answer, or neither is. What is to be told to nobody (`SILENT`) makes
          none, nor does an answer that found nothing; every answer costs the same write.
Source:   docs/desk.md, "Messages to the duty desk".
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from elsewhere.canonical import Json
from elsewhere.clock import Clock, from_ms, to_ms
from elsewhere.database.ready import Ready
from elsewhere.noticing import MAX_NOTICES, MAX_RECORDS, Notice, NoticeDone, NoticeGone
from node.ledger import book
from node.store.engine import Store
from node.store.exchange import log, subject
from node.store.reviewing import notice
from node.store.writer import Writer

_ADD = Ready(insert(notice), "digest", "time_ms", "is_open")


def is_notified(obligations: Collection[Json], *, found: bool) -> bool:
    """Whether the duty desk is to hear of an answer; `found`: it is about records of this agency."""
    return found and "NOTIFY_DESK" in obligations and "SILENT" not in obligations


def add_notice(connection: Connection, entry: book.Entry, *, is_open: bool) -> None:
    """Add the message about an answer, in the transaction that logs it; a row that is none looks the same."""
    _ADD.change(connection, {"digest": entry.digest, "time_ms": to_ms(entry.time), "is_open": is_open})


@dataclass(frozen=True, slots=True)
class Notices:
    """The messages as the desk serves them. Methods block."""

    store: Store
    writer: Writer
    clock: Clock

    def waiting(self) -> list[Notice]:
        """Give those that nobody has dealt with, the oldest first."""
        query = (
            select(notice.c.time_ms, log.c.body, subject.c.records)
            .join(log, log.c.digest == notice.c.digest)
            .outerjoin(subject, subject.c.digest == notice.c.digest)
            .where(notice.c.is_open.is_(True))
            .order_by(notice.c.time_ms, log.c.seq)
            .limit(MAX_NOTICES)
        )
        with self.store.read() as connection:
            return [_notice(row) for row in connection.execute(query)]

    def finish(self, done: NoticeDone, who: str) -> None:
        """Record durably that one was dealt with; raises NoticeGone, LogUnavailable."""
        self.writer.submit(partial(_finish, done=done, who=who, now=self.clock())).result()


def _finish(connection: Connection, done: NoticeDone, who: str, now: datetime) -> None:
    """Take one off the list, and log who dealt with it."""
    query = (
        select(notice.c.digest, notice.c.time_ms)
        .join(log, log.c.digest == notice.c.digest)
        .where(notice.c.is_open.is_(True), log.c.call_reference == done.reference)
        .order_by(notice.c.time_ms)
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NoticeGone("expected a message that waits for the duty desk; none has this reference")
    connection.execute(delete(notice).where(notice.c.digest == row.digest))
    facts: dict[str, Json] = {"entry": row.digest.hex(), "by": who, "told_ms": row.time_ms}
    book.append(connection, book.make_entry("notice_done", facts, now))


def forget_notices(connection: Connection) -> None:
    """Drop the rows that are no messages."""
    connection.execute(delete(notice).where(notice.c.is_open.is_(False)))


def _notice(row: Any) -> Notice:
    said = json.loads(row.body)
    return Notice(
        reference=said["call_reference"],
        searcher=said["counterparty"],
        purpose=said["purpose"],
        urgency=said["urgency"],
        state=said["state"],
        tier=said["tier"],
        told_utc=from_ms(row.time_ms),
        records=tuple((source, id) for source, id in json.loads(row.records or "[]"))[:MAX_RECORDS],
    )
