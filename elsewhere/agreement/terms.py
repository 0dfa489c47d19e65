"""The terms of an agreement as checked values: holding one proves it valid.

Refuses:  words outside the vocabulary, rules that can never apply, wildcards in a rule that permits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Final

from elsewhere.agreement.studies import Research
from elsewhere.agreement.vocabulary import Tier, vocabulary
from elsewhere.canonical import Json, canonical_json
from elsewhere.errors import DocumentInvalid
from elsewhere.fields import as_instant, as_text, format_instant
from elsewhere.roster import AGENCY_ID, MAX_VERSION
from elsewhere.signing import KEY_BYTES

ANY: Final = "*"
RULE_ID: Final = r"[A-Za-z0-9][A-Za-z0-9.-]{0,31}"
MAX_WORDS_BYTES: Final = 100


class Effect(Enum):
    """What a rule does to the questions it covers."""

    PERMIT = "PERMIT"
    DENY = "DENY"
    REVIEW = "REVIEW"


@dataclass(frozen=True, slots=True)
class Party:
    """An agency bound by the agreement, and whom to call there at any hour."""

    agency_id: str
    name: str
    sector: str
    duty_contact_in_hours: str
    duty_contact_out_of_hours: str
    public_authority: bool | None = None  # None: as is usual for its sector
    steward_key: bytes | None = None  # 32 bytes: signs the agreement for this party

    def __post_init__(self) -> None:
        as_text(self.agency_id, "agency_id", AGENCY_ID)
        for name in ("name", "duty_contact_in_hours", "duty_contact_out_of_hours"):
            text = as_text(getattr(self, name), name)
            if len(text.encode()) > MAX_WORDS_BYTES:
                raise DocumentInvalid(name, f"expected at most {MAX_WORDS_BYTES} bytes")
        _known(self.sector, vocabulary().sectors, "sector")
        if self.steward_key is not None and len(self.steward_key) != KEY_BYTES:
            raise DocumentInvalid("steward_key", f"expected {KEY_BYTES} bytes")

    @property
    def is_public_authority(self) -> bool:
        """Tell the status that decides which bases this party has."""
        usual = vocabulary().sectors[self.sector].public_authority
        return usual if self.public_authority is None else self.public_authority

    def to_json(self) -> dict[str, Json]:
        """Write the party's entry; what is not stated is left out."""
        entry: dict[str, Json] = {
            "agency_id": self.agency_id,
            "name": self.name,
            "sector": self.sector,
            "duty_contact_in_hours": self.duty_contact_in_hours,
            "duty_contact_out_of_hours": self.duty_contact_out_of_hours,
        }
        if self.public_authority is not None:
            entry["public_authority"] = self.public_authority
        if self.steward_key is not None:
            entry["steward_key"] = self.steward_key.hex()
        return entry


@dataclass(frozen=True, slots=True)
class CollectionTerms:
    """A collection that the parties opened, and how old its source may be before every answer says so."""

    id: str
    max_age_days: int

    def __post_init__(self) -> None:
        _known(self.id, vocabulary().collections, "id")
        _bounded(self.max_age_days, 1, 366, "max_age_days")

    def to_json(self) -> dict[str, Json]:
        """Write the collection's entry."""
        return {"id": self.id, "max_age_days": self.max_age_days}


@dataclass(frozen=True, slots=True)
class Scope:
    """One side of a rule: an agency, a whole sector, or any party."""

    agency: str | None = None
    sector: str | None = None

    def __post_init__(self) -> None:
        if self.agency is not None and self.sector is not None:
            raise DocumentInvalid("source", "expected an agency or a sector; both are stated")
        if self.agency is not None:
            as_text(self.agency, "agency", AGENCY_ID)
        if self.sector is not None:
            _known(self.sector, vocabulary().sectors, "sector")

    @property
    def width(self) -> int:
        """0 one agency, 1 a sector, 2 anyone."""
        return 0 if self.agency is not None else 1 if self.sector is not None else 2

    def covers(self, agency: str, sector: str) -> bool:
        """Tell whether a party is on this side of the rule."""
        if self.agency is not None:
            return self.agency == agency
        return self.sector is None or self.sector == sector

    def to_json(self, side: str) -> dict[str, Json]:
        """Write the key that names this side, `source` or `dest`."""
        if self.sector is not None:
            return {f"{side}_sector": self.sector}
        return {side: self.agency if self.agency is not None else ANY}


