"""The log: one entry for each answer given and each question asked, appended before anything is released.

Sees:     pseudonyms, purposes, digests; of the child only a salted commitment to its own records' ids.
Promises: append only. An entry's digest stands in the receipt that left, so neither can be altered alone.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert

from elsewhere.canonical import Json, canonical_json
from elsewhere.clock import to_ms
from elsewhere.database.ready import Ready
from elsewhere.random import RandomBytes
from elsewhere.transparency.merkle import leaf_hash
from node.ledger.tree import Place, grow
from node.store.exchange import log, subject

SALT_BYTES: Final = 16
# Crockford's base 32: no I, L, O or U, so that a reference survives being read out over a bad line.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ADD_ENTRY = Ready(insert(log), "seq", "time_ms", "kind", "call_reference", "digest", "body")
_ADD_SUBJECT = Ready(insert(subject), "digest", "salt", "records")


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that is not in the log yet. `digest` is the leaf hash of its canonical body."""

    kind: str
    time: datetime
    body: bytes = field(repr=False)
    call_reference: str | None = None
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", leaf_hash(self.body))


def make_entry(
    kind: str,
    facts: Mapping[str, Json],
    time: datetime,
    call_reference: str | None = None,
    *,
    random: RandomBytes = secrets.token_bytes,
) -> Entry:
    """Make an entry of one kind from its facts.

    Its salt is for those who see hashes of entries: witnesses, the gateway, whoever gets the proof of an
    entry beside it. Without one the gateway, which knows ids and times of lookups, would try all the few
    things that can come of one until the hash fits, and so learn what did.
    """
    said: dict[str, Json] = {"kind": kind, "time_ms": to_ms(time), "call_reference": call_reference}
    body = canonical_json({**facts, **said, "salt": random(SALT_BYTES).hex()})
    return Entry(kind, time, body, call_reference)


@dataclass(frozen=True, slots=True)
class Subject:
    """Which of this agency's own records an entry is about, and the commitment that stands for them in it."""

    salt: bytes = field(repr=False)
    records: str = field(repr=False)  # canonical JSON list of [source, person id there]
    commitment: bytes


def make_subject(records: Iterable[tuple[str, str]], random: RandomBytes) -> Subject:
    """Commit to records under a fresh salt; to none of them after a miss, with the same work."""
    text = canonical_json([list(record) for record in records])
    salt = random(32)
    return Subject(salt, text.decode(), hmac.digest(salt, text, hashlib.sha256))


def append(connection: Connection, entry: Entry, about: Subject | None = None) -> Place:
    """Append inside the caller's transaction: the entry and whom it is about become durable together.

    Returns: where it stands in the log's tree, once the transaction is durable.
    """
    if about is not None:
        row = {"digest": entry.digest, "salt": about.salt, "records": about.records}
        _ADD_SUBJECT.change(connection, row)
    place = grow(connection, entry.digest)
    _ADD_ENTRY.change(
        connection,
        {
            "seq": place.index + 1,
            "time_ms": to_ms(entry.time),
            "kind": entry.kind,
            "call_reference": entry.call_reference,
            "digest": entry.digest,
            "body": entry.body,
        },
    )
    return place


def new_call_reference(random: RandomBytes) -> str:
    """Draw the 8 characters by which both agencies find one answer again: 40 bits."""
    number = int.from_bytes(random(5))
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(35, -1, -5))
