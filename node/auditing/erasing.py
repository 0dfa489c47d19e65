"""The end of knowing whom an entry of the log was about, also in a store that is restored from a backup.

Holds:    in the node's folder, which entries' salts were destroyed. It names nobody: an entry by its hash,
          a record by its number in a list that is destroyed.
Promises: what is to be destroyed is written down before it is, so that a backup from before brings nobody
          back: whoever begins a log after a restore, and each start of the node, does it again.
Source:   docs/ledger.md, "One child"; docs/operations.md, "Restoring from a backup".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, delete, select, update

from elsewhere.canonical import Json, canonical_json
from elsewhere.keyfiles import replace_file
from node.auditing.subjects import naming
from node.errors import StateDamaged
from node.ledger import book
from node.statefile import whole
from node.store.exchange import subject

FILE_NAME: Final = "erased.jsonl"
SALT_BYTES: Final = 32
_AT_ONCE: Final = 500
_MOST: Final = 2**31


@dataclass(frozen=True, slots=True)
class Erased:
    """One record that one entry is to be connected with no more."""

    entry: str  # its leaf hash, hexadecimal
    record: int  # which of the list beside it, from 0
    of: int  # how many the list had then: a store that has fewer knows of this already


def erase(connection: Connection, directory: Path, child: tuple[str, str], now: datetime) -> int:
    """Destroy what connects the log with a record, and log that without saying with which.

    An entry may be about other children as well. For them it stays findable; its salt goes all the same, or
    whoever guesses the id that was erased could try it against the commitment.

    Args:
        connection: of a writer.
        directory: the node's folder.
        child: a source, and the person's id in it.
        now: aware UTC time.

    Returns: how many entries it was.

    Raises:
        StateDamaged: what was erased before cannot be read.
    """
    found = [
        Erased(digest.hex(), records.index([*child]), len(records))
        for digest, records in naming(connection, *child).items()
    ]
    if found:
        _write(directory, [*read_erased(directory), *found])
        _take_out(connection, found)
        book.append(connection, book.make_entry("erased", {"entries": len(found)}, now))
    return len(found)


def erase_again(connection: Connection, directory: Path, now: datetime) -> int:
    """Destroy anew what was destroyed before the store was set back, and log that.

    Returns: how many entries it was; none where the store is the one that it was done in.

    Raises:
        StateDamaged: what was erased cannot be read.
    """
    gone = _take_out(connection, read_erased(directory))
    if gone:
        book.append(connection, book.make_entry("erased", {"entries": gone, "is_again": True}, now))
    return gone


def read_erased(directory: Path) -> list[Erased]:
    """Give all that was ever erased, oldest first; raises StateDamaged."""
    try:
        lines = (directory / FILE_NAME).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    try:
        return [_parse(json.loads(line)) for line in lines]
    except (KeyError, TypeError, ValueError, RecursionError):
        raise StateDamaged(
            f"expected {FILE_NAME} as this node wrote it; it is changed. Put a copy of it back, or remove it "
            "and erase again what was to be erased"
        ) from None


def _parse(found: Mapping[str, Any]) -> Erased:
    entry, of = found["entry"], whole(found["of"], 1, _MOST)
    if len(bytes.fromhex(entry)) != 32:
        raise ValueError
    return Erased(entry, whole(found["record"], 0, of - 1), of)


def _write(directory: Path, erased: Iterable[Erased]) -> None:
    lines = (canonical_json(asdict(one)) + b"\n" for one in erased)
    replace_file(directory / FILE_NAME, b"".join(lines))


def _take_out(connection: Connection, erased: Iterable[Erased]) -> int:
    """Destroy salts and ids that are still there; gives of how many entries."""
    changed: set[str] = set()
    everything = [*erased]
    for at in range(0, len(everything), _AT_ONCE):
        some = everything[at : at + _AT_ONCE]
        entries = {bytes.fromhex(one.entry) for one in some}
        query = select(subject.c.digest, subject.c.records).where(subject.c.digest.in_(entries))
        rows = connection.execute(query)
        held = {bytes(row.digest).hex(): json.loads(row.records) for row in rows}
        touched = set()
        for one in some:
            records = held.get(one.entry, [])
            if len(records) == one.of:
                del records[one.record]
                touched.add(one.entry)
        for entry in touched:
            _keep(connection, bytes.fromhex(entry), held[entry])
        changed |= touched
    return len(changed)


def _keep(connection: Connection, digest: bytes, records: list[Json]) -> None:
    """Keep the other records of an entry, without its salt; nothing where there are none."""
    is_it = subject.c.digest == digest
    if not records:
        connection.execute(delete(subject).where(is_it))
        return
    kept = {"records": canonical_json(records).decode(), "salt": bytes(SALT_BYTES)}
    connection.execute(update(subject).where(is_it).values(**kept))
