"""Catalogues at rest: one encrypted file each, replaced whole or not at all.

Holds:    the node's catalogue key while a file is written or read.
Refuses:  a file altered, cut short, of another catalogue or version, or under another key.

A file is 8 bytes of magic, a 32-byte salt, the number of tags in 8 bytes, then chunks as in `sealed`. The
salt gives each file a key of its own, since chunk numbers serve as nonces.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from elsewhere.catalogue.sealed import (
    CHUNK_SIZE,
    GCM_TAG_SIZE,
    KEY_SIZE,
    MAX_CHUNKS,
    open_snapshot,
    seal_snapshot,
)
from elsewhere.catalogue.tags import SHORT_TAG_SIZE, Catalogue
from elsewhere.errors import CatalogueBroken
from elsewhere.keyfiles import replacing
from elsewhere.published import CatalogueId
from elsewhere.random import RandomBytes

MAGIC = b"ELSWCAT1"
_SALT_SIZE = 32
_COUNT_SIZE = 8
_KIND = b"file"


def write_catalogue(
    path: Path, catalogue: Catalogue, *, key: bytes, which: CatalogueId, random: RandomBytes
) -> None:
    """Write a catalogue so that a crash at any moment leaves the old file or the new one.

    Args:
        path: replaced; its folder must exist. The file is readable by its owner alone (0600).
        catalogue: written merged.
        key: the node's own, 32 bytes; the same for all its files.
        which: what `read_catalogue` must name to open it.
        random: gives the file's salt.
    """
    tags, salt = catalogue.merge(), random(_SALT_SIZE)
    with replacing(path) as file:
        file.write(MAGIC + salt + len(tags).to_bytes(_COUNT_SIZE))
        for chunk in seal_snapshot(tags, _file_key(key, salt), which, kind=_KIND):
            file.write(chunk)


def read_catalogue(path: Path, *, key: bytes, which: CatalogueId) -> Catalogue:
    """Open a file into anonymous memory.

    Raises:
        CatalogueBroken: not such a file, altered, or of another catalogue or version. Delete it, fetch again.
        FileNotFoundError: there is none.
    """
    with path.open("rb") as file:
        header = file.read(len(MAGIC) + _SALT_SIZE + _COUNT_SIZE)
        if len(header) != len(MAGIC) + _SALT_SIZE + _COUNT_SIZE or not header.startswith(MAGIC):
            raise CatalogueBroken("expected a catalogue file; this is none, or of another version")
        salt, count = header[len(MAGIC) : -_COUNT_SIZE], int.from_bytes(header[-_COUNT_SIZE:])
        # The count is not authentic yet, and memory is taken for it; so the file's size must bear it out.
        if not 0 <= count * SHORT_TAG_SIZE <= min(os.fstat(file.fileno()).st_size, MAX_CHUNKS * CHUNK_SIZE):
            raise CatalogueBroken("the catalogue file is cut short")
        tags = open_snapshot(_chunks(file), _file_key(key, salt), which, tag_count=count, kind=_KIND)
    return Catalogue(tags)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    """Read ciphertexts until the file ends."""
    while chunk := file.read(CHUNK_SIZE + GCM_TAG_SIZE):
        yield chunk


def _file_key(key: bytes, salt: bytes) -> bytes:
    """Derive the key of one file from the node's and the file's salt."""
    if len(key) != KEY_SIZE:
        raise ValueError(f"a catalogue key has {KEY_SIZE} bytes")
    return HKDF(SHA256(), KEY_SIZE, salt, b"elsewhere/catalogue/file/v1").derive(key)