@dataclass(frozen=True, slots=True)
class Rule:
    """Which questions one clause covers and what becomes of them. In force in [valid_from, valid_until).

    `source` answers, `dest` asks. An empty tuple of purposes, bases or record types means all of them, which
    only a rule that denies or reviews may say.
    """

    id: str
    words: str  # the clause in plain words, at most 100 bytes; shown with every decision it takes
    source: Scope
    dest: Scope
    collection: str
    effect: Effect
    tier: Tier  # the most it gives; of no effect with DENY
    purposes: tuple[str, ...]
    bases: tuple[str, ...]
    record_types: tuple[str, ...]
    obligations: tuple[str, ...] = ()
    valid_from: datetime | None = None
    valid_until: datetime | None = None

    def __post_init__(self) -> None:
        as_text(self.id, "id", RULE_ID)
        if len(as_text(self.words, "words").encode()) > MAX_WORDS_BYTES:
            raise DocumentInvalid("words", f"expected at most {MAX_WORDS_BYTES} bytes")
        for name in ("valid_from", "valid_until"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, as_instant(getattr(self, name), name))
        if self.valid_from and self.valid_until and self.valid_from >= self.valid_until:
            raise DocumentInvalid("valid_until", "expected a time after valid_from")
        if self.tier > Tier.R3:
            raise DocumentInvalid("tier", "expected R0 to R3; content is never given, professionals talk")
        self._check_words()
        if self.effect is Effect.PERMIT and not (self.purposes and self.bases and self.record_types):
            raise DocumentInvalid(
                "purposes", 'expected named purposes, bases and record types: "*" only denies'
            )
        if "SILENT" in self.obligations and "NOTIFY_DESK" in self.obligations:
            raise DocumentInvalid("obligations", "expected SILENT or NOTIFY_DESK; both are stated")

    def _check_words(self) -> None:
        """Refuse any word that the vocabulary does not hold, and any purpose the collection is closed to."""
        words = vocabulary()
        _known(self.collection, words.collections, "collection")
        for purpose in self.purposes:
            _known(purpose, words.purposes, "purposes")
            # A rule that could never apply reads as a promise; refuse it where it is written.
            if purpose not in words.collections[self.collection].purposes:
                raise DocumentInvalid(
                    "purposes", f"expected purposes that may ask {self.collection}; {purpose} may not"
                )
        for basis in self.bases:
            _known(basis, words.bases, "bases")
        for record_type in self.record_types:
            _known(record_type, words.record_types, "record_types")
        for obligation in self.obligations:
            if not words.is_obligation(obligation):
                listed = ", ".join(sorted(words.obligations))
                raise DocumentInvalid("obligations", f"expected one of {listed}, DELETE_AFTER_<days>")

    def to_json(self) -> dict[str, Json]:
        """Write the rule's entry."""
        entry: dict[str, Json] = {
            "id": self.id,
            "words": self.words,
            **self.source.to_json("source"),
            **self.dest.to_json("dest"),
            "collection": self.collection,
            "effect": self.effect.value,
            "purposes": list(self.purposes or (ANY,)),
            "bases": list(self.bases or (ANY,)),
            "record_types": list(self.record_types or (ANY,)),
            "obligations": list(self.obligations),
        }
        if self.effect is not Effect.DENY:
            entry["tier"] = self.tier.name
        if self.valid_from is not None:
            entry["valid_from"] = format_instant(self.valid_from)
        if self.valid_until is not None:
            entry["valid_until"] = format_instant(self.valid_until)
        return entry


@dataclass(frozen=True, slots=True)
class Limits:
    """Questions a custodian answers in a day, to one agency and to one person there; and how fast."""

    per_agency_per_day: int = 2000
    per_person_per_day: int = 60
    burst: int = 20
    red_reserve: int = 20  # extra RED questions a day once a limit is reached; each is reviewed afterwards

    def __post_init__(self) -> None:
        for name in ("per_agency_per_day", "per_person_per_day", "burst"):
            _bounded(getattr(self, name), 1, 1_000_000, name)
        _bounded(self.red_reserve, 0, 1_000, "red_reserve")

    def to_json(self) -> dict[str, Json]:
        """Write the limits."""
        return {
            "per_agency_per_day": self.per_agency_per_day,
            "per_person_per_day": self.per_person_per_day,
            "burst": self.burst,
            "red_reserve": self.red_reserve,
        }


@dataclass(frozen=True, slots=True)
class Validity:
    """When the agreement is in force, [valid_from, valid_until), and when the parties look at it again."""

    valid_from: datetime
    valid_until: datetime
    review_by: datetime

    def __post_init__(self) -> None:
        for name in ("valid_from", "valid_until", "review_by"):
            object.__setattr__(self, name, as_instant(getattr(self, name), name))
        if self.valid_from >= self.valid_until:
            raise DocumentInvalid("valid_until", "expected a time after valid_from")
        if not self.valid_from < self.review_by <= self.valid_until:
            raise DocumentInvalid("review_by", "expected a time within the agreement's validity")

    def to_json(self) -> dict[str, Json]:
        """Write the three times."""
        return {
            "valid_from": format_instant(self.valid_from),
            "valid_until": format_instant(self.valid_until),
            "review_by": format_instant(self.review_by),
        }


