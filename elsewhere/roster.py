"""The roster: who the members are, with which key each one signs, and whose stewards sign the next roster.

Sees:     a payload. Who signed it, and whether it follows the one held, is for `elsewhere.succession`.
Refuses:  two of one id or key, a quorum that is no majority or a single steward, expired rosters.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from elsewhere.canonical import Json, canonical_json
from elsewhere.errors import DocumentInvalid, NotActive, RosterExpired
from elsewhere.fields import Fields, as_instant, as_text, format_instant
from elsewhere.signing import KEY_BYTES
from elsewhere.spoken import spoken

ROSTER_TYPE: Final = "application/vnd.elsewhere.roster.v1+json"
AGENCY_ID: Final = r"[a-z][a-z0-9-]{1,31}"
SECTOR: Final = r"[A-Z][A-Z_]{1,31}"
MEMBER_STATES: Final = ("active", "suspended", "revoked", "probation")
DIGEST_BYTES: Final = 32
MAX_VERSION: Final = 2**53 - 1
MAX_STEWARDS: Final = 100
MAX_EARLIER: Final = 16  # keys that a member had before; with more it joins anew


@dataclass(frozen=True, slots=True)
class Steward:
    """A person who signs rosters and the agreement for one agency. Also the card handed over to be listed."""

    agency_id: str  # a member, or a body of the partnership that is none
    name: str  # of the person
    key: bytes  # 32 bytes, Ed25519

    def __post_init__(self) -> None:
        as_text(self.agency_id, "agency_id", AGENCY_ID)
        as_text(self.name, "name")
        if len(self.key) != KEY_BYTES:
            raise DocumentInvalid("key", f"expected {KEY_BYTES} bytes, got {len(self.key)}")

    @property
    def fingerprint(self) -> str:
        """The steward's fingerprint, to be compared by voice before the key is trusted."""
        return spoken("steward", self.key)

    def to_json(self) -> dict[str, Json]:
        """Write one steward's entry of the roster."""
        return {"agency_id": self.agency_id, "name": self.name, "key": self.key.hex()}

    @classmethod
    def from_fields(cls, fields: Fields) -> Steward:
        """Read one steward's entry; raises DocumentInvalid naming the key."""
        found = cls(
            agency_id=fields.text("agency_id", AGENCY_ID),
            name=fields.text("name"),
            key=fields.octets("key", KEY_BYTES),
        )
        fields.done()
        return found


def least_quorum(stewards: int) -> int:
    """How many of so many stewards must sign at least: a majority, and never one alone."""
    return max(2, stewards // 2 + 1)


@dataclass(frozen=True, slots=True)
class Member:
    """One agency, its state, and the long-lived key that its own statements are checked with."""

    agency_id: str
    name: str
    sector: str
    operator: str  # who runs the node; often the agency itself
    state: str
    signing_key: bytes
    earlier_keys: tuple[
        bytes, ...
    ] = ()  # the last one first: for what was signed before, and for nothing else

    def __post_init__(self) -> None:
        as_text(self.agency_id, "agency_id", AGENCY_ID)
        as_text(self.name, "name")
        as_text(self.sector, "sector", SECTOR)
        as_text(self.operator, "operator")
        if self.state not in MEMBER_STATES:
            raise DocumentInvalid("state", f"expected one of {', '.join(MEMBER_STATES)}")
        if len(self.signing_key) != KEY_BYTES:
            raise DocumentInvalid("signing_key", f"expected {KEY_BYTES} bytes, got {len(self.signing_key)}")
        if len(self.earlier_keys) > MAX_EARLIER or any(len(key) != KEY_BYTES for key in self.earlier_keys):
            raise DocumentInvalid("earlier_keys", f"expected at most {MAX_EARLIER} of {KEY_BYTES} bytes")

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The key in force, then those before."""
        return (self.signing_key, *self.earlier_keys)

    @property
    def fingerprint(self) -> str:
        """The agency's fingerprint, to be compared by voice before it is let in."""
        return spoken("member", self.signing_key)

    def to_json(self) -> dict[str, Json]:
        """Write one entry of the roster."""
        found: dict[str, Json] = {
            "agency_id": self.agency_id,
            "name": self.name,
            "sector": self.sector,
            "operator": self.operator,
            "state": self.state,
            "signing_key": self.signing_key.hex(),
        }
        if self.earlier_keys:
            found["earlier_keys"] = [key.hex() for key in self.earlier_keys]
        return found

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
            earlier_keys=_earlier(fields),
        )
        fields.done()
        return found


