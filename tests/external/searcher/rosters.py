"""Rosters: from the first one, which the anchor names, to the one in force, by quorum after quorum.

Source:   docs/protocol.md "Roster", "Agreement".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from searcher import documents
from searcher.documents import Document, document_type, open_signed
from searcher.refusal import require

KIND = document_type("roster")


@dataclass(frozen=True, slots=True)
class Roster:
    """A roster that holds."""

    document: Document

    @property
    def content(self) -> dict[str, Any]:
        return self.document.content

    def signed(self, envelope: bytes, kind: str) -> Document:
        """A document that a quorum of these stewards has signed."""
        keys = [bytes.fromhex(one["key"]) for one in self.content["stewards"]]
        found, signers = open_signed(envelope, kind, keys)
        require(len(signers) >= self.content["quorum"], "signature.invalid", "a quorum of the stewards")
        return found

    def next(self, envelope: bytes, chain: Sequence[bytes]) -> Roster:
        """A later one, after those that changed the stewards meanwhile."""
        wanted, held = _claimed(envelope), self
        for link in chain:
            if held.content["version"] < _claimed(link).content["version"] <= wanted.content["version"]:
                held = held._step(link)
        return held._step(envelope)

    def _step(self, envelope: bytes) -> Roster:
        new, held = _claimed(envelope), self.content
        version, since = new.content["version"], new.content["stewards_since"]
        require(version >= held["version"], "roster.rollback", "no lower version")
        require(since in range(held["version"] + 1) or since == version, "roster.gap", "those between")
        self.signed(envelope, KIND)
        if since == version:
            new.signed(envelope, KIND)
        else:
            same = all(new.content[key] == held[key] for key in ("stewards", "quorum", "stewards_since"))
            require(same, "document.invalid", "the stewards as they were")
        require(new.content["federation"] == held["federation"], "roster.forked", "our federation")
        is_same = version > held["version"] or new.document.digest == self.document.digest
        require(is_same, "roster.forked", "one of a version")
        links = new.content["previous_digest"] == self.document.digest.hex()
        require(version != held["version"] + 1 or links, "roster.forked", "the digest of the version before")
        return new


def first(envelope: bytes, genesis: bytes, federation: str) -> Roster:
    """The roster that the anchor names."""
    found = _claimed(envelope)
    require(found.document.digest == genesis, "signature.invalid", "the first roster")
    require(found.content["federation"] == federation, "document.invalid", "our federation")
    require(found.content["version"] == 1, "signature.invalid", "the first roster")
    found.signed(envelope, KIND)
    return found


def _claimed(envelope: bytes) -> Roster:
    """What an envelope says, before anybody's signature is looked at."""
    document, _ = open_signed(envelope, KIND, [], documents.ROSTER_KEYS)
    content = document.content
    members, stewards = content["members"], content["stewards"]
    require(all(set(m) == documents.MEMBER_KEYS for m in members), "document.invalid", "a member's keys")
    require(all(set(s) == documents.STEWARD_KEYS for s in stewards), "document.invalid", "a steward's keys")
    different = [len({steward[key] for steward in stewards}) for key in ("agency_id", "key")]
    require(different == 2 * [len(stewards)], "document.invalid", "different stewards")
    least = max(2, len(stewards) // 2 + 1)
    require(least <= content["quorum"] <= len(stewards), "document.invalid", "a majority")
    return Roster(document)