@dataclass(frozen=True, slots=True)
class Agreement:
    """Everything the parties agreed at one version."""

    id: str
    version: int
    title: str
    validity: Validity
    parties: tuple[Party, ...]
    collections: tuple[CollectionTerms, ...]
    rules: tuple[Rule, ...]
    limits: Limits = field(default_factory=Limits)
    duty_from: datetime | None = None  # when the duty to share binds the parties; None: the vocabulary's time
    duty_sets_confidence_aside: bool = False  # turns CL_DUTY on
    research: Research | None = None  # None: no research
    signed_by: frozenset[str] = frozenset()  # agencies whose stewards have signed; no part of what is signed
    digest: bytes = field(init=False, compare=False)  # SHA-256 of the signed payload

    def __post_init__(self) -> None:
        as_text(self.id, "id", AGENCY_ID)
        as_text(self.title, "title")
        _bounded(self.version, 1, MAX_VERSION, "version")
        if self.duty_from is not None:
            object.__setattr__(self, "duty_from", as_instant(self.duty_from, "duty_from"))
        if len(self.parties) < 2:
            raise DocumentInvalid("parties", "expected at least two parties")
        _different([party.agency_id for party in self.parties], "parties", "agency_id")
        _different([entry.id for entry in self.collections], "collections", "id")
        _different([rule.id for rule in self.rules], "rules", "id")
        for index, rule in enumerate(self.rules, 1):
            self._check_rule(rule, f"rules[{index}]")
        if self.research is not None:
            self.research.check_parties([party.agency_id for party in self.parties])
        object.__setattr__(self, "digest", hashlib.sha256(canonical_json(self.to_json())).digest())

    def _check_rule(self, rule: Rule, at: str) -> None:
        """Refuse a rule about an agency that is no party or a collection that is not opened."""
        for side, scope in (("source", rule.source), ("dest", rule.dest)):
            if scope.agency is not None and self.party(scope.agency) is None:
                raise DocumentInvalid(f"{at}.{side}", f"expected a party; {scope.agency} is none")
        if self.collection(rule.collection) is None:
            raise DocumentInvalid(
                f"{at}.collection", f"expected an opened collection; {rule.collection} is none"
            )

    def signed_by_all(self) -> Agreement:
        """The agreement as it would be in force: for trying out a text that nobody has signed yet."""
        return replace(self, signed_by=frozenset(party.agency_id for party in self.parties))

    def party(self, agency_id: str) -> Party | None:
        """Find a party; None if the agency is not bound by this agreement."""
        return next((party for party in self.parties if party.agency_id == agency_id), None)

    def collection(self, collection: str) -> CollectionTerms | None:
        """Find an opened collection; None if the parties did not open it."""
        return next((entry for entry in self.collections if entry.id == collection), None)

    def to_json(self) -> dict[str, Json]:
        """Write the payload that is signed."""
        entry: dict[str, Json] = {
            "id": self.id,
            "version": self.version,
            "title": self.title,
            "vocabulary": vocabulary().version,
            **self.validity.to_json(),
            "parties": [party.to_json() for party in self.parties],
            "collections": [collection.to_json() for collection in self.collections],
            "rules": [rule.to_json() for rule in self.rules],
            "limits": self.limits.to_json(),
            "duty_sets_confidence_aside": self.duty_sets_confidence_aside,
        }
        if self.duty_from is not None:
            entry["duty_from"] = format_instant(self.duty_from)
        if self.research is not None:
            entry["research"] = self.research.to_json()
        return entry


def _known(word: str, allowed: Collection[str], at: str) -> None:
    """Refuse a word outside the vocabulary, and list the words it holds."""
    if word not in allowed:
        raise DocumentInvalid(at, f"expected one of {', '.join(sorted(allowed))}")


def _bounded(value: int, low: int, high: int, at: str) -> None:
    """Refuse a number outside its bounds."""
    if isinstance(value, bool) or not low <= value <= high:
        raise DocumentInvalid(at, f"expected a whole number from {low} to {high}")


def _different(ids: list[str], at: str, key: str) -> None:
    """Refuse two entries under one id, for a later clause would silently replace an earlier one."""
    if len(set(ids)) != len(ids):
        raise DocumentInvalid(at, f"expected a different {key} in each entry; one is repeated")
