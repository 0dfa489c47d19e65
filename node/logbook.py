"""The log: one entry for each answer given and each question asked, appended before anything is released.

Sees:     pseudonyms, purposes, digests; of the child only which of this agency's own groups it was.
Promises: append only. An entry's digest stands in the receipt that left, so neither can be altered alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from elsewhere.canonical import Json, canonical_json
from elsewhere.clock import to_ms
from elsewhere.random import RandomBytes
from node.store.exchange import log

# Crockford's base 32: no I, L, O or U, so that a reference survives being read out over a bad line.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that is not in the log yet. `digest` is SHA-256 of the canonical body."""

    kind: str
    time: datetime
    body: bytes = field(repr=False)
    call_reference: str | None = None
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha256(self.body).digest())


def make_entry(
    kind: str, facts: Mapping[str, Json], time: datetime, call_reference: str | None = None
) -> Entry:
    """Make an entry of one kind from its facts."""
    body = canonical_json({**facts, "kind": kind, "time_ms": to_ms(time), "call_reference": call_reference})
    return Entry(kind, time, body, call_reference)


def append(connection: Connection, entry: Entry) -> None:
    """Append inside the caller's transaction: the entry and what it is about become durable together."""
    connection.execute(
        log.insert().values(
            time_ms=to_ms(entry.time),
            kind=entry.kind,
            call_reference=entry.call_reference,
            digest=entry.digest,
            body=entry.body,
        )
    )


def new_call_reference(random: RandomBytes) -> str:
    """Draw the 8 characters by which both agencies find one answer again: 40 bits."""
    number = int.from_bytes(random(5))
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(35, -1, -5))
