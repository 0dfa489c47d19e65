"""What a node has signed of its log binds it: any later change of the log or of a checkpoint shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from elsewhere.signing import SigningKey
from elsewhere.transparency.checkpoint import Checkpoint, log_origin, open_checkpoint, sign_checkpoint
from elsewhere.transparency.merkle import leaf_hash
from node.errors import LedgerDamaged
from node.ledger import book
from node.ledger.checkpoints import Signer, newest_size, sign_newest
from node.ledger.tree import read_edge
from node.ledger.verify import read_whole
from node.store.engine import Store, open_store
from node.store.exchange import log
from node.store.ledger import checkpoint, edge

NOW = datetime(2026, 3, 2, tzinfo=UTC)
KEY = SigningKey.from_seed(bytes(range(32)))
SIGNER = Signer("example", "police", KEY)
ORIGIN = log_origin("example", "police")


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A log of 300 entries with checkpoints at 1, 10 and 300."""
    opened = open_store(store_url)
    with opened.write() as connection:
        for number in range(1, 301):
            book.append(connection, book.make_entry("asked", {"number": number}, NOW))
            if number in (1, 10, 300):
                assert sign_newest(connection, SIGNER, NOW) == number
    yield opened
    opened.close()


def verify(store: Store) -> tuple[int, int]:
    with store.read() as connection:
        found = read_whole(connection, ORIGIN, KEY.public)
    return found.entries, found.checkpoints


def newest_note(connection: Connection) -> str:
    newest = select(checkpoint.c.note).where(checkpoint.c.size == newest_size(connection))
    return str(connection.execute(newest).scalar_one())


def test_a_sound_log_is_found_sound(store: Store) -> None:
    assert verify(store) == (300, 3)


def test_nothing_is_signed_twice_or_of_an_empty_log(store: Store, tmp_path: object) -> None:
    with store.write() as connection:
        assert sign_newest(connection, SIGNER, NOW) is None
        connection.execute(delete(edge))
        assert sign_newest(connection, SIGNER, NOW) is None


def test_the_newest_checkpoint_states_the_log_as_it_is(store: Store) -> None:
    with store.read() as connection:
        note, found = newest_note(connection), read_edge(connection)
    seen = open_checkpoint(note.encode(), ORIGIN, KEY.public)
    assert (seen.checkpoint.size, seen.checkpoint.root) == (300, found.root)


def rewrite_last(connection: Connection) -> None:
    """Entry, its hash and the edge, all made to fit."""
    body = b'{"number":301}'
    connection.execute(update(log).where(log.c.seq == 300).values(body=body, digest=leaf_hash(body)))


def forge_checkpoint(connection: Connection) -> None:
    note = sign_checkpoint(Checkpoint(ORIGIN, 10, bytes(32)), SigningKey.from_seed(bytes(32)))
    connection.execute(update(checkpoint).where(checkpoint.c.size == 10).values(note=note.decode()))


def state_otherwise(connection: Connection) -> None:
    note = sign_checkpoint(Checkpoint(ORIGIN, 10, bytes(32)), KEY).decode()
    connection.execute(update(checkpoint).where(checkpoint.c.size == 10).values(note=note))


def move_checkpoint(connection: Connection) -> None:
    note = newest_note(connection)
    connection.execute(update(checkpoint).where(checkpoint.c.size == 10).values(note=note))


def slip_in(connection: Connection) -> None:
    entry = book.make_entry("asked", {"number": 0}, NOW)
    row = {"seq": 301, "time_ms": 1, "kind": "asked", "digest": entry.digest, "body": entry.body}
    connection.execute(insert(log).values(row))


DAMAGES: dict[str, tuple[Callable[[Connection], object], str]] = {
    "body altered": (lambda c: c.execute(update(log).where(log.c.seq == 7).values(body=b"{}")), "entry 7"),
    "entry removed": (lambda c: c.execute(delete(log).where(log.c.seq == 7)), "entry 7"),
    "first removed": (lambda c: c.execute(delete(log).where(log.c.seq == 1)), "entry 1"),
    "cut": (lambda c: c.execute(delete(log).where(log.c.seq > 200)), "expected 300 entries"),
    "rewritten": (rewrite_last, "signed at 300"),
    "slipped in": (slip_in, "the tree over these"),
    "edge altered": (lambda c: c.execute(update(edge).values(size=1, hashes=bytes(32))), "the tree over"),
    "checkpoint of another": (forge_checkpoint, "checkpoint at 10"),
    "checkpoint of another log state": (state_otherwise, "signed at 10"),
    "checkpoint moved": (move_checkpoint, "it is one at 300"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_was_done_beside_the_node_shows(store: Store, damage: str) -> None:
    do, words = DAMAGES[damage]
    with store.write() as connection:
        do(connection)
    with pytest.raises(LedgerDamaged, match=words):
        verify(store)
