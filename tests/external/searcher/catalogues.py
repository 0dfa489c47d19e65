"""The catalogue of a custodian: fetched, verified, opened.

Source:   docs/protocol.md "Catalogues"; catalogue.proto.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from searcher.documents import document_type, open_envelope
from searcher.refusal import Refusal, require
from searcher.seal import Place, SealingKey, expand, framed

PER_CHUNK = 131_072
MOST_TAGS = 67_108_864
KEYS = {
    "custodian",
    "collection",
    "epoch",
    "version",
    "snapshot_version",
    "snapshot_count",
    "delta_size",
    "root",
    "padding_commitment",
    "published_utc",
}


@dataclass(slots=True)
class Reader:
    """Who reads: with these keys, pieces that this custodian signed."""

    agency: str
    keys: tuple[SealingKey, ...] = field(repr=False)
    custodian_public: bytes


@dataclass(slots=True)
class Catalogue:
    """One collection and epoch of one custodian, as far as it has been fetched."""

    custodian: str
    collection: str
    epoch: int
    version: int = 0
    snapshot_version: int = 0
    root: bytes = b""
    tags: set[int] = field(default_factory=set, repr=False)
    _key: bytes = field(default=b"", repr=False)

    def associated(self, kind: str, version: int, index: int, chunks: int) -> bytes:
        texts = ("elsewhere/catalogue/v1", kind, self.custodian, self.collection)
        numbers = (self.epoch, version, index, chunks)
        return b"".join(framed(t.encode()) for t in texts) + b"".join(n.to_bytes(8, "big") for n in numbers)

    def take(self, parts: Iterable[Any], reader: Reader) -> None:
        """Take what Fetch streams, piece by piece; an unsound one leaves what was held."""
        stream = iter(parts)
        for part in stream:
            require(part.WhichOneof("part") == "piece", "catalogue.broken", "a piece first")
            piece = part.piece
            stated = self._checked(piece, reader)
            chunks = [self._chunk(next(stream, None), index) for index in range(piece.chunks)]
            if stated["version"] == stated["snapshot_version"]:
                self._take_snapshot(piece, stated, chunks, reader)
            else:
                self._take_delta(stated, chunks[0])

    def _chunk(self, part: Any, index: int) -> bytes:
        is_next = part is not None and part.WhichOneof("part") == "chunk" and part.chunk.index == index
        require(is_next, "catalogue.broken", f"chunk {index}")
        return bytes(part.chunk.ciphertext)

    def _checked(self, piece: Any, reader: Reader) -> dict[str, Any]:
        """The statement of a piece, once it is sound and in turn."""
        kind = document_type("catalogue-statement")
        stated = open_envelope(piece.statement, kind, reader.custodian_public, KEYS).content
        named = (self.custodian, self.collection, self.epoch)
        require(
            (stated["custodian"], stated["collection"], stated["epoch"]) == named, "catalogue.broken", "ours"
        )
        said = (piece.custodian, piece.collection, piece.epoch, piece.version, piece.snapshot_version)
        is_truthful = said == (*named, stated["version"], stated["snapshot_version"])
        require(is_truthful, "catalogue.broken", "a piece that repeats its statement")
        is_snapshot = stated["version"] == stated["snapshot_version"]
        require(0 < stated["snapshot_count"] <= MOST_TAGS, "catalogue.broken", "as many tags as we take")
        expected = -(-stated["snapshot_count"] // PER_CHUNK) if is_snapshot else 1
        require(piece.chunks == expected, "catalogue.broken", f"{expected} chunks")
        require(stated["version"] > self.version, "catalogue.broken", "a version above the one held")
        follows = (
            stated["version"] == self.version + 1 and stated["snapshot_version"] == self.snapshot_version
        )
        require(is_snapshot or follows, "catalogue.broken", "the next version on the snapshot held")
        return stated

    def _take_snapshot(self, piece: Any, stated: dict[str, Any], chunks: list[bytes], reader: Reader) -> None:
        version = stated["version"]
        grant = next((g.sealed for g in piece.grants if g.searcher == reader.agency), None)
        if grant is None:
            raise Refusal("catalogue.missing", "a grant to us")
        about = self.associated("key", version, 0, 1)
        place = Place(self.custodian, reader.agency, "catalogue-key", about, 0)
        key = open_with_any(reader.keys, grant, place)
        require(len(key) == 32, "catalogue.broken", "a snapshot key of 32 bytes")
        clear = b"".join(
            _decrypt(
                key, index.to_bytes(12, "big"), data, self.associated("snapshot", version, index, len(chunks))
            )
            for index, data in enumerate(chunks)
        )
        tags = _tags(clear)
        require(len(tags) == stated["snapshot_count"], "catalogue.broken", "as many tags as stated")
        root = snapshot_root(clear)
        require(root.hex() == stated["root"], "catalogue.broken", "the signed root")
        self.version, self.snapshot_version, self.root = version, version, root
        self.tags, self._key = set(tags), key

    def _take_delta(self, stated: dict[str, Any], chunk: bytes) -> None:
        version = stated["version"]
        key = delta_key(self._key, version)
        clear = _decrypt(key, chunk[:12], chunk[12:], self.associated("delta", version, 0, 1))
        tags = _tags(clear)
        require(len(tags) == stated["delta_size"], "catalogue.broken", "as many tags as stated")
        root = delta_root(self.root, clear)
        require(root.hex() == stated["root"], "catalogue.broken", "the signed root")
        self.version, self.root = version, root
        self.tags.update(tags)


def open_with_any(keys: Iterable[SealingKey], sealed: bytes, place: Place) -> bytes:
    """Open with whichever of our keys it was sealed to."""
    for key in keys:
        try:
            return key.open(sealed, place)
        except Refusal:
            continue
    raise Refusal("seal.broken", "bytes sealed to one of our keys")


def snapshot_root(clear: bytes) -> bytes:
    return hashlib.sha256(b"elsewhere/catalogue/snapshot-root/v1" + clear).digest()


def delta_root(before: bytes, clear: bytes) -> bytes:
    return hashlib.sha256(b"elsewhere/catalogue/delta-root/v1" + before + clear).digest()


def delta_key(snapshot_key: bytes, version: int) -> bytes:
    return expand(snapshot_key, b"elsewhere/catalogue/delta/v1" + version.to_bytes(8, "big"), 32)


def _tags(clear: bytes) -> list[int]:
    """Short tags, 8 bytes each, ascending without repeats."""
    require(len(clear) % 8 == 0, "catalogue.broken", "whole tags")
    tags = [int.from_bytes(clear[at : at + 8], "big") for at in range(0, len(clear), 8)]
    require(all(a < b for a, b in itertools.pairwise(tags)), "catalogue.broken", "ascending tags")
    return tags


def _decrypt(key: bytes, nonce: bytes, data: bytes, associated: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(nonce, data, associated)
    except (InvalidTag, ValueError):
        raise Refusal("catalogue.broken", "a chunk of this catalogue") from None
