"""The words of the agreement as checked values: who may ask what for, and how much it can reach.

Sees:     `vocabulary.toml`, which ships with the package; nothing else is read.
Refuses:  a vocabulary that names a word it does not define.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final, Literal, TypeVar

from elsewhere.errors import DocumentInvalid
from elsewhere.fields import Fields

WORD: Final = r"[A-Z][A-Z0-9_]{1,31}"
CONSENT: Final = "A6A_CONSENT"
MAX_DELETE_AFTER_DAYS: Final = 3650

_DELETE_AFTER: Final = re.compile(r"DELETE_AFTER_([1-9][0-9]{0,3})")
_KINDS: Final = ("A6", "LE", "A9", "A10", "CL")
_WHO: Final = ("any", "nobody", "public", "not_public", "duty", "competent")

About = Literal["child", "totals", "log"]


class Tier(IntEnum):
    """How much an answer says: totals, existence, contact, flags; R4, content, is never given."""

    R0 = 0
    R1 = 1
    R2 = 2
    R3 = 3
    R4 = 4


@dataclass(frozen=True, slots=True)
class Urgency:
    """How many hours a person has to decide."""

    id: str
    name: str
    hours: int


@dataclass(frozen=True, slots=True)
class Sector:
    """A kind of agency and what the law makes of it."""

    id: str
    name: str
    public_authority: bool
    duty: bool
    competent: bool
    answers_need: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Purpose:
    """Why somebody asks; `askers` maps a sector to the roles in it that may."""

    id: str
    name: str
    statute: str
    about: About
    max_tier: Tier
    max_tier_from: Mapping[str, Tier]
    alone_tier: Tier
    duty: bool
    law_enforcement: bool
    askers: Mapping[str, tuple[str, ...]]

    def ceiling(self, custodian_sector: str, *, alone: bool) -> Tier:
        """Tell the most that a rule can reach for an answer from one sector.

        Args:
            custodian_sector: who answers.
            alone: the rule names this purpose and no other.
        """
        general = self.alone_tier if alone else self.max_tier
        return self.max_tier_from.get(custodian_sector, general)


@dataclass(frozen=True, slots=True)
class Basis:
    """A lawful basis (A6, LE) or a further condition (A9, A10, CL), and who may rely on it."""

    id: str
    name: str
    statute: str
    kind: str
    who: str
    sectors: tuple[str, ...]  # empty: any
    needs: tuple[str, ...]
    urgencies: tuple[str, ...]  # empty: any
    reasons: tuple[str, ...]
    obligations: tuple[str, ...]
    max_tier: Tier

    @property
    def carries_a_question(self) -> bool:
        """Tell a basis, which a question states, from a condition, which an agreement names."""
        return self.kind in ("A6", "LE")


@dataclass(frozen=True, slots=True)
class Collection:
    """What can be asked about, and the only purposes it may be asked for."""

    id: str
    name: str
    purposes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All words of one version."""

    version: str
    roles: tuple[str, ...]
    record_types: tuple[str, ...]
    obligations: tuple[str, ...]
    duty_from: datetime
    urgencies: Mapping[str, Urgency]
    sectors: Mapping[str, Sector]
    purposes: Mapping[str, Purpose]
    collections: Mapping[str, Collection]
    bases: Mapping[str, Basis]

    def is_obligation(self, word: str) -> bool:
        """Tell whether a word names an obligation, DELETE_AFTER_ with its days included."""
        return word in self.obligations or delete_after_days(word) is not None


def delete_after_days(obligation: str) -> int | None:
    """Read the days of a DELETE_AFTER_ obligation, 1..3650; None for any other word."""
    found = _DELETE_AFTER.fullmatch(obligation)
    days = int(found.group(1)) if found else 0
    return days if 1 <= days <= MAX_DELETE_AFTER_DAYS else None


@cache
def vocabulary() -> Vocabulary:
    """Give the vocabulary this release ships with; it is read once."""
    text = files(__package__).joinpath("vocabulary.toml").read_text("utf-8")
    return vocabulary_from_toml(text)


