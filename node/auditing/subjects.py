"""What this agency told others about one of its own records.

Sees:     ids of this agency's own records; who asked about them, when and why.
Promises: what was agreed to be told to nobody (`SILENT`) is counted and not listed.
Source:   docs/ledger.md, "One child".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from elsewhere.canonical import canonical_json
from node.caseload.index import current_load
from node.errors import RecordUnknown
from node.ledger import book
from node.store.caseload import member, record
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

    Raises:
        RecordUnknown: neither the records in force nor the log know of it: a slip of the pen is no answer.
    """
    rows = naming(connection, source, person)
    if not rows and not _is_on_record(connection, source, person):
        raise RecordUnknown(
            "expected the name of a source and an id in it that this agency knows, written as there; "
            "neither its records nor its log have this one"
        )
    found = []
    for digest in rows:
        row = connection.execute(select(log.c.seq, log.c.body).where(log.c.digest == digest)).one_or_none()
        if row is not None:
            found.append({"log": row.seq, **json.loads(row.body)})
    found.sort(key=lambda entry: int(entry["log"]))
    shown = tuple(entry for entry in found if SILENT not in entry.get("obligations", []))
    return Told(shown, len(found) - len(shown))


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
    said = {"lookup_id": lookup_id, "note": "asked_in_error", "reason": reason}
    book.append(connection, book.make_entry("note", said, now))
    return True


def naming(connection: Connection, source: str, person: str) -> dict[bytes, list[list[str]]]:
    """The entries that are about this record, by digest, each with all records that it is about.

    The database narrows them down; whether one is meant is decided here, letter by letter: some engines take
    P-1a for P-1A, which is another child.
    """
    text = canonical_json([source, person]).decode()
    rows = connection.execute(
        select(subject.c.digest, subject.c.records).where(subject.c.records.contains(text, autoescape=True))
    )
    found = {bytes(row.digest): json.loads(row.records) for row in rows}
    return {digest: records for digest, records in found.items() if [source, person] in records}


def _is_on_record(connection: Connection, source: str, person: str) -> bool:
    """Whether the records in force have this one."""
    newest = current_load(connection)
    ours = (member.c.load_id == newest, member.c.record_id == record.c.id)
    refs = connection.execute(
        select(record.c.source, record.c.person_ref).where(
            *ours, record.c.source == source, record.c.person_ref == person
        )
    )
    return any((row.source, row.person_ref) == (source, person) for row in refs)
