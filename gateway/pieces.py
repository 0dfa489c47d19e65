"""Ciphertext of catalogue pieces on disk: one file a piece, chunks behind their lengths.

Holds:    encrypted catalogues, to which the gateway has no key.
Refuses:  chunks out of order, too large, too many or too few; a piece appears whole or not at all.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from elsewhere.errors import PieceMissing, PieceRefused
from elsewhere.keyfiles import Replacement
from gateway.store import CachedPiece, CatalogueName

MAX_CHUNK_BYTES = 1_048_592  # 1 MiB and the AES-GCM tag
_LENGTH = struct.Struct(">I")


class PieceWriter:
    """Takes the chunks of one piece in order, beside its final place, and then puts the whole there."""

    def __init__(self, path: Path, chunks: int, room_bytes: int) -> None:
        """Begin a piece of so many chunks, that may take so many bytes on the disk."""
        self._chunks, self._next, self._room_bytes = chunks, 0, room_bytes
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._new = Replacement(path)

    def add(self, index: int, ciphertext: bytes) -> None:
        """Append one chunk.

        Raises:
            PieceRefused: not the next one, of a size that no chunk has, or more than there is room for.
        """
        if index != self._next or index >= self._chunks:
            raise PieceRefused(f"expected chunk {self._next} of {self._chunks}, got {index}")
        if not 1 <= len(ciphertext) <= MAX_CHUNK_BYTES:
            raise PieceRefused(f"expected a chunk of 1..{MAX_CHUNK_BYTES} bytes, got {len(ciphertext)}")
        self._room_bytes -= _LENGTH.size + len(ciphertext)
        if self._room_bytes < 0:
            raise PieceRefused("expected no more than one custodian's share of the disk; this is over it")
        self._new.file.write(_LENGTH.pack(len(ciphertext)))
        self._new.file.write(ciphertext)
        self._next += 1

    def finish(self) -> None:
        """Make the piece durable and put it in its place.

        Raises:
            PieceRefused: chunks are missing.
        """
        if self._next != self._chunks:
            raise PieceRefused(f"expected {self._chunks} chunks, got {self._next}")
        self._new.finish()

    def abandon(self) -> None:
        """Leave nothing of an unfinished piece; harmless after `finish`."""
        self._new.abandon()


def piece_path(root: Path, name: CatalogueName, version: int) -> Path:
    """Where a piece lies. The parts of the name have been checked, so they cannot lead elsewhere."""
    return root / name.custodian / name.collection / str(name.epoch) / f"{version}.piece"


def read_chunks(path: Path, from_chunk: int) -> Iterator[tuple[int, bytes]]:
    """Give the chunks of a piece with their indices, from one of them on.

    A piece superseded meanwhile is read to its end: the open file stays.

    Raises:
        PieceMissing: it was superseded before it could be opened, or has been cut short.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise PieceMissing("expected the piece to be cached; it has just been superseded") from None
    with file:
        index = 0
        while head := file.read(_LENGTH.size):
            (size,) = _LENGTH.unpack(head)
            if index < from_chunk:
                file.seek(size, os.SEEK_CUR)
            else:
                chunk = file.read(size)
                if len(chunk) != size:
                    raise PieceMissing("expected a whole piece; the cached file is cut short")
                yield index, chunk
            index += 1


def sweep(root: Path, pieces: list[CachedPiece]) -> None:
    """Remove files that no index entry names: a publication that broke off, a piece that was superseded."""
    kept = {piece_path(root, piece.name, piece.version) for piece in pieces}
    for path in root.rglob("*"):
        if path.is_file() and path not in kept:
            path.unlink()