def _earlier(fields: Fields) -> tuple[bytes, ...]:
    """Read the keys before; where there are none, nothing is said, so that a roster has one form."""
    if not fields.has("earlier_keys"):
        return ()
    found = fields.texts("earlier_keys", rf"[0-9a-f]{{{2 * KEY_BYTES}}}")
    if not found:
        raise DocumentInvalid(fields.path("earlier_keys"), "expected a key, or nothing of this name")
    return tuple(bytes.fromhex(key) for key in found)


@dataclass(frozen=True, slots=True)
class Roster:
    """All members at one version, valid in [issued_utc, valid_until_utc)."""

    federation: str
    version: int
    previous_digest: bytes | None  # of version - 1; absent in version 1 only
    members: tuple[Member, ...]
    stewards: tuple[Steward, ...]  # they sign the roster that follows, and the agreement
    quorum: int  # how many of them must
    stewards_since: int  # the version that last changed stewards or quorum
    gateway_key: bytes  # 32 bytes, Ed25519: the operator's, for what the gateway says of time; no say here
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
        if len(self.gateway_key) != KEY_BYTES:
            raise DocumentInvalid("gateway_key", f"expected {KEY_BYTES} bytes")
        self._check_stewards()
        if len({member.agency_id for member in self.members}) != len(self.members):
            raise DocumentInvalid("members", "expected a different agency_id for each member")
        keys = [key for member in self.members for key in member.keys]
        if len(set(keys)) != len(keys):
            # Two agencies with one key could each speak as the other; one that comes again was not replaced.
            raise DocumentInvalid(
                "members", "expected a different signing_key for each member, and at each time"
            )
        object.__setattr__(self, "digest", hashlib.sha256(canonical_json(self.to_json())).digest())

    def _check_stewards(self) -> None:
        """Refuse stewards of whom one could pass for two, and a quorum that two halves could both reach."""
        for key in ("agency_id", "key"):
            if len({getattr(steward, key) for steward in self.stewards}) != len(self.stewards):
                raise DocumentInvalid("stewards", f"expected a different {key} for each steward")
        most, least = len(self.stewards), least_quorum(len(self.stewards))
        if not 2 <= most <= MAX_STEWARDS:
            raise DocumentInvalid("stewards", f"expected 2 to {MAX_STEWARDS} stewards")
        if isinstance(self.quorum, bool) or not least <= self.quorum <= most:
            raise DocumentInvalid("quorum", f"expected {least} to {most}: a majority of the stewards")
        if not 1 <= self.stewards_since <= self.version:
            raise DocumentInvalid("stewards_since", "expected the version that last changed the stewards")

    @property
    def steward_keys(self) -> tuple[bytes, ...]:
        """The keys that may sign the next roster."""
        return tuple(steward.key for steward in self.stewards)

    @property
    def changes_stewards(self) -> bool:
        """Whether this very roster changed stewards or quorum; the first one counts as such."""
        return self.stewards_since == self.version

    def steward(self, agency_id: str) -> Steward | None:
        """Find the steward of an agency; None if it has none."""
        return next((steward for steward in self.stewards if steward.agency_id == agency_id), None)

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
        """Write the payload that the stewards sign."""
        return {
            "federation": self.federation,
            "version": self.version,
            "previous_digest": self.previous_digest.hex() if self.previous_digest is not None else None,
            "members": [member.to_json() for member in self.members],
            "stewards": [steward.to_json() for steward in self.stewards],
            "quorum": self.quorum,
            "stewards_since": self.stewards_since,
            "gateway_key": self.gateway_key.hex(),
            "issued_utc": format_instant(self.issued_utc),
            "valid_until_utc": format_instant(self.valid_until_utc),
        }

    @classmethod
    def from_json(cls, value: Json) -> Roster:
        """Read a payload, to be believed once its signatures are checked; raises DocumentInvalid."""
        fields = Fields(value)
        version = fields.integer("version", 1, MAX_VERSION)
        found = cls(
            federation=fields.text("federation", AGENCY_ID),
            version=version,
            previous_digest=_previous(fields, version),
            members=tuple(Member.from_fields(entry) for entry in fields.tables("members")),
            stewards=tuple(Steward.from_fields(entry) for entry in fields.tables("stewards")),
            quorum=fields.integer("quorum", 2, MAX_STEWARDS),
            stewards_since=fields.integer("stewards_since", 1, version),
            gateway_key=fields.octets("gateway_key", KEY_BYTES),
            issued_utc=fields.instant("issued_utc"),
            valid_until_utc=fields.instant("valid_until_utc"),
        )
        fields.done()
        return found


def _previous(fields: Fields, version: int) -> bytes | None:
    """Read the link to the roster before; version 1 says null."""
    if version > 1:
        return fields.octets("previous_digest", DIGEST_BYTES)
    if fields.take("previous_digest") is not None:
        raise DocumentInvalid(fields.path("previous_digest"), "expected null in version 1")
    return None
