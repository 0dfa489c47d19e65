"""Stores of any size for timing lookups: a few hundred records loaded as always, and random rows beside them.

Promises: a filler row is a random tag that no question ever meets, in the table of tags and in the catalogue,
          so that searches go as deep as with real ones. Such a store measures lookups and nothing else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench.people import MAPPING, children, write_export
from node.caseload.job import LoadJob
from node.caseload.load import load_file
from node.caseload.mapping import read_mapping
from node.caseload.report import LoadReport
from node.caseload.tagkeys import FolderKeys
from node.config import load_config
from node.store.engine import open_store

TAGS_A_RECORD = 41  # what records of several names and homes have: docs/linkage.md
BATCH = 200_000


def load(directory: Path, *, seed: int, count: int, workers: int = 0) -> LoadReport:
    """Load made-up children into a node's store as an operator would."""
    export, mapping = directory / "bench.csv", directory / "bench.toml"
    write_export(export, children(seed), count)
    mapping.write_text(MAPPING, "utf-8")
    store = open_store(load_config(directory).store_url)
    try:
        keys = FolderKeys(directory, store)
        job = LoadJob(store, keys, datetime.now(UTC), directory, allow_fewer=True, workers=workers)
        return load_file(export, read_mapping(mapping), job)
    finally:
        store.close()


def make_filler(path: Path, records: int) -> None:
    """Write so many random tags as `records` have, sorted, to a file that many stores are filled from."""
    count = records * TAGS_A_RECORD
    random = np.random.default_rng(records)
    heads = np.sort(random.integers(0, 2**64, count, dtype=np.uint64)).astype(">u8").tobytes()
    partial = path.with_suffix(".part")
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(partial)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("CREATE TABLE filler (tag BLOB PRIMARY KEY) WITHOUT ROWID")
        for start in range(0, count, BATCH):
            size = min(BATCH, count - start)
            tails = random.bytes(24 * size)
            db.executemany("INSERT OR IGNORE INTO filler VALUES (?)", _rows(heads, tails, start, size))
            db.commit()
    partial.replace(path)


def _rows(heads: bytes, tails: bytes, start: int, size: int) -> Iterator[tuple[bytes]]:
    for index in range(size):
        head = (start + index) * 8
        yield (heads[head : head + 8] + tails[index * 24 : index * 24 + 24],)


def fill(store: Path, filler: Path, collections: tuple[str, ...]) -> None:
    """Put the filler's tags into a store and into what its catalogues show; real rows stay as they are."""
    with closing(sqlite3.connect(store)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("ATTACH ? AS other", (str(filler),))
        for collection in collections:
            (number,) = db.execute("SELECT id FROM tag_set WHERE collection = ?", (collection,)).fetchone()
            (load,) = db.execute("SELECT max(id) FROM load WHERE state = 'DONE'").fetchone()
            db.execute(
                "INSERT OR IGNORE INTO tag (set_id, tag, record_id, ordinal) "
                "SELECT ?, tag, -2, 0 FROM other.filler ORDER BY tag",
                (number,),
            )
            db.execute(
                "INSERT OR IGNORE INTO entry (set_id, short, load_id) "
                "SELECT ?, substr(tag, 1, 8), ? FROM other.filler ORDER BY tag",
                (number, load),
            )
            db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def forget_questions(store: Path) -> None:
    """Empty the counters of an agency's limits, which a day of benchmarks would fill; its node is down."""
    with closing(sqlite3.connect(store)) as db:
        db.execute("DELETE FROM question")
        db.execute("DELETE FROM tally")
        db.commit()
