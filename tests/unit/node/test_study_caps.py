"""Each cap counts its own: the project everybody, the researcher that project, the node all projects."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from node.ledger.tree import begin_anew
from node.store.engine import Store, open_store
from node.store.exchange import log
from node.studies import budget
from node.studies.budget import Caps, Charge, Left, Spender
from node.studies.errors import BudgetSpent
from node.studies.logged import SETTLED
from tests.unit.node.study_world import NOW

CAPS = Caps(project=1_000, researcher=600, node=2_000, period=timedelta(days=365))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")) as made:
        yield made


def spend(store: Store, project: str, who: str, nrho: int) -> None:
    """Charge, as for a share."""
    spender, qid = Spender(project, who), hashlib.sha256(f"{project} {who} {nrho}".encode()).digest()
    entry = budget.make_entry(budget.facts_of(qid, qid, {}, []), spender, nrho, NOW, bytes)
    made = Charge(qid, qid, spender, nrho, NOW + timedelta(hours=1), b"share", entry)
    with store.write() as connection:
        budget.put_charge(connection, made, CAPS, NOW)


def left(store: Store, project: str, who: str) -> Left:
    """What is left."""
    with store.read() as connection:
        return budget.read_left(connection, Spender(project, who), CAPS, NOW)


def test_each_cap_counts_its_own_and_nothing_else(store: Store) -> None:
    spend(store, "early-help", "ana", 100)
    spend(store, "early-help", "ben", 20)
    spend(store, "missing", "ana", 3)

    assert left(store, "early-help", "ana") == Left(project=880, researcher=500, node=1_877)
    assert left(store, "early-help", "ben") == Left(project=880, researcher=580, node=1_877)
    assert left(store, "missing", "ana") == Left(project=997, researcher=597, node=1_877)
    assert left(store, "another", "cy") == Left(project=1_000, researcher=600, node=1_877)


def test_the_nodes_cap_ends_a_project_that_has_spent_nothing(store: Store) -> None:
    for project in ("one", "two", "three", "four"):
        spend(store, project, "ana", 490)

    assert left(store, "five", "ben") == Left(project=1_000, researcher=600, node=40)
    with pytest.raises(BudgetSpent):
        spend(store, "five", "ben", 41)
    spend(store, "five", "ben", 40)


def test_what_was_settled_is_in_the_log(store: Store) -> None:
    with store.write() as connection:
        begin_anew(connection, NOW)
        assert budget.settle(connection, [(Spender("missing", "ana"), 7)], "the police know", NOW, bytes)

    with store.read() as connection:
        row = connection.execute(select(log).where(log.c.kind == SETTLED)).one()
    assert json.loads(row.body)["spent"] == [{"project": "missing", "researcher": "ana", "nrho": 7}]
    assert left(store, "missing", "ana").researcher == 593
