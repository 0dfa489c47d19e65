"""Secret files: who may read them decides whether they are read at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from elsewhere.errors import KeyFileExposed, KeyFileMissing
from elsewhere.keyfiles import read_secret, replace_file, write_secret


def test_a_secret_is_written_for_its_owner_alone_and_read_back(tmp_path: Path) -> None:
    write_secret(tmp_path / "a.key", b"secret")

    assert read_secret(tmp_path / "a.key") == b"secret"
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600


def test_a_secret_is_never_overwritten(tmp_path: Path) -> None:
    write_secret(tmp_path / "a.key", b"secret")

    with pytest.raises(FileExistsError):
        write_secret(tmp_path / "a.key", b"other")
    assert read_secret(tmp_path / "a.key") == b"secret"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_secret_that_others_have_any_right_to_is_not_read(tmp_path: Path, mode: int) -> None:
    write_secret(tmp_path / "a.key", b"secret")
    (tmp_path / "a.key").chmod(mode)

    with pytest.raises(KeyFileExposed):
        read_secret(tmp_path / "a.key")


def test_a_link_to_a_secret_is_not_followed(tmp_path: Path) -> None:
    write_secret(tmp_path / "a.key", b"secret")
    (tmp_path / "b.key").symlink_to(tmp_path / "a.key")

    with pytest.raises(KeyFileExposed):
        read_secret(tmp_path / "b.key")


def test_a_secret_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileMissing, match=r"a\.key"):
        read_secret(tmp_path / "a.key")


def test_a_document_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    replace_file(tmp_path / "a.json", b"old")
    replace_file(tmp_path / "a.json", b"new")

    assert (tmp_path / "a.json").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
