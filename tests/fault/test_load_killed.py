"""A load that is killed changes nothing, whenever it is killed, and the next load is none the worse."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import func, select

from elsewhere.errors import StoreUnavailable
from node.caseload import index
from node.caseload import load as loading
from node.caseload.journal import BUCKETS
from node.caseload.load import retag
from node.store.caseload import entry, member, record, tag
from node.store.engine import Store, open_store
from tests import held
from tests.caseload import ANN, BOB, EVA, KEYS, folder_of, found, job, load_rows, path_of, person, write_csv
from tests.stores import PLACES

ROOT = Path(__file__).resolve().parents[2]


def _rows(count: int) -> list[dict[str, str]]:
    random = Random(9)
    letters = "abcdefghiklmnopr"
    return [
        {"id": f"N{n}", "given": "".join(random.choices(letters, k=4)), "dob": "05/06/2015"}
        | {"family": "".join(random.choices(letters, k=4))}
        for n in range(count)
    ]


ROWS = [EVA, BOB | {"shield": "place"}, *_rows(450)]


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    load_rows(opened, [ANN, BOB])
    yield opened
    opened.close()


@pytest.fixture
def in_file(tmp_path: Path) -> Iterator[Store]:
    """A store in a file: its size can be bounded, and what has nothing to do with engines is tried once."""
    opened = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    load_rows(opened, [ANN, BOB])
    yield opened
    opened.close()


def _state(store: Store) -> dict[str, Any]:
    """Everything of the caseload that anyone can see."""
    with store.read() as conn:
        records = [r for row in (ANN, BOB, EVA) for r in found(conn, person(row), "protected").values()]
        return {
            "load": index.current_load(conn),
            "records": records,
            "count": index.record_count(conn),
            "sources": index.source_states(conn),
            "shorts": {c: held.short_tags(conn, c, 1).tolist() for c in ("involvement", "protected")},
        }


def _run(store: Store, *steps: str) -> subprocess.Popen[str]:
    """Start a load of ROWS in a process of its own."""
    path = write_csv(folder_of(store) / "new.csv", ROWS)
    url = PLACES.url(folder_of(store))
    command = [sys.executable, "-m", "tests.fault.load_until", url, str(path), *steps]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("phase", "step", "workers"),
    [
        ("read", "1", "1"),
        ("group", "1", "1"),
        ("tag", "1", "2"),
        ("tag", "3", "1"),
        ("again", "1", "1"),
        ("store", "1", "1"),
        ("switch", "1", "1"),
    ],
)
def test_a_killed_load_changes_nothing_and_the_next_one_succeeds(
    store: Store, phase: str, step: str, workers: str
) -> None:
    before = _state(store)

    process = _run(store, phase, step, workers)
    out, err = process.communicate(timeout=100)

    assert process.returncode == -signal.SIGKILL, err
    assert "LOADED" not in out
    assert _state(store) == before

    load_rows(store, [ANN, BOB])
    after = _state(store)
    assert after["count"] == before["count"]
    assert after["shorts"] == before["shorts"]
    assert _rows_of_dead_loads(store) == 0
    assert [p.name for p in folder_of(store).iterdir() if p.name.startswith("loading-")] == []


def _rows_of_dead_loads(store: Store) -> int:
    """Rows that a killed load left and nobody has cleared away."""
    with store.read() as conn:
        current = index.current_load(conn)
        held = select(member.c.record_id).where(member.c.load_id == current)
        dead = (
            select(func.count()).select_from(record).where(record.c.id.not_in(held)),
            select(func.count()).select_from(tag).where(tag.c.record_id.not_in(held)),
            select(func.count()).select_from(member).where(member.c.load_id != current),
            select(func.count()).select_from(entry).where(entry.c.load_id > current),
        )
        return sum(conn.execute(query).scalar_one() for query in dead)


def test_tags_of_a_new_epoch_that_a_killed_load_left_are_made_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = {**KEYS, ("involvement", 2): KEYS["protected", 1]}

    def killed(phase: str, done: int, _total: int) -> None:
        if (phase, done) == ("store", BUCKETS):
            raise KeyboardInterrupt

    before = _state(store)
    monkeypatch.setattr(loading, "sweep", lambda *_: None)  # as if the power had gone
    with pytest.raises(KeyboardInterrupt):
        retag(job(store, keys=later), killed)
    monkeypatch.undo()
    with store.read() as conn:
        assert conn.execute(select(func.max(tag.c.set_id))).scalar_one() == 3
    assert _state(store) == before

    report = retag(job(store, keys=later))

    with store.read() as conn:
        made = select(func.count()).select_from(tag).where(tag.c.set_id == 3)
        assert conn.execute(made).scalar_one() == report.tags > 0
    assert _rows_of_dead_loads(store) == 0


def test_worker_processes_end_when_the_load_is_killed(in_file: Store) -> None:
    process = _run(in_file, "tag", "1", "2")
    # Workers inherit the error stream; it is closed, and this returns, when the last of them is gone.
    process.communicate(timeout=60)

    assert process.returncode == -signal.SIGKILL


def test_the_load_that_is_not_killed_takes_everything_over(in_file: Store) -> None:
    process = _run(in_file, "never", "1", "2")
    out, err = process.communicate(timeout=100)

    assert (process.returncode, out.split()) == (0, ["LOADED", "0"]), err
    with in_file.read() as conn:
        assert index.record_count(conn) == len(ROWS)
        assert found(conn, person(ANN)) == {}
        assert len(found(conn, person(EVA))) == 1


def test_a_running_node_reads_and_writes_while_another_process_loads(store: Store) -> None:
    process = _run(store, "never", "1", "2")
    try:
        seen = set()
        while process.poll() is None:
            with store.read() as conn:
                seen.add(
                    (index.record_count(conn), len(found(conn, person(ANN))), len(found(conn, person(EVA))))
                )
            with store.write() as conn:
                assert index.current_load(conn) >= 1
        _, err = process.communicate()
    finally:
        process.kill()
        process.wait()

    assert process.returncode == 0, err
    # The old caseload or the new one, nothing in between; and the new one in the end.
    old, new = (2, 1, 0), (len(ROWS), 0, 1)
    assert seen <= {old, new}
    with store.read() as conn:
        counts = [len(found(conn, person(row))) for row in (ANN, EVA)]
        assert (index.record_count(conn), *counts) == new


@pytest.mark.parametrize(("room", "resumed"), [(30, 0), (110, len(ROWS))])
def test_a_full_disk_refuses_the_load_and_changes_nothing_and_the_next_one_goes_on(
    in_file: Store, monkeypatch: pytest.MonkeyPatch, room: int, resumed: int
) -> None:
    store = in_file
    before = _state(store)
    with store.read() as conn:
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
    write = Store.write

    def write_on_a_full_disk(self: Store) -> Any:
        held = write(self)
        with self.read() as conn:
            conn.exec_driver_sql(f"PRAGMA max_page_count = {pages + room}")
        return held

    monkeypatch.setattr(Store, "write", write_on_a_full_disk)
    with pytest.raises(StoreUnavailable, match="full"):
        load_rows(store, ROWS)
    monkeypatch.undo()

    assert _state(store) == before
    again = open_store(f"sqlite:///{path_of(store)}")  # its connections have no such limit
    assert load_rows(again, ROWS).resumed == resumed
    again.close()
