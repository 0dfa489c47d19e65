"""The gateway's store: whose file it is, what a bad URL means, how little of a catalogue a fetch reads."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from elsewhere.errors import ConfigInvalid, StoreUnavailable
from elsewhere.keyfiles import StoreExposed
from gateway.store import CachedPiece, CatalogueName, Chain, Store

NAME = CatalogueName("police", "involvement", 1)


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'store.sqlite'}"


def piece(version: int, snapshot: int = 1, name: CatalogueName = NAME) -> CachedPiece:
    return CachedPiece(name, version, snapshot, 1, b"signed %d" % version)


def test_a_new_store_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    store = Store(url_of(tmp_path))
    store.put_statement("police", b"signed")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    store.close()

    assert modes == {0o600}


def test_a_store_that_others_can_read_is_refused(tmp_path: Path) -> None:
    Store(url_of(tmp_path)).close()
    (tmp_path / "store.sqlite").chmod(0o644)

    with pytest.raises(StoreExposed):
        Store(url_of(tmp_path))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "sqlite://",
        "sqlite:///:memory:",
        "nosuch://user:secret@host/db",
        "oracle+none://secret@h",
    ],
)
def test_a_url_that_names_no_database_is_a_mistake_of_the_settings_and_is_not_quoted(url: str) -> None:
    with pytest.raises(ConfigInvalid) as refusal:
        Store(url)

    assert "secret" not in str(refusal.value)


def test_a_missing_folder_or_another_file_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        Store(url_of(tmp_path / "nowhere"))
    (tmp_path / "store.sqlite").write_bytes(b"something else entirely" * 100)
    (tmp_path / "store.sqlite").chmod(0o600)
    with pytest.raises(StoreUnavailable):
        Store(url_of(tmp_path))


def test_a_database_that_fails_in_use_is_unavailable_to_every_caller(tmp_path: Path) -> None:
    store = Store(url_of(tmp_path))
    store.close()
    (tmp_path / "store.sqlite").write_bytes(b"damaged" * 1000)
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"store.sqlite{suffix}").unlink(missing_ok=True)

    with pytest.raises(StoreUnavailable):
        store.statements()
    with pytest.raises(StoreUnavailable):
        store.put_seen({"police": datetime(2026, 9, 1, tzinfo=UTC)})


def test_a_piece_that_another_process_kept_meanwhile_is_kept_once(store_url: str) -> None:
    one, other = Store(store_url), Store(store_url)
    one.put_piece(piece(1), {}, [])
    with pytest.raises(StoreUnavailable):
        other.put_piece(piece(1), {}, [])
    assert other.chain(NAME) == Chain(snapshot_version=1, newest=1, pieces=1)
    one.close()
    other.close()


def test_a_chain_is_known_without_being_read_and_given_from_any_version_on(store_url: str) -> None:
    store = Store(store_url)
    other = CatalogueName("police", "involvement", 2)
    assert store.chain(NAME) is None
    for version in range(1, 5):
        store.put_piece(piece(version), {}, [])
    store.put_piece(piece(7, 7, other), {}, [])

    assert store.chain(NAME) == Chain(snapshot_version=1, newest=4, pieces=4)
    assert [one.version for one in store.pieces(NAME, above=2)] == [3, 4]
    assert len(store.pieces_of("police", "involvement")) == len(store.all_pieces()) == 5
    store.put_piece(piece(5, 5), {}, store.pieces(NAME))
    assert store.chain(NAME) == Chain(snapshot_version=5, newest=5, pieces=1)
    store.close()
