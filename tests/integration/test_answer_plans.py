"""What a question asks of the store is found by keys: it takes no longer the more children there are."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select

from elsewhere.lookup import MAX_REVEALS
from node.caseload.child import child_of, holders_of_each
from node.caseload.index import source_states
from node.store.caseload import member, tag, tag_set
from node.store.engine import Store, open_store
from tests.caseload import ANN, BOB, EVA, load_rows

# A table of as many rows as there are records or tags, gone through as a whole or for all of one load.
WHOLE = ("SCAN member", "SCAN record", "SCAN tag", "(load_id=?)", "(set_id=?)")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    # Of SQLite alone, which plans by the statement: PostgreSQL plans by the size of its tables.
    opened = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    load_rows(opened, [ANN, BOB, EVA | {"shield": "place"}])
    return opened


@pytest.mark.parametrize("is_known", [True, False])
def test_no_statement_of_an_answer_goes_through_all_children(store: Store, is_known: bool) -> None:
    asked: list[tuple[str, Any]] = []
    with store.read() as conn:
        protected = select(tag_set.c.id).where(tag_set.c.collection == "protected").scalar_subquery()
        held = conn.execute(select(tag.c.tag).where(tag.c.set_id == protected)).scalars().first()
        group = conn.execute(select(member.c.group_id)).scalars().first()
        states = source_states(conn)
        event.listen(
            conn.engine,
            "before_cursor_execute",
            lambda _c, _u, statement, given, _x, _m: asked.append((statement, tuple(given))),
        )
        first = held if is_known and held is not None else bytes(32)
        tags = [first, *(secrets.token_bytes(32) for _ in range(MAX_REVEALS - 1))]
        found = holders_of_each(conn, "protected", 1, tags)
        child = child_of(conn, group if is_known else None, states)
    assert bool(found[0].groups) is is_known
    assert (child is not None) is is_known
    asked = asked[-5:]
    searched: set[str] = set()
    with store.read() as conn:
        for text, given in tuple(asked):
            steps = [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", given)]
            searched |= {step for step in steps if step.startswith("SEARCH")}
            assert not [step for step in steps if any(whole in step for whole in WHOLE)], text
    assert any("load_id=? AND group_id=?" in step for step in searched)
    assert any("load_id=? AND record_id=?" in step for step in searched)
    store.close()
