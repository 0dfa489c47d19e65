"""`elsewhere node reload` of a node with a store: what was changed, what was lost, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from elsewhere.cli.node_load import load
from elsewhere.cli.node_reload import reload
from node.caseload import index
from node.caseload import reload as reload_module
from node.caseload.opening import loads_in_force
from node.keys.ring import KeyRing
from node.store.caseload import record
from node.store.engine import Store, open_store
from node.storemark import read_mark, write_mark
from tests.caseload import ANN, BOB, EVA, MAPPING, write_csv


@pytest.fixture
def node(tmp_path: Path, settled: None) -> Path:
    """The folder of a node with one source loaded."""
    (tmp_path / "node.toml").write_text('agency = "police"\nname = "Police"\n', "utf-8")
    (tmp_path / "mapping.toml").write_text(MAPPING, "utf-8")
    KeyRing.create(tmp_path, tls_pem=b"pem", random=Random(3).randbytes)
    path = write_csv(tmp_path / "export.csv", [ANN, BOB])
    given = [str(path), "--mapping", str(tmp_path / "mapping.toml"), "--dir", str(tmp_path)]
    assert CliRunner().invoke(load, given).exit_code == 0
    return tmp_path


@pytest.fixture
def store(node: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{node / 'store.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command waits for no writer, as there is none."""
    monkeypatch.setattr(reload_module, "SETTLE_S", 0.001)


def _again(node: Path, *options: str) -> Result:
    return CliRunner().invoke(reload, ["--dir", str(node), *options])


def test_what_was_loaded_by_hand_is_loaded_again_by_itself(node: Path, store: Store) -> None:
    assert "cases: unchanged" in _again(node).output
    write_csv(node / "export.csv", [ANN, EVA])

    result = _again(node)

    assert result.exit_code == 0
    assert "cases: 2 rows loaded, 1 of them new or changed, 1 persons gone, 0 rows refused" in result.output
    with store.read() as conn:
        assert set(conn.execute(select(record.c.person_ref)).scalars()) == {"1", "3"}


def test_into_a_store_that_was_put_back_every_source_is_loaded_again(node: Path) -> None:
    copy = (node / "store.sqlite").read_bytes()
    write_csv(node / "export.csv", [ANN, BOB, EVA])
    assert "3 rows loaded" in _again(node).output
    (node / "store.sqlite").write_bytes(copy)

    result = _again(node)

    assert (result.exit_code, "cases: 3 rows loaded, 1 of them new" in result.output) == (0, True), (
        result.output
    )
    assert not read_mark(node).awaited
    assert "cases: unchanged" in _again(node).output


def test_a_rollback_of_the_whole_machine_that_was_noticed_has_every_source_loaded_again(node: Path) -> None:
    (cases,) = loads_in_force(node).items()
    write_mark(node, replace(read_mark(node), awaited=dict([cases])))

    assert loads_in_force(node) == {}
    assert "cases: 2 rows loaded, 0 of them new" in _again(node).output
    assert not read_mark(node).awaited


def test_an_empty_store_in_the_place_of_another_has_every_source_loaded_again(node: Path) -> None:
    with (node / "node.toml").open("a") as config:
        config.write(f'[store]\nurl = "sqlite:///{node / "new.sqlite"}"\n')

    assert "cases: 2 rows loaded, 2 of them new" in _again(node).output
    assert not read_mark(node).awaited


def test_all_of_it_is_loaded_again_if_asked_for(node: Path) -> None:
    assert "cases: unchanged" in _again(node).output
    assert "cases: 2 rows loaded, 0 of them new" in _again(node, "--all").output


def test_an_export_that_is_refused_leaves_the_old_records_and_ends_with_1(node: Path, store: Store) -> None:
    write_csv(node / "export.csv", [ANN, *[EVA | {"status": "?"}] * 9])

    result = _again(node)

    assert result.exit_code == 1
    assert "error [load.refused]" in result.output
    assert "status.unknown 9; the old records stay in force" in result.output
    assert not any(word in result.output for word in ("Ann", "Leeworth", "Evangeline"))
    with store.read() as conn:
        assert index.record_count(conn) == 2


@pytest.mark.parametrize("value", ["0s", "1", "h", "1w", "-1h", "1.5h"])
def test_an_interval_that_is_none_is_a_usage_error(node: Path, value: str) -> None:
    assert CliRunner().invoke(reload, ["--dir", str(node), f"--every={value}"]).exit_code == 2
