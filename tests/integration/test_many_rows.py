"""A child with several rows is found by the keys of each, and hundreds cost as many queries as none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
    """Statements on a connection."""

    def __init__(self, connection: Connection) -> None:
        self.statements = 0
        event.listen(connection, "before_cursor_execute", self._statement)

    def _statement(self, *_: Any) -> None:
        self.statements += 1


def _known(connection: Connection, tag: bytes) -> tuple[child.Holders, child.Child | None]:
    holders = holders_of_each(connection, "involvement", 1, [tag] + [bytes(32)] * 3)[0]
    group = holders.groups[0] if holders.groups else None
    return holders, child_of(connection, group, source_states(connection))


def test_many_rows_of_one_child_take_the_queries_of_none(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    visits = [
        {**ANN, "id": f"visit-{n}", "service": f"Ward {n}", "status": "closed", "seen": "01/02/2026"}
        for n in range(ROWS)
    ]
    load_rows(store, [*visits, {**ANN, "id": "now", "service": "Front door", "status": "open"}, BOB])
    tag = tag_each(KEYS["involvement", 1], [record_keys(person(ANN))[0].data])[0]

    with store.read() as connection:
        nobody = Counted(connection)
        assert _known(connection, bytes(32)) == (child.Holders((), (), b"", True, 0), None)
    with store.read() as connection:
        many = Counted(connection)
        holders, ann = _known(connection, tag)

    assert len(holders.groups) == 1
    assert ann is not None
    assert (ann.is_current, ann.service) == (True, "Front door")
    assert many.statements == nobody.statements
    store.close()


def test_a_key_is_found_where_it_stands_in_the_record_it_is_derived_from(store_url: str) -> None:
    """With a number in one of a child's two records only, all other keys stand at other places there."""
    store = open_store(store_url)
    rows = [{**ANN, "id": "first", "nhs": "9990000026"}, {**ANN, "id": "second", "nhs": ""}]
    load_rows(store, rows)
    keys = record_keys(person(rows[1]))
    tags = tag_each(KEYS["involvement", 1], [key.data for key in keys])

    with store.read() as connection:
        for key, tag in zip(keys, tags, strict=True):
            holders, _ = _known(connection, tag)
            assert len(holders.groups) == 1
            assert record_keys(Person.from_canonical(holders.person))[holders.ordinal] == key
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
