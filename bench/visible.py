"""What a node's store shows of its caseload to whoever asks, and what a finished load has put into it.

Sees:     counts, and digests of tags; no person.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

_CURRENT = "(SELECT max(id) FROM load WHERE state = 'DONE')"


@dataclass(frozen=True, slots=True)
class Visible:
    """What anybody could see at one moment, which is all of one load and nothing of another."""

    records: int
    children: int
    sources: tuple[tuple[str, bytes, int], ...]  # name, digest of its export, rows in force


@dataclass(frozen=True, slots=True)
class Loaded:
    """All that a load leaves: what is seen, and every tag with the row it leads to."""

    visible: Visible
    entries: int  # of the catalogues
    tags: int  # in the table, those of nobody included
    digest: str  # of every tag in force with its set, row and key


def visible(node: Path) -> Visible:
    """Look at one consistent moment of a store, as a node that runs would."""
    with closing(_open(node)) as db:
        db.execute("BEGIN")
        records, children = db.execute(
            f"SELECT count(*), count(DISTINCT group_id) FROM member WHERE load_id = {_CURRENT}"
        ).fetchone()
        sources = db.execute("SELECT name, digest, rows FROM source ORDER BY name").fetchall()
    return Visible(records, children, tuple(sources))


def entries(node: Path) -> int:
    """Count what the node's catalogues show."""
    with closing(_open(node)) as db:
        ((found,),) = db.execute(f"SELECT count(*) FROM entry WHERE load_id <= {_CURRENT}")
    return int(found)


def loaded(node: Path) -> Loaded:
    """Read everything; it takes a few seconds a million tags."""
    whole = hashlib.sha256()
    with closing(_open(node)) as db:
        ((tags,),) = db.execute("SELECT count(*) FROM tag")
        for row in db.execute(
            "SELECT tag_set.collection, tag_set.epoch, tag.tag, record.person_ref, tag.ordinal FROM tag "
            "JOIN tag_set ON tag_set.id = tag.set_id JOIN record ON record.id = tag.record_id "
            f"JOIN member ON member.record_id = record.id AND member.load_id = {_CURRENT} "
            "ORDER BY 1, 2, 3, 4, 5"
        ):
            whole.update(repr(row).encode())
    return Loaded(visible(node), entries(node), tags, whole.hexdigest())


def _open(node: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{node / 'store.sqlite'}?mode=ro", uri=True, timeout=60)
