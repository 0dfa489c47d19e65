"""What a custodian signs about a version of its catalogue, and what that version is called.

Refuses:  statements with unknown, missing or impossible values.

Every member must see the same root for the same version; one that is shown another catalogue than its
peers, so that its questions can be told apart, holds a different root and can prove it. A gateway reads these
statements too, and caches nothing without one; how tags and roots are made it cannot know.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from elsewhere.canonical import Json
from elsewhere.errors import DocumentInvalid
from elsewhere.fields import Fields, as_instant, as_text, format_instant
from elsewhere.roster import AGENCY_ID
from elsewhere.statement import COLLECTION, MAX_EPOCH

ROOT_SIZE: Final = 32
MAX_VERSION: Final = 2**53 - 1  # what JSON numbers carry exactly
MAX_TAGS: Final = 2**32
MAX_DELTA_SIZE: Final = 2**17 - 4  # one chunk, nonce included
TAGS_PER_CHUNK: Final = 2**17


@dataclass(frozen=True, slots=True)
class CatalogueId:
    """Which catalogue, at which version; bound into every chunk."""

    custodian: str
    collection: str
    epoch: int
    version: int

    def bind(self, kind: bytes, index: int, chunks: int) -> bytes:
        """Write the associated data of one chunk: each part behind its length, or of fixed width."""
        parts = (b"elsewhere/catalogue/v1", kind, self.custodian.encode(), self.collection.encode())
        lengths = b"".join(len(part).to_bytes(2) + part for part in parts)
        return lengths + b"".join(n.to_bytes(8) for n in (self.epoch, self.version, index, chunks))


def chunk_count(tag_count: int) -> int:
    """Give the number of chunks of a set; an empty one has one empty chunk, so its absence shows."""
    return max(1, -(-tag_count // TAGS_PER_CHUNK))


@dataclass(frozen=True, slots=True)
class CatalogueStatement:
    """One published version of one catalogue. Versions rise by one with each snapshot and delta."""

    custodian: str
    collection: str
    epoch: int
    version: int
    snapshot_version: int  # of the snapshot that the deltas since then build on
    snapshot_count: int  # tags in that snapshot, padding included
    delta_size: int  # tags in every delta, padding included
    root: bytes  # 32 bytes, after this version
    padding_commitment: bytes  # 32 bytes
    published_utc: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "published_utc", as_instant(self.published_utc, "published_utc"))
        as_text(self.custodian, "custodian", AGENCY_ID)
        as_text(self.collection, "collection", COLLECTION)
        for name, low, high in (
            ("epoch", 0, MAX_EPOCH),
            ("version", 1, MAX_VERSION),
            ("snapshot_version", 1, self.version),
            ("snapshot_count", 1, MAX_TAGS),
            ("delta_size", 1, MAX_DELTA_SIZE),
        ):
            if not low <= getattr(self, name) <= high:
                raise DocumentInvalid(name, f"expected a whole number from {low} to {high}")
        for name in ("root", "padding_commitment"):
            if len(getattr(self, name)) != ROOT_SIZE:
                raise DocumentInvalid(name, f"expected {ROOT_SIZE} bytes")

    @property
    def which(self) -> CatalogueId:
        """The catalogue and version that this version's chunks are bound to."""
        return CatalogueId(self.custodian, self.collection, self.epoch, self.version)

    @property
    def is_snapshot(self) -> bool:
        """Whether this version is a whole set, not a delta."""
        return self.version == self.snapshot_version

    @property
    def chunks(self) -> int:
        """How many chunks carry this version."""
        return chunk_count(self.snapshot_count) if self.is_snapshot else 1

    def to_json(self) -> dict[str, Json]:
        """Write the payload that the custodian signs; bytes as lower-case hex."""
        return {
            "custodian": self.custodian,
            "collection": self.collection,
            "epoch": self.epoch,
            "version": self.version,
            "snapshot_version": self.snapshot_version,
            "snapshot_count": self.snapshot_count,
            "delta_size": self.delta_size,
            "root": self.root.hex(),
            "padding_commitment": self.padding_commitment.hex(),
            "published_utc": format_instant(self.published_utc),
        }

    @classmethod
    def from_json(cls, value: Json) -> CatalogueStatement:
        """Read a payload.

        Raises:
            DocumentInvalid: names the key that is unknown, missing or impossible.
        """
        fields = Fields(value)
        found = cls(
            custodian=fields.text("custodian", AGENCY_ID),
            collection=fields.text("collection", COLLECTION),
            epoch=fields.integer("epoch", 0, MAX_EPOCH),
            version=fields.integer("version", 1, MAX_VERSION),
            snapshot_version=fields.integer("snapshot_version", 1, MAX_VERSION),
            snapshot_count=fields.integer("snapshot_count", 1, MAX_TAGS),
            delta_size=fields.integer("delta_size", 1, MAX_DELTA_SIZE),
            root=fields.octets("root", ROOT_SIZE),
            padding_commitment=fields.octets("padding_commitment", ROOT_SIZE),
            published_utc=fields.instant("published_utc"),
        )
        fields.done()
        return found
