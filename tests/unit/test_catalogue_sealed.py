"""Encrypted catalogues open whole, in order and in their place, or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from elsewhere.catalogue import files, sealed
from elsewhere.catalogue.tags import Catalogue, ShortTags
from elsewhere.errors import CatalogueBroken
from elsewhere.published import CatalogueId, chunk_count

KEY = b"k" * 32
WHICH = CatalogueId("police", "involvement", 3, 7)
OTHERS = [
    replace(WHICH, custodian="nhs"),
    replace(WHICH, collection="concern"),
    replace(WHICH, epoch=4),
    replace(WHICH, version=8),
    CatalogueId("policeinvolvement", "", 3, 7),
]


def ascending(count: int) -> ShortTags:
    return np.arange(count, dtype=np.uint64) * np.uint64(2**40 + 1)


TAGS = ascending(300_000)  # two full chunks and a shorter one


@pytest.fixture(scope="module")
def chunks() -> list[bytes]:
    return list(sealed.seal_snapshot(TAGS, KEY, WHICH))


def test_a_snapshot_opens_to_what_was_sealed(chunks: list[bytes]) -> None:
    opened = sealed.open_snapshot(chunks, KEY, WHICH, tag_count=len(TAGS))

    assert (opened == TAGS).all()
    assert opened.dtype == np.uint64
    assert not opened.flags.writeable
    assert [len(chunk) for chunk in chunks] == [2**20 + 16, 2**20 + 16, (300_000 - 2 * 131_072) * 8 + 16]


@pytest.mark.parametrize("count", [0, 1, 131_072, 131_073])
def test_sets_of_every_length_open(count: int) -> None:
    held = ascending(count)
    chunks = list(sealed.seal_snapshot(held, KEY, WHICH))

    assert len(chunks) == chunk_count(count)
    assert (sealed.open_snapshot(chunks, KEY, WHICH, tag_count=count) == held).all()


def test_chunks_open_one_by_one_so_a_fetch_can_go_on(chunks: list[bytes]) -> None:
    parts = [sealed.open_chunk(chunks[n], KEY, WHICH, position=(n, 3)) for n in (2, 0, 1)]

    assert (np.concatenate([parts[1], parts[2], parts[0]]) == TAGS).all()


def test_chunks_show_none_of_the_tags(chunks: list[bytes]) -> None:
    assert TAGS[-1].tobytes() not in chunks[-1]
    assert TAGS[-1].astype(">u8").tobytes() not in chunks[-1]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: [c[0][:-1] + bytes([c[0][-1] ^ 1]), c[1], c[2]],
        lambda c: [bytes([c[0][0] ^ 1]) + c[0][1:], c[1], c[2]],
        lambda c: c[:2],
        lambda c: [],
        lambda c: [c[0], c[1], c[2][:-8]],
        lambda c: [c[1], c[0], c[2]],
        lambda c: [c[0], c[0], c[2]],
        lambda c: [c[0], c[2]],
        lambda c: [*c, c[2]],
        lambda c: [c[0], b"", c[2]],
    ],
    ids=["tag altered", "data altered", "cut short", "empty", "chunk cut", "reordered", "repeated",
         "one left out", "one more", "chunk empty"],
)  # fmt: skip
def test_tampered_chunks_are_refused(
    chunks: list[bytes], spoil: Callable[[list[bytes]], list[bytes]]
) -> None:
    with pytest.raises(CatalogueBroken):
        sealed.open_snapshot(spoil(chunks), KEY, WHICH, tag_count=len(TAGS))


@pytest.mark.parametrize("which", OTHERS)
def test_chunks_of_another_catalogue_are_refused(chunks: list[bytes], which: CatalogueId) -> None:
    with pytest.raises(CatalogueBroken):
        sealed.open_snapshot(chunks, KEY, which, tag_count=len(TAGS))


def test_another_key_kind_or_count_opens_nothing(chunks: list[bytes]) -> None:
    with pytest.raises(CatalogueBroken):
        sealed.open_snapshot(chunks, b"x" * 32, WHICH, tag_count=len(TAGS))
    with pytest.raises(CatalogueBroken):
        sealed.open_snapshot(chunks, KEY, WHICH, tag_count=len(TAGS), kind=b"file")
    for count in (len(TAGS) - 1, len(TAGS) + 1, 131_072 * 4, 2**60, -1):
        with pytest.raises(CatalogueBroken):
            sealed.open_snapshot(chunks, KEY, WHICH, tag_count=count)


def test_a_custodian_that_seals_an_unsorted_set_is_caught() -> None:
    unsorted = np.array([2, 1], dtype=">u8").tobytes()
    chunk = AESGCM(KEY).encrypt(bytes(12), unsorted, WHICH.bind(b"snapshot", 0, 1))

    with pytest.raises(CatalogueBroken, match="ascending"):
        sealed.open_snapshot([chunk], KEY, WHICH, tag_count=2)
    with pytest.raises(CatalogueBroken):
        next(sealed.seal_snapshot(np.array([2, 1], dtype=np.uint64), KEY, WHICH))


def test_a_delta_opens_in_its_place_only() -> None:
    delta = ascending(512)
    ciphertext = sealed.seal_delta(delta, KEY, WHICH)

    assert (sealed.open_delta(ciphertext, KEY, WHICH, delta_size=512) == delta).all()
    for which in OTHERS:
        with pytest.raises(CatalogueBroken):
            sealed.open_delta(ciphertext, KEY, which, delta_size=512)
    for spoiled in (ciphertext[:-1], b"\0" + ciphertext[1:], ciphertext[:-1] + b"\0", b""):
        with pytest.raises(CatalogueBroken):
            sealed.open_delta(spoiled, KEY, WHICH, delta_size=512)
    with pytest.raises(CatalogueBroken):
        sealed.open_delta(ciphertext, KEY, WHICH, delta_size=511)
    with pytest.raises(CatalogueBroken):
        sealed.open_delta(ciphertext, b"x" * 32, WHICH, delta_size=512)


def test_two_deltas_of_one_version_never_share_a_nonce() -> None:
    one, two = (sealed.seal_delta(ascending(8) + np.uint64(n), KEY, WHICH) for n in (0, 1))

    assert one[:12] != two[:12]
    assert sealed.seal_delta(ascending(8), KEY, WHICH) == one


def test_the_smallest_and_largest_deltas_show_their_constant_size_only() -> None:
    assert len(sealed.seal_delta(ascending(512), KEY, WHICH)) == 12 + 512 * 8 + 16


def write(path: Path, tags: ShortTags = TAGS, salt: bytes = b"s") -> None:
    files.write_catalogue(path, Catalogue(tags), key=KEY, which=WHICH, random=lambda n: salt * n)


def test_a_file_opens_to_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "police.cat"
    overlaid = Catalogue(TAGS).with_delta(np.array([5], dtype=np.uint64))
    files.write_catalogue(path, overlaid, key=KEY, which=WHICH, random=bytes)

    read = files.read_catalogue(path, key=KEY, which=WHICH)

    assert (read.base == overlaid.merge()).all()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["police.cat"]


def test_every_file_has_a_key_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "a", salt=b"a")
    write(tmp_path / "b", salt=b"b")

    assert (tmp_path / "a").read_bytes()[48:64] != (tmp_path / "b").read_bytes()[48:64]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: b"",
        lambda d: d[:20],
        lambda d: b"X" + d[1:],
        lambda d: d[:40] + (2**40).to_bytes(8) + d[48:],
        lambda d: d[:40] + (1).to_bytes(8) + d[48:],
        lambda d: d[:8] + b"\0" + d[9:],
        lambda d: d[:-1],
        lambda d: d[: 48 + 2**20 + 16],
        lambda d: d + b"\0",
        lambda d: d[:1000] + bytes([d[1000] ^ 1]) + d[1001:],
    ],
    ids=["empty", "header cut", "magic", "count huge", "count small", "salt", "cut", "chunks missing",
         "more", "bit"],
)  # fmt: skip
def test_a_damaged_file_is_refused(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "police.cat"
    write(path)
    path.write_bytes(spoil(path.read_bytes()))

    with pytest.raises(CatalogueBroken):
        files.read_catalogue(path, key=KEY, which=WHICH)


def test_a_file_of_another_catalogue_or_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "police.cat"
    write(path)

    with pytest.raises(CatalogueBroken):
        files.read_catalogue(path, key=b"x" * 32, which=WHICH)
    for which in OTHERS:
        with pytest.raises(CatalogueBroken):
            files.read_catalogue(path, key=KEY, which=which)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "police.cat"
    write(path)
    before = path.read_bytes()

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        write(path, ascending(10))

    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["police.cat"]


def test_what_a_crash_left_beside_the_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "police.cat"
    (tmp_path / "police.cat.part").write_bytes(b"half")

    write(path)

    assert os.listdir(tmp_path) == ["police.cat"]


def test_a_missing_file_is_told_apart_from_a_broken_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.read_catalogue(tmp_path / "absent", key=KEY, which=WHICH)


def test_keys_of_another_length_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        files.write_catalogue(tmp_path / "x", Catalogue(TAGS), key=b"short", which=WHICH, random=bytes)
    with pytest.raises(ValueError, match="32 bytes"):
        sealed.seal_delta(ascending(4), b"short", WHICH)
    assert os.listdir(tmp_path) == []
