"""Key statements: a member's own word on its weekly keys, signed with the key that the roster gives.

Sees:     public keys only.
Refuses:  a statement not signed by the member it speaks of, a version below the one already seen, one key for
          two epochs and two keys for one, be they stated together or one after the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from elsewhere.canonical import Json, canonical_json
from elsewhere.errors import DocumentInvalid, SignatureInvalid, StatementRollback
from elsewhere.fields import Fields, as_instant, as_text, format_instant
from elsewhere.roster import AGENCY_ID, MAX_VERSION, Roster
from elsewhere.sealing import PUBLIC_BYTES, SealingPublic
from elsewhere.signing import SigningKey, open_document, sign_document

STATEMENT_TYPE: Final = "application/vnd.elsewhere.key-statement.v1+json"
CATALOGUE_STATEMENT_TYPE: Final = "application/vnd.elsewhere.catalogue-statement.v1+json"
COLLECTION: Final = r"[a-z][a-z0-9_-]{1,31}"
OPRF_PUBLIC_BYTES: Final = 32
MAX_EPOCH: Final = 2**31 - 1
MAX_STATEMENT_BYTES: Final = 64 * 1024  # of the envelope of a key or catalogue statement


@dataclass(frozen=True, slots=True)
class SealingKeyEntry:
    """A sealing key and the time from which nobody seals to it any more."""

    public: SealingPublic
    not_after_utc: datetime
    key_id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "not_after_utc", as_instant(self.not_after_utc, "not_after_utc"))
        object.__setattr__(self, "key_id", self.public.key_id)

    def to_json(self) -> dict[str, Json]:
        """Write one entry."""
        return {
            "key_id": self.key_id,
            "public": self.public.to_bytes().hex(),
            "not_after_utc": format_instant(self.not_after_utc),
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> SealingKeyEntry:
        """Read one entry; the key id stated must be the key's own."""
        public = SealingPublic.from_bytes(fields.octets("public", PUBLIC_BYTES))
        if fields.text("key_id") != public.key_id:
            raise DocumentInvalid(fields.path("key_id"), "expected the id of this entry's own key")
        found = cls(public=public, not_after_utc=fields.instant("not_after_utc"))
        fields.done()
        return found


