"""What tells whether tags made earlier are the ones wanted: a keyed digest over all that they depend on.

Holds:    a key derived from the OPRF keys, so that a fingerprint on the disk tells nothing without them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from node.caseload.journal import FINGERPRINT_BYTES
from node.caseload.workers import TagSet, Untagged

_DOMAIN = b"elsewhere/made-tags/v1"


class Fingerprints:
    """Digests of records on their way to tags, by match-key rules and tag sets."""

    def __init__(self, sets: Sequence[TagSet], rules: str) -> None:
        self._rules = rules
        # Not the keys themselves: one that is destroyed while records are tagged is to be in no memory.
        self._of_sets = {tag_set.id: _digest_of(tag_set) for tag_set in sets}
        self._keys: dict[frozenset[int], bytes] = {}

    def of(self, record: Untagged) -> bytes:
        """FINGERPRINT_BYTES that change with the record, its shield, the rules, and the keys of its sets."""
        key = self._keys.get(record.set_ids)
        if key is None:
            key = self._keys[record.set_ids] = self._key(record.set_ids)
        digest = hashlib.blake2b(key=key, digest_size=FINGERPRINT_BYTES)
        for part in (record.shield.encode(), record.origin, record.person):
            digest.update(len(part).to_bytes(4) + part)
        return digest.digest()

    def _key(self, set_ids: frozenset[int]) -> bytes:
        digest = hashlib.blake2b(_DOMAIN + self._rules.encode(), digest_size=32)
        for set_id in sorted(set_ids):
            digest.update(self._of_sets[set_id])
        return digest.digest()


def _digest_of(tag_set: TagSet) -> bytes:
    """32 bytes that stand for a set and its key."""
    said = f"{tag_set.id}\0{tag_set.collection}\0".encode()
    return hashlib.blake2b(said, key=tag_set.key.scalar, person=b"tag set", digest_size=32).digest()
