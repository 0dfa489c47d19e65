"""A mark outside the store of how far it has come, so that an older one put in its place is noticed.

Holds:    number and digest of an entry of the log, and the names of sources, in the node's folder.
Promises: once a store was set back, the mark says so until every source that was in force has been loaded
          again, or its people took the store as it is, and nothing that was stated before is stated any more.

Others have catalogues, answers and receipts that a restored store knows nothing of. A version of a catalogue
would be made twice with different tags, and who holds the first would be told "nothing" about records that
are in the second alone. What was loaded since is not in it either: of a child who came since, "nothing" would
be said until its source is loaded again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, select

from elsewhere.keyfiles import replace_file
from node.errors import StoreSetBack
from node.ledger import book
from node.processes.rights import hold_right_to_keys
from node.statefile import read_state, whole
from node.store.caseload import source
from node.store.engine import Store
from node.store.exchange import log

FILE_NAME: Final = "store-mark.json"
_REMEDY: Final = (
    "Unless the store is the one that this node used last, restore that one. Then remove the file; if the "
    "store is older after all, order new keys with 'elsewhere node rotate epoch' and load every source again"
)


@dataclass(frozen=True, slots=True)
class StoreMark:
    """How far a store had come. Every load and every snapshot that was given out is in its log."""

    entry: int = 0  # the number of the newest entry of the log; 0: there is none
    digest: str = ""  # of that entry, hexadecimal
    sources: tuple[str, ...] = ()  # in force, or awaited
    # After a set-back, each source that is to be loaded again, with its newest load as it was then, or 0.
    # None: there was no set-back, or all that follows from it is done.
    awaited: Mapping[str, int] | None = field(default=None, hash=False)

    def check_settled(self) -> None:
        """Return unless sources are to be loaded again; raises StoreSetBack, which names them."""
        if self.awaited:
            raise StoreSetBack(
                "expected every source that this node had to be loaded again, as its store was set back; "
                f"missing: {', '.join(sorted(self.awaited))}. Until then nobody can ask, or they were told "
                "that nothing was found. If what the store holds is all, run 'elsewhere node accept-store'"
            )


def read_mark(directory: Path) -> StoreMark:
    """Give the mark that was written last; raises StateDamaged."""
    return read_state(directory / FILE_NAME, _parse, _REMEDY) or StoreMark()


def write_mark(directory: Path, mark: StoreMark) -> None:
    """Put a mark in the place of the one before."""
    replace_file(directory / FILE_NAME, json.dumps(asdict(mark)).encode())


def _parse(found: Mapping[str, Any]) -> StoreMark:
    """Read a mark."""
    entry, digest = whole(found["entry"], 0, 2**63 - 1), found["digest"]
    if not isinstance(digest, str) or len(bytes.fromhex(digest)) != (32 if entry else 0):
        raise ValueError
    sources, awaited = found.get("sources", []), found.get("awaited")
    if not isinstance(sources, list) or not all(isinstance(name, str) for name in sources):
        raise TypeError
    if awaited is not None and not isinstance(awaited, dict):
        raise TypeError
    if awaited is not None:
        awaited = {name: whole(load, 0, 2**63 - 1) for name, load in awaited.items()}
    return StoreMark(entry, digest, tuple(sources), awaited)


def follow(held: StoreMark, connection: Connection, *, is_set_back: bool = False) -> StoreMark:
    """Give the mark to hold from now on: of the store as it is, and of what it waits for.

    Args:
        held: the mark until now.
        is_set_back: it is known that the store was set back, whatever the mark says.
    """
    newest = connection.execute(select(log.c.seq, log.c.digest).order_by(log.c.seq.desc()).limit(1))
    row = newest.one_or_none()
    loads = {name: int(load) for name, load in connection.execute(select(source.c.name, source.c.load_id))}
    awaited = held.awaited
    if is_set_back or is_behind(connection, held):
        awaited = {name: loads.get(name, 0) for name in {*held.sources, *(awaited or ()), *loads}}
    elif awaited is not None:
        awaited = {name: load for name, load in awaited.items() if loads.get(name, 0) <= load}
    sources = tuple(sorted({*loads, *(awaited or ())}))
    entry, digest = (row.seq, row.digest.hex()) if row is not None else (0, "")
    return StoreMark(entry, digest, sources, awaited)


def accept(directory: Path, store: Store, now: datetime) -> tuple[str, ...]:
    """Take what a store that was set back holds as all there is, and log that; no source is awaited any more.

    Returns: the sources that were awaited; none if there was nothing to accept.

    Raises: StateDamaged, StoreBusy, StoreUnavailable.
    """
    with hold_right_to_keys(directory, store):
        with store.write() as conn:
            mark = follow(read_mark(directory), conn)
            missing = tuple(sorted(mark.awaited or ()))
            if missing:
                book.append(conn, book.make_entry("store_accepted", {"missing": list(missing)}, now))
        if missing:
            with store.read() as conn:
                write_mark(directory, follow(replace(mark, awaited={}), conn))
    return missing


def stop_awaiting(directory: Path, store: Store, name: str) -> None:
    """Wait for a source no more that is none any more, as the store's log says.

    Raises: StateDamaged, StoreBusy, StoreUnavailable.
    """
    with hold_right_to_keys(directory, store), store.read() as conn:
        mark = follow(read_mark(directory), conn)
        if name in (mark.awaited or ()):
            rest = {source: load for source, load in (mark.awaited or {}).items() if source != name}
            write_mark(directory, follow(replace(mark, awaited=rest), conn))


def settled(mark: StoreMark) -> StoreMark:
    """Give the mark once nothing is stated any more that was before a set-back."""
    return mark if mark.awaited else replace(mark, awaited=None)


def is_behind(connection: Connection, mark: StoreMark) -> bool:
    """Tell whether a store is not the one that was marked, at that moment or later."""
    if not mark.entry:
        return False
    found = connection.execute(select(log.c.digest).where(log.c.seq == mark.entry)).scalar_one_or_none()
    return found is None or found.hex() != mark.digest