def vocabulary_from_toml(text: str) -> Vocabulary:
    """Read a vocabulary.

    Raises:
        DocumentInvalid: an unknown key, a repeated id, or a word that is used but not defined.
    """
    fields = Fields(tomllib.loads(text))
    if fields.texts("tiers") != tuple(Tier.__members__):
        raise DocumentInvalid("tiers", f"expected {', '.join(Tier.__members__)}")
    version, duty_from = fields.text("version"), fields.instant("duty_from")
    roles, record_types = fields.texts("roles"), fields.texts("record_types", WORD)
    obligations = fields.texts("obligations", WORD)
    urgencies = _by_id(_urgency(entry) for entry in fields.tables("urgency"))
    sectors = _by_id(_sector(entry) for entry in fields.tables("sector"))
    purposes = _by_id(_purpose(entry, sectors, roles) for entry in fields.tables("purpose"))
    found = Vocabulary(
        version=version,
        roles=roles,
        record_types=record_types,
        obligations=obligations,
        duty_from=duty_from,
        urgencies=urgencies,
        sectors=sectors,
        purposes=purposes,
        collections=_by_id(_collection(entry, purposes) for entry in fields.tables("collection")),
        bases=_by_id(_basis(entry, sectors, urgencies, obligations) for entry in fields.tables("basis")),
    )
    fields.done()
    return found


_Word = TypeVar("_Word", Urgency, Sector, Purpose, Basis, Collection)


def _by_id(words: Iterable[_Word]) -> Mapping[str, _Word]:
    """Index words by id; one id must not mean two things."""
    found: dict[str, _Word] = {}
    for word in words:
        if word.id in found:
            raise DocumentInvalid(word.id, "expected each id once; it is repeated")
        found[word.id] = word
    return MappingProxyType(found)


def _urgency(fields: Fields) -> Urgency:
    """Read one urgency."""
    found = Urgency(fields.text("id", WORD), fields.text("name"), fields.integer("hours", 1, 720))
    fields.done()
    return found


def _sector(fields: Fields) -> Sector:
    """Read one sector."""
    found = Sector(
        id=fields.text("id", WORD),
        name=fields.text("name"),
        public_authority=fields.flag("public_authority"),
        duty=fields.flag("duty"),
        competent=fields.flag("competent"),
        answers_need=fields.choices("answers_need", ("A9", "A10", "CL")),
    )
    fields.done()
    return found


def _purpose(fields: Fields, sectors: Mapping[str, Sector], roles: tuple[str, ...]) -> Purpose:
    """Read one purpose; its askers are sectors and roles that exist."""
    about = fields.choice("about", ("child", "totals", "log"))
    max_tier = Tier[fields.choice("max_tier", Tier.__members__)]
    alone = Tier[fields.choice("alone_tier", Tier.__members__)] if fields.has("alone_tier") else max_tier
    per_sector: dict[str, Tier] = {}
    if fields.has("max_tier_from"):
        table = fields.table("max_tier_from")
        per_sector = {s: Tier[table.choice(s, Tier.__members__)] for s in sectors if table.has(s)}
        table.done()
    table = fields.table("askers")
    askers = {sector: table.choices(sector, roles) for sector in sectors if table.has(sector)}
    table.done()
    found = Purpose(
        id=fields.text("id", WORD),
        name=fields.text("name"),
        statute=fields.text("statute"),
        about="child" if about == "child" else "totals" if about == "totals" else "log",
        max_tier=max_tier,
        max_tier_from=MappingProxyType(per_sector),
        alone_tier=alone,
        duty=fields.flag("duty"),
        law_enforcement=fields.flag("law_enforcement"),
        askers=MappingProxyType(askers),
    )
    fields.done()
    return found


def _collection(fields: Fields, purposes: Mapping[str, Purpose]) -> Collection:
    """Read one collection; its purposes exist."""
    found = Collection(
        id=fields.text("id", r"[a-z][a-z0-9_-]{1,31}"),
        name=fields.text("name"),
        purposes=fields.choices("purposes", purposes),
    )
    fields.done()
    return found


def _basis(
    fields: Fields,
    sectors: Mapping[str, Sector],
    urgencies: Mapping[str, Urgency],
    obligations: tuple[str, ...],
) -> Basis:
    """Read one basis or condition; every word it uses exists."""

    def some(name: str, allowed: Iterable[str]) -> tuple[str, ...]:
        return fields.choices(name, tuple(allowed)) if fields.has(name) else ()

    found = Basis(
        id=fields.text("id", WORD),
        name=fields.text("name"),
        statute=fields.text("statute"),
        kind=fields.choice("kind", _KINDS),
        who=fields.choice("who", _WHO),
        sectors=some("sectors", sectors),
        needs=some("needs", ("citation",)),
        urgencies=some("urgencies", urgencies),
        reasons=fields.texts("reasons", WORD) if fields.has("reasons") else (),
        obligations=some("obligations", obligations),
        max_tier=Tier[fields.choice("max_tier", Tier.__members__)] if fields.has("max_tier") else Tier.R4,
    )
    fields.done()
    return found
