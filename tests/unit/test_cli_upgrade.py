"""`node upgrade` and `gateway upgrade` say what they will do, ask for a backup, and refuse a store in use."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from elsewhere.cli.main import commands
from elsewhere.database.engine import open_database
from elsewhere.database.revisions import StoreVersionWrong
from elsewhere.errors import StoreBusy
from gateway.store import Store as GatewayStore
from node.store.engine import Store as NodeStore
from node.store.engine import open_store

VECTORS = Path(__file__).resolve().parent.parent / "vectors/store"
SETTINGS = {
    "node": 'agency = "police"\nname = "Police"\n',
    "gateway": 'federation = "northshire"\nlisten = "127.0.0.1:0"\n',
}
OPEN: dict[str, Callable[[str], GatewayStore | NodeStore]] = {"node": open_store, "gateway": GatewayStore}
BOTH = pytest.mark.parametrize("whose", ["node", "gateway"])


@pytest.fixture
def folder(whose: str, tmp_path: Path) -> Path:
    """A folder with settings and a store of version 0.1.0."""
    (tmp_path / f"{whose}.toml").write_text(SETTINGS[whose])
    path = tmp_path / "store.sqlite"
    path.touch(0o600)
    raw = sqlite3.connect(path)
    raw.executescript((VECTORS / f"{whose}-0.1.0.sql").read_text("utf-8"))
    raw.close()
    return tmp_path


def type_(whose: str, folder: Path, *words: str, answer: str = "") -> Result:
    return CliRunner().invoke(commands, [whose, "upgrade", "--dir", str(folder), *words], input=answer)


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'store.sqlite'}"


@BOTH
def test_a_store_of_0_1_0_is_brought_on_and_back(whose: str, folder: Path) -> None:
    with pytest.raises(StoreVersionWrong, match=f"elsewhere {whose} upgrade"):
        OPEN[whose](url(folder))

    onwards = type_(whose, folder, answer="y\n")
    assert onwards.exit_code == 0
    assert "0002  Hands the store's version over" in onwards.output
    OPEN[whose](url(folder)).close()
    assert "nothing was changed" in type_(whose, folder).output
    back = type_(whose, folder, "--to", "0001", "--yes")
    assert "0002  is undone" in back.output
    with pytest.raises(StoreVersionWrong):
        OPEN[whose](url(folder))


@BOTH
def test_without_a_backup_nothing_is_changed(whose: str, folder: Path) -> None:
    assert type_(whose, folder, answer="n\n").exit_code == 1
    assert type_(whose, folder).exit_code == 1  # nobody is there to answer
    with pytest.raises(StoreVersionWrong):
        OPEN[whose](url(folder))


@BOTH
def test_a_store_in_use_is_left_alone(whose: str, folder: Path) -> None:
    other = open_database(url(folder))
    with other.read() as conn:
        conn.exec_driver_sql("SELECT count(*) FROM sqlite_master")

    refused = type_(whose, folder, "--yes")
    other.close()

    assert isinstance(refused.exception, StoreBusy)
    with pytest.raises(StoreVersionWrong):
        OPEN[whose](url(folder))


@BOTH
def test_a_version_that_is_none_is_refused(whose: str, folder: Path) -> None:
    assert "expected one of 0001, 0002" in type_(whose, folder, "--to", "7").output
