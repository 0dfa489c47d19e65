"""Secret files: who may read them decides whether they are read at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from elsewhere.errors import KeyFileExposed, KeyFileMissing
from elsewhere.keyfiles import read_secret, replace_file, replacing, write_secret


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


def test_a_document_that_cannot_be_written_leaves_the_old_one_and_nothing_beside_it(tmp_path: Path) -> None:
    def write_half() -> None:
        with replacing(tmp_path / "a.json") as file:
            file.write(b"half of the n")
            raise OSError("no space left")

    replace_file(tmp_path / "a.json", b"old")
    with pytest.raises(OSError, match="no space"):
        write_half()

    assert (tmp_path / "a.json").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_what_a_crash_left_does_not_stand_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "a.json.part").write_bytes(b"half of a longer document")

    replace_file(tmp_path / "a.json", b"new")

    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_bytes() == b"new"


def test_a_new_name_is_made_durable_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[bool] = []
    sync = os.fsync

    def watched(handle: int) -> None:
        kinds.append(stat.S_ISDIR(os.fstat(handle).st_mode))
        sync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    replace_file(tmp_path / "a.json", b"new")
    write_secret(tmp_path / "a.key", b"secret")

    assert kinds == [False, True] * 2  # the file first, or the name could outlive what it names
