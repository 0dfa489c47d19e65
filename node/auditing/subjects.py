"""What this agency told others about one of its own records, and the end of knowing that.

Sees:     ids of this agency's own records; who asked about them, when and why.
Promises: what was agreed to be told to nobody (`SILENT`) is counted and not listed. Once the salts of a
          record are destroyed nothing in the log can be connected with it again, and the tree still holds.
Source:   docs/ledger.md, "One child".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, delete, select

from elsewhere.canonical import canonical_json
from node.ledger import book
from node.store.exchange import log, subject

SILENT: Final = "SILENT"
NOTE_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class Told:
    """Everything that the log knows to be about one record."""

    entries: tuple[dict[str, Any], ...] = field(repr=False)  # oldest first
    withheld: int  # entries that nobody is to be told of


def about(connection: Connection, source: str, person: str) -> Told:
    """Find who asked about a record of this agency and was answered from it.

    Args:
        source: as it was loaded under.
        person: the person's id in it.
    """
    rows = connection.execute(
        select(log.c.seq, log.c.body)
        .join(subject, subject.c.digest == log.c.digest)
        .where(_names(source, person))
        .order_by(log.c.seq)
    )
    found = [{"log": row.seq, **json.loads(row.body)} for row in rows]
    shown = tuple(entry for entry in found if SILENT not in entry.get("obligations", []))
    return Told(shown, len(found) - len(shown))


def erase(connection: Connection, source: str, person: str, now: datetime) -> int:
    """Destroy what connects the log with a record, and log that without saying with which.

    Returns: how many entries it was.
    """
    gone = connection.execute(delete(subject).where(_names(source, person))).rowcount
    if gone:
        book.append(connection, book.make_entry("erased", {"entries": gone}, now))
    return gone


def note_error(connection: Connection, lookup_id: str, reason: str, now: datetime) -> bool:
    """Note that a question was asked in error; the question stays. Gives whether there was such a question.

    Args:
        lookup_id: as the asker was shown it, hex.
        reason: in the asker's words, at most 200 characters.
    """
    asked: Sequence[bytes] = (
        connection.execute(select(log.c.body).where(log.c.kind == "asked")).scalars().all()
    )
    if not any(json.loads(body)["lookup_id"] == lookup_id for body in asked):
        return False
    said = {"lookup_id": lookup_id, "note": "asked_in_error", "reason": reason[:NOTE_CHARACTERS]}
    book.append(connection, book.make_entry("note", said, now))
    return True


def _names(source: str, person: str) -> ColumnElement[bool]:
    """That a row is about this record, among others perhaps."""
    return subject.c.records.contains(canonical_json([source, person]).decode(), autoescape=True)
