"""A record is tagged once in each set, on one core or several, for as long as shield and rules stay."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Connection, event, select

from elsewhere.matchkeys import record_keys
from elsewhere.oprf.voprf import generate_key
from node.caseload import index, renewal, staging
from node.caseload.ending import is_tagged_in
from node.caseload.load import retag
from node.store.caseload import load, record, tag
from node.store.engine import Store, open_store
from tests import held
from tests.caseload import ANN, BOB, EVA, KEYS, found, job, load_rows, person

LATER = {**KEYS, ("involvement", 2): generate_key(Random(2).randbytes)}


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


def test_a_new_epoch_tags_the_records_held_in_the_new_set_alone(store: Store) -> None:
    first = load_rows(store, [ANN, BOB])
    with store.read() as conn:
        ids = set(conn.execute(select(record.c.id)).scalars())

    report = load_rows(store, [ANN, BOB, EVA], keys=LATER)

    new = 3 * len(record_keys(person(EVA)))
    assert (report.unchanged, report.tags) == (2, first.tags // 2 + new)
    with store.read() as conn:
        assert ids < set(conn.execute(select(record.c.id)).scalars())  # none had to be copied
        assert len(found(conn, person(ANN))) == 1
        assert np.array_equal(np.sort(_ordinals(conn, 1)), np.sort(_ordinals(conn, 3)))
        assert len(held.short_tags(conn, "involvement", 2)) == len(held.short_tags(conn, "involvement", 1))
    assert load_rows(store, [ANN, BOB, EVA], keys=LATER).tags == 0


def _ordinals(conn: Connection, set_id: int) -> NDArray[np.int64]:
    """Which record holds which ordinals in a set."""
    query = select(tag.c.record_id * 1000 + tag.c.ordinal).where(tag.c.set_id == set_id)
    return np.array(conn.execute(query).scalars().all())


def test_tagging_anew_commits_by_the_batch_whatever_the_reason(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [ANN | {"id": str(n), "given": f"Ann{chr(97 + n % 26)}{chr(97 + n // 26)}"} for n in range(400)]
    monkeypatch.setattr(renewal, "version", lambda: "0")
    load_rows(store, rows)
    monkeypatch.undo()
    commits: list[int] = []
    with store.read() as conn:
        event.listen(conn.engine, "commit", lambda _: commits.append(1))

    load_rows(store, rows)  # by other rules, so every record is copied
    copied, commits[:] = len(commits), []
    load_rows(store, rows, keys=LATER)

    # Nothing is committed record by record.
    assert copied < 100
    assert len(commits) < 100


def test_no_step_of_a_load_sorts_the_records_for_each_batch(tmp_path: Path) -> None:
    # Of SQLite alone: PostgreSQL plans by the size of its tables, and sorts a few rows whatever is asked.
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    load_rows(store, [ANN, BOB, EVA])
    asked: dict[str, Any] = {}
    with store.read() as conn:
        event.listen(
            conn.engine,
            "before_cursor_execute",
            lambda _c, _u, statement, given, _x, _m: asked.setdefault(statement, given),
        )
    load_rows(store, [ANN, BOB, EVA | {"shield": "place"}], keys=LATER)

    batched = {text: given for text, given in asked.items() if text.startswith("SELECT") and "LIMIT" in text}
    assert any("person" in text for text in batched)
    with store.read() as conn:
        for text, given in batched.items():
            plan = [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", given)]
            assert not [step for step in plan if "TEMP B-TREE" in step], text
    store.close()


def test_records_are_tagged_in_a_new_set_without_any_export(store: Store) -> None:
    load_rows(store, [ANN | {"shield": "place"}, BOB], source="cases")
    load_rows(store, [EVA], source="visits")
    with store.read() as conn:
        before = index.source_states(conn)

    report = retag(job(store, keys=LATER))

    with store.read() as conn:
        assert index.source_states(conn) == before
        assert index.record_count(conn) == 3
        new, old = (held.short_tags(conn, "involvement", epoch) for epoch in (2, 1))
        assert found(conn, person(ANN)) == {}
        assert len(found(conn, person(ANN), "protected")) == len(found(conn, person(EVA))) == 1
    assert len(new) == len(old) == report.tags == report.new_entries
    assert (report.read, report.children, report.shields) == (0, 3, {"NONE": 2, "SHIELD_LOCATION": 1})


def test_tags_of_an_epoch_go_with_its_key_and_can_be_made_again(store: Store) -> None:
    load_rows(store, [ANN, BOB], keys=LATER)
    retag(job(store))
    with store.read() as conn:
        assert set(conn.execute(select(tag.c.set_id)).scalars()) == {1, 3}

    retag(job(store, keys=LATER))

    with store.read() as conn:
        assert np.array_equal(np.sort(_ordinals(conn, 1)), np.sort(_ordinals(conn, 2)))


def test_records_tagged_by_other_match_key_rules_are_noticed_and_tagged_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "version", lambda: "0")
    load_rows(store, [ANN])
    with store.read() as conn:
        assert not is_tagged_in(conn, ())
    monkeypatch.undo()

    load_rows(store, [ANN])

    with store.read() as conn:
        assert is_tagged_in(conn, ())
        assert len(found(conn, person(ANN))) == 1


def test_worker_processes_give_the_same_tags_as_one_process(tmp_path: Path) -> None:
    random = Random(5)
    letters = "abcdefghiklmnopr"
    rows = [
        {"id": str(n), "given": "".join(random.choices(letters, k=4)), "dob": f"0{n % 9 + 1}/02/2014"}
        | {"family": "".join(random.choices(letters, k=4))}
        for n in range(450)
    ]
    shorts = []
    for workers in (1, 2):
        (folder := tmp_path / str(workers)).mkdir()
        store = open_store(f"sqlite:///{folder / 'store.sqlite'}")
        load_rows(store, rows, workers=workers)
        with store.read() as conn:
            shorts.append(held.short_tags(conn, "protected", 1))
        store.close()

    assert np.array_equal(shorts[0], shorts[1])


def test_what_a_load_brings_is_there_from_its_end_on_however_long_it_took(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count(0, 5400)
    monkeypatch.setattr(staging, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    load_rows(store, [ANN])
    with store.read() as conn:
        ((started, finished),) = conn.execute(select(load.c.started_utc, load.c.finished_utc)).all()
    assert finished - started == 5400
