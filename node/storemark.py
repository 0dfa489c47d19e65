"""A mark outside the store of how far it has come, so that an older one put in its place is noticed.

Holds:    number and digest of an entry of the log, in the node's folder; nothing of what is in it.

Others have catalogues, answers and receipts that a restored store knows nothing of. A version of a catalogue
would be made twice with different tags, and who holds the first would be told "nothing" about records that
are in the second alone. So what was stated before is never answered from such a store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, select

from elsewhere.keyfiles import replace_file
from node.caseload.index import current_load
from node.statefile import read_state, whole
from node.store.caseload import member
from node.store.exchange import log

FILE_NAME: Final = "store-mark.json"
_REMEDY: Final = (
    "Unless the store is the one that this node used last, restore that one. Then remove the file; if the "
    "store is older after all, order new keys with 'elsewhere node rotate epoch' and load every source again"
)


@dataclass(frozen=True, slots=True)
class StoreMark:
    """How far a store had come. Every version of a catalogue that was given out is in its log."""

    entry: int = 0  # the number of the newest entry of the log; 0: there is none
    digest: str = ""  # of that entry, hexadecimal
    has_records: bool = False  # whether any record was in force


def read_mark(directory: Path) -> StoreMark:
    """Give the mark that was written last; raises StateDamaged."""
    return read_state(directory / FILE_NAME, _parse, _REMEDY) or StoreMark()


def write_mark(directory: Path, mark: StoreMark) -> None:
    """Put a mark in the place of the one before."""
    replace_file(directory / FILE_NAME, json.dumps(asdict(mark)).encode())


def _parse(found: Mapping[str, Any]) -> StoreMark:
    """Read a mark."""
    entry, digest, has_records = whole(found["entry"], 0, 2**63 - 1), found["digest"], found["has_records"]
    if not isinstance(digest, str) or not isinstance(has_records, bool):
        raise TypeError
    if len(bytes.fromhex(digest)) != (32 if entry else 0):
        raise ValueError
    return StoreMark(entry, digest, has_records)


def mark_of(connection: Connection) -> StoreMark:
    """Give the mark of a store as it is now."""
    newest = connection.execute(select(log.c.seq, log.c.digest).order_by(log.c.seq.desc()).limit(1))
    row = newest.one_or_none()
    held = select(member.c.record_id).where(member.c.load_id == current_load(connection)).limit(1)
    has_records = connection.execute(held).first() is not None
    return StoreMark(row.seq, row.digest.hex(), has_records) if row else StoreMark(0, "", has_records)


def is_behind(connection: Connection, mark: StoreMark) -> bool:
    """Tell whether a store is not the one that was marked, at that moment or later."""
    if not mark.entry:
        return False
    found = connection.execute(select(log.c.digest).where(log.c.seq == mark.entry)).scalar_one_or_none()
    return found is None or found.hex() != mark.digest
