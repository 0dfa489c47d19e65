"""The benchmark of killed loads strikes in every phase, and sees a store that differs or is half loaded."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from bench.killed import KILLS, plan
from bench.loadprocess import PHASES
from bench.visible import Loaded, loaded, visible
from node.store.engine import open_store
from tests.caseload import ANN, BOB, load_rows


@pytest.fixture
def node(tmp_path: Path) -> Path:
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    load_rows(store, [ANN, BOB])
    store.close()
    return tmp_path


def _change(node: Path, statement: str) -> None:
    with closing(sqlite3.connect(node / "store.sqlite")) as db:
        db.execute(statement)
        db.commit()


def test_kills_come_in_every_phase_and_at_the_switch() -> None:
    drawn = plan(KILLS, random.Random(1))

    assert KILLS >= 10
    assert set(Counter(kill.phase for kill in drawn)) == set(PHASES) - {"grouping by child"}
    assert any(kill.of_worker for kill in drawn)
    assert (drawn[-1].phase, drawn[-1].share) == ("storing tags", 1.0)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM tag WHERE rowid_of",
        "UPDATE tag SET tag = zeroblob(32) WHERE rowid_of",
        "DELETE FROM entry WHERE short = (SELECT min(short) FROM entry)",
        "UPDATE member SET group_id = (SELECT min(group_id) FROM member)",
    ],
)
def test_a_store_that_differs_in_one_row_is_told_apart(node: Path, statement: str) -> None:
    before = loaded(node)
    one = "tag = (SELECT min(tag) FROM tag)"

    _change(node, statement.replace("rowid_of", one))

    assert isinstance(before, Loaded)
    assert loaded(node) != before


def test_rows_of_a_load_that_is_under_way_are_not_seen_until_it_is_done(node: Path) -> None:
    before = visible(node)
    _change(node, "INSERT INTO load (id, state, started_utc) VALUES (99, 'STAGING', 1)")
    _change(node, "INSERT INTO member (load_id, record_id, group_id, shield) VALUES (99, 7, 7, 'NONE')")
    assert visible(node) == before

    _change(node, "UPDATE load SET state = 'DONE' WHERE id = 99")

    assert visible(node).records == 1
