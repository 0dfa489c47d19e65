"""The digest of a catalogue, which ties all its versions together."""

from __future__ import annotations

import hashlib

from elsewhere.catalogue.tags import ShortTags, to_bytes
from elsewhere.published import ROOT_SIZE, CatalogueStatement

__all__ = ["CatalogueStatement", "delta_root", "snapshot_root"]

_SLICE = 2**17


def snapshot_root(tags: ShortTags) -> bytes:
    """Digest a snapshot: SHA-256 over a domain and its tags as `tags.to_bytes` writes them."""
    digest = hashlib.sha256(b"elsewhere/catalogue/snapshot-root/v1")
    for start in range(0, len(tags), _SLICE):
        digest.update(to_bytes(tags[start : start + _SLICE]))
    return digest.digest()


def delta_root(root: bytes, delta: ShortTags) -> bytes:
    """Chain a delta to the root before it: SHA-256 over a domain, that root and the delta's tags."""
    if len(root) != ROOT_SIZE:
        raise ValueError(f"a root has {ROOT_SIZE} bytes")
    return hashlib.sha256(b"elsewhere/catalogue/delta-root/v1" + root + to_bytes(delta)).digest()
