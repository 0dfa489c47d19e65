"""A steward's key: opened by the passphrase alone, and never used for two rosters of one version."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from elsewhere import passphrase
from elsewhere.canonical import canonical_json
from elsewhere.errors import DocumentInvalid, KeyFileExposed
from elsewhere.stewards import (
    SignedAlready,
    StewardCardInvalid,
    StewardKeyLocked,
    check_not_signed,
    make_steward,
    note_signed,
    open_card,
    read_steward,
    unlock_steward,
    write_card,
)
from tests.partnership import first_roster

NOW = datetime(2026, 9, 1, tzinfo=UTC)
PASSPHRASE = "correct horse battery"
FIRST = first_roster(issued=NOW, until=NOW + timedelta(days=90))
SECOND = replace(FIRST, version=2, previous_digest=FIRST.digest)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A locked key. Stretched less than in earnest, which the commands' test is for."""
    monkeypatch.setattr(passphrase, "_N", 2**4)
    make_steward(tmp_path / "k", "police", "A. Name", passphrase=PASSPHRASE, random=secrets.token_bytes)
    return tmp_path / "k"


def test_a_key_opens_with_its_passphrase_and_is_on_disk_locked(path: Path) -> None:
    key = unlock_steward(path, PASSPHRASE)

    assert key.steward == read_steward(path)
    assert key.signing.public == key.steward.key
    assert (key.steward.agency_id, key.steward.name) == ("police", "A. Name")
    assert path.stat().st_mode & 0o777 == 0o600
    assert key.signing.seed.hex().encode() not in path.read_bytes()
    assert key.signing.seed.hex() not in repr(key)


@pytest.mark.parametrize("passphrase", ["", "correct horse batterY", PASSPHRASE + " "])
def test_another_passphrase_does_not_open_it(path: Path, passphrase: str) -> None:
    with pytest.raises(StewardKeyLocked):
        unlock_steward(path, passphrase)


@pytest.mark.parametrize(
    "change",
    [{"agency_id": "social"}, {"name": "B"}, {"key": "00" * 32}, {"salt": "00" * 16}, {"locked": "00" * 48}],
    ids=str,
)
def test_a_key_file_that_was_changed_does_not_open(path: Path, change: dict[str, str]) -> None:
    path.write_bytes(canonical_json({**json.loads(path.read_bytes()), **change}))

    with pytest.raises(StewardKeyLocked):
        unlock_steward(path, PASSPHRASE)


@pytest.mark.parametrize("file", [b"", b"{}", b"[]", b'{"kind":"elsewhere steward key 1"}'])
def test_a_file_that_is_no_key_is_refused(path: Path, file: bytes) -> None:
    path.write_bytes(file)

    with pytest.raises(StewardKeyLocked):
        read_steward(path)


def test_a_key_that_others_can_read_is_refused(path: Path) -> None:
    path.chmod(0o640)

    with pytest.raises(KeyFileExposed):
        unlock_steward(path, PASSPHRASE)


@pytest.mark.parametrize(
    ("agency", "passphrase", "error"),
    [("police", "short", StewardKeyLocked), ("Police", PASSPHRASE, DocumentInvalid)],
)
def test_an_impossible_key_is_not_made(
    tmp_path: Path, agency: str, passphrase: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        make_steward(tmp_path / "k", agency, "N", passphrase=passphrase, random=secrets.token_bytes)
    assert not (tmp_path / "k").exists()


def test_a_card_is_read_back_and_holds_nothing_of_the_private_key(path: Path) -> None:
    key = unlock_steward(path, PASSPHRASE)
    card = write_card(key.steward)

    assert open_card(card) == key.steward
    assert key.signing.seed.hex().encode() not in card
    for file in (b"", b"{}", path.read_bytes(), card + b"x", b" " * 20_000):
        with pytest.raises(StewardCardInvalid):
            open_card(file)


def test_what_was_signed_is_signed_again_and_what_contradicts_it_is_not(path: Path) -> None:
    genesis = FIRST.digest
    check_not_signed(path, genesis, SECOND)
    note_signed(path, genesis, SECOND)

    check_not_signed(path, genesis, SECOND)
    check_not_signed(path, genesis, replace(SECOND, version=3))
    for of, roster in (
        (genesis, replace(SECOND, members=(), valid_until_utc=NOW + timedelta(days=900))),
        (genesis, FIRST),
        (bytes(32), replace(SECOND, version=3)),
    ):
        with pytest.raises(SignedAlready):
            check_not_signed(path, of, roster)
