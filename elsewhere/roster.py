"""The roster: who the members are, and with which key each one signs.

Sees:     documents signed by the federation, or by a member whose key the roster gives.
Refuses:  unsigned or expired rosters, a version below the one already seen, two rosters of one version.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from elsewhere.canonical import Json, canonical_json
from elsewhere.errors import DocumentInvalid, NotActive, RosterExpired, RosterForked, RosterRollback
from elsewhere.fields import Fields, as_instant, as_text, format_instant
from elsewhere.signing import KEY_BYTES, SigningKey, key_id, open_document, sign_document

ROSTER_TYPE: Final = "application/vnd.elsewhere.roster.v1+json"
AGENCY_ID: Final = r"[a-z][a-z0-9-]{1,31}"
SECTOR: Final = r"[A-Z][A-Z_]{1,31}"
MEMBER_STATES: Final = ("active", "suspended", "revoked", "probation")
DIGEST_BYTES: Final = 32
MAX_VERSION: Final = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Federation:
    """What a member is handed in person and trusts from then on; everything else is signed under it."""

    federation_id: str
    public: bytes  # 32 bytes, Ed25519: signs roster and agreement
    tls_ca_pem: bytes  # protects the hop to the gateway only

    def __post_init__(self) -> None:
        as_text(self.federation_id, "federation_id", AGENCY_ID)
        if len(self.public) != KEY_BYTES:
            raise DocumentInvalid("public", f"expected {KEY_BYTES} bytes, got {len(self.public)}")
        if not self.tls_ca_pem.startswith(b"-----BEGIN CERTIFICATE-----"):
            raise DocumentInvalid("tls_ca_pem", "expected a certificate in PEM form")

    @property
    def fingerprint(self) -> str:
        """Short name of the federation's key, to be compared by voice."""
        return key_id(self.public)

    def to_json(self) -> dict[str, Json]:
        """Write the anchor for a file or a token."""
        return {
            "federation_id": self.federation_id,
            "public": self.public.hex(),
            "tls_ca_pem": self.tls_ca_pem.decode("ascii"),
        }

    @classmethod
    def from_json(cls, value: Json) -> Federation:
        """Read the anchor; raises DocumentInvalid for anything else."""
        fields = Fields(value)
        pem = fields.take("tls_ca_pem")
        if not isinstance(pem, str) or not pem.isascii():
            raise DocumentInvalid("tls_ca_pem", "expected a certificate in PEM form")
        found = cls(
            federation_id=fields.text("federation_id"),
            public=fields.octets("public", KEY_BYTES),
            tls_ca_pem=pem.encode("ascii"),
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True)
class Member:
    """One agency, its state, and the long-lived key that its own statements are checked with."""

    agency_id: str
    name: str
    sector: str
    operator: str  # who runs the node; often the agency itself
    state: str
    signing_key: bytes

    def __post_init__(self) -> None:
        as_text(self.agency_id, "agency_id", AGENCY_ID)
        as_text(self.name, "name")
        as_text(self.sector, "sector", SECTOR)
        as_text(self.operator, "operator")
        if self.state not in MEMBER_STATES:
            raise DocumentInvalid("state", f"expected one of {', '.join(MEMBER_STATES)}")
        if len(self.signing_key) != KEY_BYTES:
            raise DocumentInvalid("signing_key", f"expected {KEY_BYTES} bytes, got {len(self.signing_key)}")

    def to_json(self) -> dict[str, Json]:
        """Write one entry of the roster."""
        return {
            "agency_id": self.agency_id,
            "name": self.name,
            "sector": self.sector,
            "operator": self.operator,
            "state": self.state,
            "signing_key": self.signing_key.hex(),
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> Member:
        """Read one entry of the roster; raises DocumentInvalid naming the key."""
        found = cls(
            agency_id=fields.text("agency_id", AGENCY_ID),
            name=fields.text("name"),
            sector=fields.text("sector", SECTOR),
            operator=fields.text("operator"),
            state=fields.choice("state", MEMBER_STATES),
            signing_key=fields.octets("signing_key", KEY_BYTES),
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True)
class Roster:
    """All members at one version, valid in [issued_utc, valid_until_utc)."""

    federation: str
    version: int
    previous_digest: bytes | None  # of version - 1; absent in version 1 only
    members: tuple[Member, ...]
    issued_utc: datetime
    valid_until_utc: datetime
    digest: bytes = field(init=False, compare=False)  # SHA-256 of the signed payload

    def __post_init__(self) -> None:
        object.__setattr__(self, "issued_utc", as_instant(self.issued_utc, "issued_utc"))
        object.__setattr__(self, "valid_until_utc", as_instant(self.valid_until_utc, "valid_until_utc"))
        as_text(self.federation, "federation", AGENCY_ID)
        if not 1 <= self.version <= MAX_VERSION:
            raise DocumentInvalid("version", f"expected a whole number from 1 to {MAX_VERSION}")
        if (self.previous_digest is None) != (self.version == 1):
            raise DocumentInvalid(
                "previous_digest", "expected the previous roster's digest from version 2 on"
            )
        if self.previous_digest is not None and len(self.previous_digest) != DIGEST_BYTES:
            raise DocumentInvalid("previous_digest", f"expected {DIGEST_BYTES} bytes")
        if self.issued_utc >= self.valid_until_utc:
            raise DocumentInvalid("valid_until_utc", "expected a time after issued_utc")
        for key in ("agency_id", "signing_key"):
            # Two agencies with one key could each speak as the other.
            if len({getattr(member, key) for member in self.members}) != len(self.members):
                raise DocumentInvalid("members", f"expected a different {key} for each member")
        object.__setattr__(self, "digest", hashlib.sha256(canonical_json(self.to_json())).digest())

    def member(self, agency_id: str) -> Member | None:
        """Find an entry whatever its state; None if the agency is not in the roster."""
        return next((member for member in self.members if member.agency_id == agency_id), None)

    def active(self, agency_id: str) -> Member:
        """Give the entry of an agency that may ask and answer now.

        Raises:
            NotActive: not in the roster, or suspended, revoked or on probation; `.state` says which.
        """
        member = self.member(agency_id)
        if member is None or member.state != "active":
            raise NotActive(agency_id, member.state if member else "unknown")
        return member

    def active_members(self) -> tuple[Member, ...]:
        """List the members that may ask and answer now, in the roster's order."""
        return tuple(member for member in self.members if member.state == "active")

    def check_current(self, now: datetime) -> None:
        """Return only within the roster's validity.

        Raises:
            RosterExpired: before issued_utc or from valid_until_utc on. Nothing may be asked or answered.
        """
        if not self.issued_utc <= now < self.valid_until_utc:
            raise RosterExpired(
                f"expected a time in [{format_instant(self.issued_utc)}, "
                f"{format_instant(self.valid_until_utc)}) of roster {self.version}"
            )

    def to_json(self) -> dict[str, Json]:
        """Write the payload that the federation signs."""
        return {
            "federation": self.federation,
            "version": self.version,
            "previous_digest": self.previous_digest.hex() if self.previous_digest is not None else None,
            "members": [member.to_json() for member in self.members],
            "issued_utc": format_instant(self.issued_utc),
            "valid_until_utc": format_instant(self.valid_until_utc),
        }

    @classmethod
    def from_json(cls, value: Json) -> Roster:
        """Read a payload whose signature has been checked; raises DocumentInvalid naming the key."""
        fields = Fields(value)
        version = fields.integer("version", 1, MAX_VERSION)
        found = cls(
            federation=fields.text("federation", AGENCY_ID),
            version=version,
            previous_digest=_previous(fields, version),
            members=tuple(Member.from_fields(entry) for entry in fields.tables("members")),
            issued_utc=fields.instant("issued_utc"),
            valid_until_utc=fields.instant("valid_until_utc"),
        )
        fields.done()
        return found


def sign_roster(key: SigningKey, roster: Roster) -> bytes:
    """Wrap a roster in an envelope signed with the federation's key."""
    return sign_document([key], ROSTER_TYPE, roster.to_json())


def open_roster(envelope: bytes, federation_key: bytes) -> Roster:
    """Read a roster that the federation signed. Callers then `check_successor` and `check_current`.

    Raises:
        SignatureInvalid: not signed by the federation's key. Keep the roster held.
        NotCanonical, DocumentInvalid: signed, but not a roster this version can read.
    """
    return Roster.from_json(open_document(envelope, ROSTER_TYPE, [federation_key]))


def check_successor(old: Roster, new: Roster) -> None:
    """Return only if a roster may replace (or is) the one already seen.

    Raises:
        RosterRollback: an older version. Someone withholds or replays; keep the one held.
        RosterForked: another federation, another roster of the same version, or a broken chain.
    """
    if new.federation != old.federation:
        raise RosterForked(f"expected a roster of {old.federation}; it belongs to another federation")
    if new.version < old.version:
        raise RosterRollback(f"expected roster version {old.version} or above, got {new.version}")
    if new.version == old.version and new.digest != old.digest:
        raise RosterForked(f"expected one roster of version {old.version}; two are signed")
    # A member that was away may miss versions; the chain can be checked where they are adjacent.
    if new.version == old.version + 1 and new.previous_digest != old.digest:
        raise RosterForked(f"expected roster {new.version} to name the digest of {old.version}; it does not")


def _previous(fields: Fields, version: int) -> bytes | None:
    """Read the link to the roster before; version 1 says null."""
    if version > 1:
        return fields.octets("previous_digest", DIGEST_BYTES)
    if fields.take("previous_digest") is not None:
        raise DocumentInvalid(fields.path("previous_digest"), "expected null in version 1")
    return None
