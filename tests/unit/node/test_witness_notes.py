"""What a witness keeps of a log that does not fit: the first of each log, and whatever is worse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select

from elsewhere.signing import SigningKey
from elsewhere.transparency.checkpoint import Checkpoint, log_origin, sign_checkpoint, stated_in
from node.ledger.witness import BEGUN_ANEW, BEHIND, FORKED, UNPROVEN, _begin, _put_aside, _Shown
from node.store.engine import open_store
from node.store.exchange import log
from node.store.ledger import watched

NOW = datetime(2026, 3, 2, tzinfo=UTC)
KEY = SigningKey.from_seed(b"1" * 32)
BEGUN = 1_700_000_000


def shown(number: int, size: int, root: int) -> _Shown:
    """A state of social care's log of some number."""
    origin = log_origin("northshire", "social", number)
    note = sign_checkpoint(Checkpoint(origin, size, bytes([root]) * 32), KEY).decode()
    return _Shown((1, "social"), stated_in(note), note, False)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """A witness's store, in which social care's log had ten entries."""
    (tmp_path / "store.sqlite").touch(0o600)
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    with store.write() as found:
        found.execute(insert(watched).values(agency="social", note=shown(0, 10, 1).note, seen_ms=1))
        yield found
    store.close()


def entries(connection: Connection) -> list[dict[str, object]]:
    return [json.loads(body) for body in connection.execute(select(log.c.body).order_by(log.c.seq)).scalars()]


def test_a_fork_after_the_log_was_begun_anew_is_kept(connection: Connection) -> None:
    _begin(connection, shown(BEGUN, 8, 2), shown(0, 10, 1).checkpoint, 0, NOW)
    fork = shown(BEGUN, 8, 3)
    assert _put_aside(connection, fork, (FORKED, NOW))
    assert [one["event"] for one in entries(connection)] == [BEGUN_ANEW, FORKED]
    assert connection.execute(select(watched.c.other_note)).scalar_one() == fork.note


def test_whatever_is_worse_is_kept_after_what_is_less_and_nothing_twice(connection: Connection) -> None:
    for what, is_news in (
        (BEHIND, True),
        (BEHIND, False),
        (UNPROVEN, True),
        (BEHIND, False),
        (FORKED, True),
        (FORKED, False),
        (UNPROVEN, False),
    ):
        assert _put_aside(connection, shown(0, 10, 7), (what, NOW)) is is_news
    found = entries(connection)
    assert [one["event"] for one in found] == [BEHIND, UNPROVEN, FORKED]
    assert [one.get("gateway") for one in found] == [None, 1, None]
