"""A source that has ended is dropped: its records are in force no more, and nothing waits for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from elsewhere.cli.node import node as commands
from elsewhere.cli.node_sources import describe_sources, read_sources, sources_to_json
from node.caseload import index
from node.caseload import load as loading
from node.caseload.opening import loads_in_force
from node.caseload.remembered import is_remembered
from node.caseload.standing import standing_sources
from node.errors import LoadRunning
from node.keys.ring import KeyRing
from node.processes.rights import hold_right_to_load
from node.store.caseload import member, record, standing_shield
from node.store.engine import Store, open_store
from node.store.exchange import log
from node.storemark import read_mark, write_mark
from tests.caseload import ANN, BOB, EVA, MAPPING, NOW, write_csv


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A node with two sources, both of which hold Ann; the second says that her place must not come out."""
    (tmp_path / "node.toml").write_text('agency = "police"\nname = "Police"\n', "utf-8")
    KeyRing.create(tmp_path, tls_pem=b"pem", random=Random(3).randbytes)
    for name, rows in (("cases", [ANN, BOB]), ("visits", [ANN | {"shield": "place"}, EVA])):
        (tmp_path / f"{name}.toml").write_text(MAPPING.replace('"cases"', f'"{name}"'), "utf-8")
        export = write_csv(tmp_path / f"{name}.csv", rows)
        assert _run(tmp_path, "load", str(export), f"--mapping={tmp_path / name}.toml").exit_code == 0
    return tmp_path


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{folder / 'store.sqlite'}")
    yield opened
    opened.close()


def _run(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(commands, [*words, "--dir", str(folder)])


def _held(store: Store) -> set[tuple[str, str, str]]:
    with store.read() as conn:
        columns = record.c.source, record.c.person_ref, member.c.shield
        query = select(*columns).join(member, member.c.record_id == record.c.id)
        query = query.where(member.c.load_id == index.current_load(conn))
        return {tuple(row) for row in conn.execute(query)}


def test_a_dropped_source_is_gone_and_its_shields_stay_on_the_records_of_others(
    folder: Path, store: Store
) -> None:
    result = _run(folder, "drop-source", "visits", "--yes")

    assert result.exit_code == 0, result.output
    assert "visits is dropped: persons gone 2" in result.output
    assert _held(store) == {("cases", "1", "SHIELD_LOCATION"), ("cases", "2", "NONE")}
    with store.read() as conn:
        assert set(index.source_states(conn)) == {"cases"}
        assert set(conn.execute(select(record.c.source)).scalars()) == {"cases"}, "deleted, not only hidden"
        told = conn.execute(select(log.c.body).where(log.c.kind == "source_dropped")).scalar_one()
        assert json.loads(told)["source"] == "visits"
        assert conn.execute(select(standing_shield.c.source)).scalars().all() == ["visits"]
    assert "visits" not in _run(folder, "reload").output
    assert set(loads_in_force(folder)) == {"cases"}
    assert "there are: cases" in _run(folder, "drop-source", "visits", "--yes").output


def test_nothing_is_dropped_before_somebody_has_confirmed_it(folder: Path) -> None:
    result = _run(folder, "drop-source", "visits")

    assert result.exit_code == 1
    assert "source visits: 2 records" in result.output
    assert set(loads_in_force(folder)) == {"cases", "visits"}
    assert is_remembered(folder, "visits")


def test_nothing_is_dropped_while_a_load_runs(folder: Path, store: Store) -> None:
    with hold_right_to_load(folder, store):
        result = _run(folder, "drop-source", "visits", "--yes")

    assert isinstance(result.exception, LoadRunning)
    assert is_remembered(folder, "visits")
    assert len(_held(store)) == 4


def test_a_source_that_the_store_lost_is_awaited_no_more_once_it_is_dropped(folder: Path) -> None:
    for path in folder.glob("store.sqlite*"):
        path.unlink()
    assert [one.is_awaited for one in standing_sources(folder)] == [True, True]

    assert _run(folder, "drop-source", "visits", "--yes").exit_code == 0

    assert set(read_mark(folder).awaited or ()) == {"cases"}
    assert _run(folder, "reload").exit_code == 0
    assert read_mark(folder).awaited == {}, "all that is left to do is the change of keys"


def test_a_drop_that_was_killed_before_its_end_is_finished_by_giving_it_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = loads_in_force(folder)
    write_mark(folder, replace(read_mark(folder), awaited=loads))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loading, "stop_awaiting", killed)
        assert _run(folder, "drop-source", "visits", "--yes").exit_code != 0
    (left,) = [one for one in standing_sources(folder) if one.name == "visits"]
    assert (left.loaded_utc, left.is_awaited, left.is_remembered) == (None, True, True)

    assert _run(folder, "drop-source", "visits", "--yes").exit_code == 0
    assert [one.name for one in standing_sources(folder)] == ["cases"]
    assert set(read_mark(folder).awaited or ()) == {"cases"}


def test_the_sources_of_a_node_are_listed_with_their_counts_and_ages(folder: Path) -> None:
    found = read_sources(folder)
    assert found is not None
    cases = replace(found[0], made_utc=NOW, loaded_utc=NOW, is_remembered=False)
    late = NOW.replace(day=NOW.day + 8)

    assert [(one["name"], one["records"], one["stale"]) for one in sources_to_json(found, NOW) or ()] == [
        ("cases", 2, False),
        ("visits", 2, False),
    ]
    assert describe_sources([cases], late) == [
        "  source cases: 2 records, 8.0 days old, loaded 2026-03-02T09:00:00Z, "
        "OLDER THAN the 7 days of its mapping, not loaded again by itself"
    ]
    result = _run(folder, "status", "--json")
    assert [one["name"] for one in json.loads(result.stdout)["sources"]] == ["cases", "visits"]
    assert "source cases: 2 records" in _run(folder, "status").stdout


def test_status_says_what_it_can_where_the_store_cannot_be_read(folder: Path) -> None:
    (folder / "store.sqlite").write_bytes(b"no database")

    assert read_sources(folder) is None
    assert json.loads(_run(folder, "status", "--json").stdout)["sources"] is None
