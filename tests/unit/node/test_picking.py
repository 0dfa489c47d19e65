"""What witnesses' signatures draw of a log, and of those that were begun anew."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete

from elsewhere.clock import from_ms
from elsewhere.transparency import draw
from elsewhere.transparency.checkpoint import Checkpoint, log_origin
from elsewhere.transparency.errors import ProofBroken
from elsewhere.transparency.frontier import Frontier
from elsewhere.transparency.merkle import leaf_hash
from node.auditing.drawing import Signed, State
from node.auditing.picking import UNSEEN_FOR, Lost, Picked, pick
from node.ledger import book
from node.store.engine import open_store
from node.store.exchange import log

NOW = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
FIRST = log_origin("northshire", "social")
BEGUN = log_origin("northshire", "social", 1_700_000_000)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    (tmp_path / "store.sqlite").touch(0o600)
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    with store.write() as found:
        yield found
    store.close()


def grow(connection: Connection, words: str) -> list[bytes]:
    """Put an entry a letter into the log; gives the bodies."""
    made = [book.make_entry("note", {"word": word}, NOW) for word in words]
    for entry in made:
        book.append(connection, entry)
    return [entry.body for entry in made]


def state(origin: str, bodies: list[bytes], at: datetime, mark: int = 7) -> State:
    """A log as a witness signed it."""
    found = Frontier()
    for body in bodies:
        found = found.append(leaf_hash(body))
    signature = int(at.timestamp()).to_bytes(8) + bytes([mark]) * 64
    return State(Checkpoint(origin, found.size, found.root), signature)


def by(*states: State) -> Signed:
    return Signed("police", NOW, states)


def covered(found: Picked) -> list[tuple[int, int, int]]:
    """Which signature is the first to cover which entries."""
    return [(one.signature[-1], one.start, one.stop) for one in found.fitted[0].held]


def test_what_was_seen_in_a_log_before_is_drawn_by_what_was_signed_then(connection: Connection) -> None:
    bodies = grow(connection, "abcdef")
    before = (state(FIRST, bodies[:2], NOW, 1), state(FIRST, bodies[:4], NOW, 2))
    found = pick(connection, [by(*before, state(BEGUN, bodies, NOW, 3))], 1)
    assert covered(found) == [(1, 0, 2), (2, 2, 4), (3, 4, 6)]
    assert found.fitted[0].lost == ()


def test_what_the_new_log_does_not_hold_is_named_though_it_is_as_long(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw, "RATE", 1.0)
    held = grow(connection, "ab")
    gone = [book.make_entry("asked", {"word": word}, NOW).body for word in "cd"]
    later = grow(connection, "efg")
    before = (state(FIRST, held, NOW - 9 * DAY), state(FIRST, held + gone, NOW - 2 * DAY))
    found = pick(connection, [by(*before, state(BEGUN, held + later, NOW))], 1)
    assert found.lost(NOW - 30 * DAY) == (Lost(FIRST, 2), Lost(FIRST, 3))
    assert found.lost(NOW - DAY) == ()
    assert found.places() == (0, 1, 2, 3, 4)


def test_a_log_that_is_not_the_one_begun_last_is_refused(connection: Connection) -> None:
    bodies = grow(connection, "abc")
    with pytest.raises(ProofBroken, match="it is another"):
        pick(connection, [by(state(FIRST, bodies, NOW), state(BEGUN, bodies[::-1][:2], NOW))], 1)
    connection.execute(delete(log).where(log.c.seq == 3))
    with pytest.raises(ProofBroken, match="there are 2"):
        pick(connection, [by(state(FIRST, bodies, NOW))], 1)


def test_a_question_is_no_older_than_witnesses_say(connection: Connection) -> None:
    bodies = grow(connection, "abc")
    seen = NOW - 20 * DAY
    found = pick(connection, [by(state(FIRST, bodies[:1], seen - DAY), state(FIRST, bodies, seen))], 1)
    assert not found.is_before(1, NOW - 300 * DAY, NOW - 30 * DAY)
    assert found.is_before(1, NOW - 300 * DAY, seen)
    assert found.is_before(2, seen - UNSEEN_FOR + DAY, seen)
    # Of what a witness found when it looked first it cannot say how old it was.
    assert found.is_before(0, NOW - 300 * DAY, NOW - 30 * DAY)
    assert from_ms(found.fitted[0].held[1].at_s * 1000) == seen
