"""Ciphertext of catalogue pieces on disk: one file a piece, chunks behind their lengths.

Holds:    encrypted catalogues, to which the gateway has no key.
Refuses:  chunks out of order, too large, too many or too few; a piece appears whole or not at all.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from elsewhere.errors import PieceMissing, PieceRefused, StoreUnavailable
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


def read_chunks(path: Path, indices: range) -> Iterator[tuple[int, bytes]]:
    """Give some chunks of a piece that follow each other, with their indices.

    The file is open only while a chunk is read. Who takes none for hours would else keep on the disk what
    was superseded long ago, and no quota would count it.

    Raises:
        PieceMissing: it was superseded before it was read to the end.
        StoreUnavailable: the file has been cut short.
    """
    start, which = 0, None
    for index in range(indices.stop):
        with _open(path) as file:
            found = os.fstat(file.fileno())
            which = which or (found.st_ino, found.st_mtime_ns)
            if which != (found.st_ino, found.st_mtime_ns):
                raise PieceMissing("expected the piece to be cached; another one is in its place")
            file.seek(start)
            (size,) = _LENGTH.unpack(_whole(file.read(_LENGTH.size), _LENGTH.size))
            start = file.tell() + size
            if index < indices.start:
                continue
            chunk = _whole(file.read(size), size)
        yield index, chunk


def _open(path: Path) -> BinaryIO:
    """Open a piece to read it."""
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise PieceMissing("expected the piece to be cached; it has just been superseded") from None


def _whole(found: bytes, size: int) -> bytes:
    """Give what was read if it is all that should be there."""
    if len(found) != size:
        raise StoreUnavailable("expected a whole piece; the cached file is cut short")
    return found


def sweep(root: Path, pieces: list[CachedPiece]) -> None:
    """Remove files that no index entry names: a publication that broke off, a piece that was superseded."""
    kept = {piece_path(root, piece.name, piece.version) for piece in pieces}
    for path in root.rglob("*"):
        if path.is_file() and path not in kept:
            path.unlink()
