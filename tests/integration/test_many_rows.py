"""A child with hundreds of rows costs as many queries, and as many persons read, as one nobody knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from elsewhere.matchkeys import record_keys
from elsewhere.oprf.voprf import tag_each
from elsewhere.person.identity import Person
from node.caseload import child
from node.caseload.child import child_of, holders_of_each
from node.caseload.index import source_states
from node.store.engine import open_store
from tests.caseload import ANN, BOB, KEYS, load_rows, person

ROWS = 300


class Counted:
    """Statements and persons read on a connection."""

    def __init__(self, connection: Connection, patch: pytest.MonkeyPatch) -> None:
        self.statements, self.persons = 0, 0
        event.listen(connection, "before_cursor_execute", self._statement)
        read = Person.from_canonical

        def counted(data: bytes) -> Person:
            self.persons += 1
            return read(data)

        patch.setattr(Person, "from_canonical", staticmethod(counted))

    def _statement(self, *_: Any) -> None:
        self.statements += 1


def _known(connection: Connection, tag: bytes) -> tuple[child.Holders, child.Child | None]:
    holders = holders_of_each(connection, "involvement", 1, [tag] + [bytes(32)] * 3)[0]
    group = holders.groups[0] if holders.groups else None
    return holders, child_of(connection, group, source_states(connection))


def test_many_rows_of_one_child_take_the_queries_of_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    visits = [
        {**ANN, "id": f"visit-{n}", "service": f"Ward {n}", "status": "closed", "seen": "01/02/2026"}
        for n in range(ROWS)
    ]
    load_rows(store, [*visits, {**ANN, "id": "now", "service": "Front door", "status": "open"}, BOB])
    tag = tag_each(KEYS["involvement", 1], [record_keys(person(ANN))[0].data])[0]

    with store.read() as connection:
        nobody = Counted(connection, monkeypatch)
        assert _known(connection, bytes(32)) == (child.Holders((), (), None, True, 0), None)
    with store.read() as connection:
        many = Counted(connection, monkeypatch)
        holders, ann = _known(connection, tag)

    assert len(holders.groups) == 1
    assert ann is not None
    assert (ann.is_current, ann.service) == (True, "Front door")
    assert (many.statements, many.persons) == (nobody.statements, 1)
    store.close()


def test_finding_a_child_reads_none_of_the_others(tmp_path: Path) -> None:
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    taken = []
    for others in (2, 40):
        store = open_store(f"sqlite:///{tmp_path / f'{others}.sqlite'}")
        load_rows(store, [ANN, *({**BOB, "id": f"other-{n}", "family": f"Other{n}"} for n in range(others))])
        tag = tag_each(KEYS["involvement", 1], [record_keys(person(ANN))[0].data])[0]
        with store.read() as connection:
            raw: Any = connection.connection.dbapi_connection
            holders_of_each(connection, "involvement", 1, [tag] * 4)
            steps = 0
            raw.set_progress_handler(step, 1)
            found = holders_of_each(connection, "involvement", 1, [tag] * 4)
            raw.set_progress_handler(None, 0)
        assert [len(held.groups) for held in found] == [1] * 4
        taken.append(steps)
        store.close()
    assert taken[0] == taken[1]  # of SQLite's machine