@dataclass(frozen=True, slots=True)
class OprfKeyEntry:
    """The public VOPRF key of one collection and epoch, in force in [valid_from_utc, valid_until_utc)."""

    collection: str
    epoch: int
    public: bytes  # 32 bytes, a ristretto255 element; the OPRF checks that it is one
    valid_from_utc: datetime
    valid_until_utc: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "valid_from_utc", as_instant(self.valid_from_utc, "valid_from_utc"))
        object.__setattr__(self, "valid_until_utc", as_instant(self.valid_until_utc, "valid_until_utc"))
        as_text(self.collection, "collection", COLLECTION)
        if not 1 <= self.epoch <= MAX_EPOCH:
            raise DocumentInvalid("epoch", f"expected a whole number from 1 to {MAX_EPOCH}")
        if len(self.public) != OPRF_PUBLIC_BYTES or not any(self.public):
            raise DocumentInvalid("public", f"expected {OPRF_PUBLIC_BYTES} bytes, not all zero")
        if self.valid_from_utc >= self.valid_until_utc:
            raise DocumentInvalid("valid_until_utc", "expected a time after valid_from_utc")

    def to_json(self) -> dict[str, Json]:
        """Write one entry."""
        return {
            "collection": self.collection,
            "epoch": self.epoch,
            "public": self.public.hex(),
            "valid_from_utc": format_instant(self.valid_from_utc),
            "valid_until_utc": format_instant(self.valid_until_utc),
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> OprfKeyEntry:
        """Read one entry."""
        found = cls(
            collection=fields.text("collection", COLLECTION),
            epoch=fields.integer("epoch", 1, MAX_EPOCH),
            public=fields.octets("public", OPRF_PUBLIC_BYTES),
            valid_from_utc=fields.instant("valid_from_utc"),
            valid_until_utc=fields.instant("valid_until_utc"),
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True)
class KeyStatement:
    """What one member publishes about itself at one version."""

    agency: str
    version: int
    issued_utc: datetime
    sealing_keys: tuple[SealingKeyEntry, ...]
    oprf_keys: tuple[OprfKeyEntry, ...]
    protocol_versions: tuple[int, ...]
    match_key_versions: tuple[str, ...]
    digest: bytes = field(init=False, compare=False)  # SHA-256 of the signed payload

    def __post_init__(self) -> None:
        object.__setattr__(self, "issued_utc", as_instant(self.issued_utc, "issued_utc"))
        as_text(self.agency, "agency", AGENCY_ID)
        if not 1 <= self.version <= MAX_VERSION:
            raise DocumentInvalid("version", f"expected a whole number from 1 to {MAX_VERSION}")
        if not self.sealing_keys or not self.protocol_versions or not self.match_key_versions:
            raise DocumentInvalid(
                "sealing_keys", "expected a sealing key and the versions spoken; one is missing"
            )
        for name, found in (
            ("sealing_keys", [entry.key_id for entry in self.sealing_keys]),
            ("oprf_keys", [(entry.collection, entry.epoch) for entry in self.oprf_keys]),
            # One key under two epochs would link the tags of both.
            ("oprf_keys", [entry.public for entry in self.oprf_keys]),
        ):
            if len(set(found)) != len(found):
                raise DocumentInvalid(name, "expected different keys; one is repeated")
        object.__setattr__(self, "digest", hashlib.sha256(canonical_json(self.to_json())).digest())

    def sealing_key(self, now: datetime) -> SealingKeyEntry | None:
        """Give the key to seal to now: the one that lasts longest, None when all have run out."""
        current = [entry for entry in self.sealing_keys if now < entry.not_after_utc]
        return max(current, key=lambda entry: entry.not_after_utc, default=None)

    def oprf_key(self, collection: str, epoch: int) -> OprfKeyEntry | None:
        """Give the public key of one collection and epoch; None if it is not published."""
        found = (e for e in self.oprf_keys if (e.collection, e.epoch) == (collection, epoch))
        return next(found, None)

    def epochs_in_force(self, collection: str, now: datetime) -> list[OprfKeyEntry]:
        """Give the keys of a collection in force now, newest first."""
        current = [
            entry
            for entry in self.oprf_keys
            if entry.collection == collection and entry.valid_from_utc <= now < entry.valid_until_utc
        ]
        return sorted(current, key=lambda entry: entry.epoch, reverse=True)

    def epoch_to_ask(
        self, collection: str, now: datetime, is_held: Callable[[int], bool]
    ) -> OprfKeyEntry | None:
        """Give the key to ask under: of the epochs in force the newest whose catalogue is at hand.

        Args:
            collection: what is asked about.
            now: aware UTC time.
            is_held: whether there is a copy of an epoch's catalogue.

        Returns:
            The newest in force where no catalogue is at hand; None if no key is in force.
        """
        current = self.epochs_in_force(collection, now)
        newest = current[0] if current else None
        return next((entry for entry in current if is_held(entry.epoch)), newest)

    def to_json(self) -> dict[str, Json]:
        """Write the payload that the member signs."""
        return {
            "agency": self.agency,
            "version": self.version,
            "issued_utc": format_instant(self.issued_utc),
            "sealing_keys": [entry.to_json() for entry in self.sealing_keys],
            "oprf_keys": [entry.to_json() for entry in self.oprf_keys],
            "protocol_versions": list(self.protocol_versions),
            "match_key_versions": list(self.match_key_versions),
        }

    @classmethod
    def from_json(cls, value: Json) -> KeyStatement:
        """Read a payload; raises DocumentInvalid naming the key."""
        fields = Fields(value)
        found = cls(
            agency=fields.text("agency", AGENCY_ID),
            version=fields.integer("version", 1, MAX_VERSION),
            issued_utc=fields.instant("issued_utc"),
            sealing_keys=tuple(SealingKeyEntry.from_fields(entry) for entry in fields.tables("sealing_keys")),
            oprf_keys=tuple(OprfKeyEntry.from_fields(entry) for entry in fields.tables("oprf_keys")),
            protocol_versions=fields.integers("protocol_versions", 1, MAX_EPOCH),
            match_key_versions=fields.texts("match_key_versions", r"[A-Za-z0-9._-]{1,32}"),
        )
        fields.done()
        return found


def sign_statement(key: SigningKey, statement: KeyStatement) -> bytes:
    """Wrap a statement in an envelope signed with the member's own key."""
    return sign_document([key], STATEMENT_TYPE, statement.to_json())


def open_statement(envelope: bytes, roster: Roster, *, signer: str = "") -> KeyStatement:
    """Read the statement of an active member, signed with the key that the roster gives for that member.

    Args:
        envelope: as received, from anyone; at most 64 KiB.
        roster: in force now.
        signer: the member that must have signed, where that is known; empty: whichever did.

    Returns:
        The statement; its `agency` is who signed it.

    Raises:
        SignatureInvalid: not signed by the member it speaks of. Keep the one held.
        NotActive: that member may not ask or answer now.
        NotCanonical, DocumentInvalid, MalformedKey: signed, but not a statement this version can read.
    """
    members = [roster.active(signer)] if signer else roster.members
    if not members:
        raise SignatureInvalid("expected a roster with members; it has none")
    keys = [member.signing_key for member in members]
    found = open_document(envelope, STATEMENT_TYPE, keys, limit=MAX_STATEMENT_BYTES)
    statement = KeyStatement.from_json(found)
    # Some member signed it. Only now may it say which, and then that member's own key must have.
    member = roster.active(statement.agency)
    open_document(envelope, STATEMENT_TYPE, [member.signing_key])
    return statement


def check_newer_statement(old: KeyStatement, new: KeyStatement) -> None:
    """Return only if a statement may replace (or is) the one already seen.

    Raises:
        StatementRollback: an older version, another statement of the same one, one that takes a key up
            again under another name (whoever kept tags of the one epoch would know them in the other), or one
            that gives a name another key (tags of the one would be looked for in the catalogue of the other).
            Keep the one held.
    """
    if new.agency != old.agency:
        raise ValueError("expected two statements of one agency")
    if new.version < old.version or (new.version == old.version and new.digest != old.digest):
        raise StatementRollback(f"expected a statement of {old.agency} above version {old.version}")
    names = {entry.public: (entry.collection, entry.epoch) for entry in old.oprf_keys}
    for entry in new.oprf_keys:
        before = old.oprf_key(entry.collection, entry.epoch)
        if names.get(entry.public, name := (entry.collection, entry.epoch)) != name:
            raise StatementRollback(f"expected a key of its own for {entry.collection}, epoch {entry.epoch}")
        if before is not None and before.public != entry.public:
            raise StatementRollback(
                f"expected the key stated before for {entry.collection}, epoch {entry.epoch}; another came"
            )
