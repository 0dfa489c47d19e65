"""Counting what fills limits reads that and nothing else, however much was refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, event, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex

from elsewhere.clock import from_ms, to_ms
from node.answering import guard
from node.answering.repeats import check_newest, core_of, is_asked_again, is_counted
from node.store.engine import Store, open_store
from node.store.exchange import COUNTED, question
from tests.unit.node.test_repeats import ASKED

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    yield opened
    opened.close()


def row(number: int, **changes: Any) -> dict[str, Any]:
    digest = number.to_bytes(32)
    made: dict[str, Any] = {
        "digest": digest,
        "nonce": digest[-16:],
        "lookup_id": digest[-16:],
        "core": digest,
    }
    made |= {"searcher": "social", "pseudonym": b"p" * 32, "received_ms": to_ms(NOW), "ruling": "{}"}
    return made | {"counted": False} | changes


def counts(connection: Connection, since: datetime) -> tuple[int, ...]:
    """What the guard counts since a moment: of the agency, of the person, of the person once more."""
    asked = {"searcher": "social", "pseudonym": b"p" * 32, "day": to_ms(since), "minute": to_ms(since)}
    return tuple(guard._COUNTS.row(connection, asked))


def plan(connection: Connection, statement: Any) -> str:
    """How SQLite would carry a statement out."""
    told: list[str] = []

    def explain(_: Any, cursor: Any, sql: str, parameters: Any, *__: Any) -> None:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
        told.extend(step[3] for step in cursor.fetchall())

    engine = connection.engine
    event.listen(engine, "before_cursor_execute", explain)
    try:
        statement()
    finally:
        event.remove(engine, "before_cursor_execute", explain)
    return "; ".join(told)


def stepped(store: Store, work: Callable[[Connection], Any]) -> tuple[Any, int]:
    """What some work on a store gives, and how many steps of SQLite's machine it takes."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    with store.read() as connection:
        raw: Any = connection.connection.dbapi_connection
        raw.set_progress_handler(step, 1)
        found = work(connection)
        raw.set_progress_handler(None, 0)
    return found, steps


def test_both_counts_are_range_reads_of_partial_indexes(store: Store) -> None:
    with store.read() as connection:
        found = plan(connection, lambda: counts(connection, NOW))
    assert found.count("INDEX question_agency_rate (searcher=? AND received_ms>?)") == 1
    assert found.count("INDEX question_person_rate (searcher=? AND pseudonym=? AND received_ms>?)") == 2


def test_forgetting_reads_what_is_kept_and_what_is_old_only(store: Store) -> None:
    old = question.c.received_ms < 1
    with store.write() as connection:
        kept = select(question.c.digest).where(question.c.request.is_not(None), old)
        assert "INDEX question_kept (received_ms<?)" in plan(connection, lambda: connection.execute(kept))
        removed = delete(question).where(old)
        assert "INDEX question_received (received_ms<?)" in plan(
            connection, lambda: connection.execute(removed)
        )


def test_refused_questions_are_in_neither_index_and_counting_steps_over_none(store: Store) -> None:
    with store.write() as connection:
        connection.execute(question.insert(), [row(n) for n in range(3000)])
        connection.execute(question.insert(), [row(n, counted=True) for n in range(3000, 3007)])
        connection.execute(question.insert(), [row(4000, counted=True, searcher="police")])
        connection.execute(question.insert(), [row(4001, counted=True, pseudonym=b"q" * 32)])
    found, steps = stepped(store, lambda connection: counts(connection, NOW - timedelta(days=1)))
    assert found == (8, 7, 7)
    assert steps < 300  # of SQLite's machine; one refused row alone would take some


def test_a_question_asked_in_vain_all_the_time_makes_no_asking_of_it_longer(store: Store) -> None:
    asked = to_ms(NOW)
    same = {"lookup_id": ASKED.lookup_id, "core": core_of(ASKED)}

    def work(connection: Connection) -> tuple[bool, bool]:
        newest = select(question).where(question.c.received_ms == asked)
        found = connection.execute(newest).one()
        check_newest(connection, found)
        again = is_asked_again(connection, ASKED, NOW + timedelta(minutes=1))
        return again, is_counted(connection, found, 5)

    taken = []
    with store.write() as connection:
        first = row(0, **same, received_ms=asked - 1, counted=True, redeem_digest=b"r" * 32, opened=6)
        connection.execute(question.insert(), [first])
        connection.execute(question.insert(), [row(1, **same, received_ms=asked)])
    for many in (range(2, 12), range(12, 3000)):
        refused = [row(n, **same, received_ms=asked - 2) for n in many]
        redeemed = [row(n + 5000, **same, received_ms=asked - 2, redeem_digest=b"r", opened=0) for n in many]
        with store.write() as connection:
            connection.execute(question.insert(), refused)
            connection.execute(question.insert(), redeemed)
        found, steps = stepped(store, work)
        assert found == (False, True)  # redeemed in vain, but often; and it opened other slots before
        taken.append(steps)
    assert taken[0] == taken[1]


def test_the_moment_itself_is_not_since(store: Store) -> None:
    with store.write() as connection:
        connection.execute(question.insert(), [row(1, counted=True)])
        assert counts(connection, NOW) == (0, 0, 0)
        assert counts(connection, from_ms(to_ms(NOW) - 1)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("dialect", "words"),
    [(sqlite.dialect, "WHERE counted IS 1"), (postgresql.dialect, "counted IS true")],
)
def test_the_indexes_are_partial_on_every_engine(dialect: Any, words: str) -> None:
    partial = [index for index in question.indexes if str(index.name).endswith("_rate")]
    assert len(partial) == 2
    for index in partial:
        assert words in str(CreateIndex(index).compile(dialect=dialect()))
    with_words = select(question.c.digest).where(COUNTED)
    assert words.removeprefix("WHERE ") in str(with_words.compile(dialect=dialect()))
