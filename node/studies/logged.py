"""What the log says was charged. The budget is worked out from tables beside it, and these must say the same.

Sees:     ids of projects and researchers, costs, times.
Refuses:  an entry that is not what its hash says.
Promises: a charge that stands in the log is in the budget, whatever became of its row: by a downgrade and an
          upgrade, by a repair or by hand. Others have seen the log; nobody but this node has seen the rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select

from elsewhere.transparency.merkle import leaf_hash
from node.errors import LedgerSetBack
from node.store.exchange import log
from node.store.studies import charge, settled

STUDY: Final = "study"  # kinds of entries
SETTLED: Final = "study_settled"

_SAME: Final = ("rh", "project", "researcher", "nrho", "time_ms")


def restore(connection: Connection) -> int:
    """Put back every charge that the log holds and the budget lacks, or has otherwise; its share is gone.

    Args:
        connection: of a writer.

    Returns: how many were put back.

    Raises:
        LedgerSetBack: an entry was altered, so what was charged cannot be known.
    """
    held = {bytes(row.qid): _kept(row._mapping) for row in connection.execute(select(charge))}
    settled_for = set(connection.execute(select(settled.c.number)).scalars())
    count = 0
    for kind, time_ms, body in _entries(connection):
        if kind == SETTLED and body["log"] not in settled_for:
            connection.execute(insert(settled).values(number=body["log"], time_ms=time_ms))
            settled_for.add(body["log"])
        for row in _charges(kind, time_ms, body):
            if held.get(row["qid"]) != _kept(row):
                connection.execute(delete(charge).where(charge.c.qid == row["qid"]))
                connection.execute(insert(charge).values(row))
                count += 1
    return count


def _entries(connection: Connection) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """The log's entries of studies, in their order."""
    columns = select(log.c.kind, log.c.time_ms, log.c.digest, log.c.body)
    for row in connection.execute(columns.where(log.c.kind.in_((STUDY, SETTLED))).order_by(log.c.seq)):
        if leaf_hash(bytes(row.body)) != bytes(row.digest):
            raise LedgerSetBack(
                "expected entries of the log as they were appended; one was altered. "
                "Run 'elsewhere audit verify' and tell your data protection officer"
            )
        yield row.kind, row.time_ms, json.loads(row.body)


def _charges(kind: str, time_ms: int, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows that an entry stands for: one of a study; of what people have settled, one for each line."""
    if kind == STUDY:
        yield _row(bytes.fromhex(body["qid"]), bytes.fromhex(body["rh"]), body, time_ms)
        return
    for place, line in enumerate(body["spent"]):
        stands_for = hashlib.sha256(f"{body['salt']}.{place}".encode()).digest()
        yield _row(stands_for, bytes(32), line, time_ms)


def _row(qid: bytes, rh: bytes, said: dict[str, Any], time_ms: int) -> dict[str, Any]:
    """One row of the budget, without a share."""
    of = {name: said[name] for name in ("project", "researcher", "nrho")}
    return {"qid": qid, "rh": rh, **of, "time_ms": time_ms, "until_ms": time_ms, "share": None}


def _kept(row: Any) -> tuple[Any, ...]:
    """What of a row must be as the log says."""
    return tuple(bytes(row[name]) if name == "rh" else row[name] for name in _SAME)
