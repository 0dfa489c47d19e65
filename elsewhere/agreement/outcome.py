"""What a decision is taken from and what it says: the facts of a question; permit, deny or review.

Sees:     words of the question's envelope only; never a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from elsewhere.agreement.vocabulary import About, Tier

MAX_CLAUSE_BYTES = 200
MAX_REMEDY_BYTES = 400


@dataclass(frozen=True, slots=True)
class QuestionFacts:
    """What a decision rests on. `decide` checks the words, so that an unknown one is denied, not lost.

    Both sectors come from the roster, never from the question itself.
    """

    searcher: str
    searcher_sector: str
    custodian: str
    custodian_sector: str
    collection: str
    purpose: str
    basis: str
    urgency: str
    role: str
    record_type: str = "INVOLVEMENT"
    about: About = "child"
    has_citation: bool = False


@dataclass(frozen=True, slots=True)
class Permit:
    """The question may be answered up to a tier, under these obligations."""

    tier: Tier
    obligations: tuple[str, ...]  # sorted; LOG is always among them
    clause: str
    conditions: tuple[str, ...]  # A9, A10 and CL the agreement relies on for this answer


@dataclass(frozen=True, slots=True)
class Deny:
    """The question may not be answered. `remedy` tells a practitioner what to do instead."""

    code: str  # stable; listed in docs/errors.md
    clause: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Review:
    """A person at the answering agency decides by `expected_by`; if it releases, then as a Permit would."""

    tier: Tier
    obligations: tuple[str, ...]
    clause: str
    remedy: str
    expected_by: datetime
    conditions: tuple[str, ...]


Outcome: TypeAlias = Permit | Deny | Review


def clip(text: str, limit_bytes: int) -> str:
    """Shorten a text to a number of UTF-8 bytes, whole characters only; every reply has one size."""
    encoded = text.encode("utf-8")
    if len(encoded) <= limit_bytes:
        return text
    return encoded[: limit_bytes - 3].decode("utf-8", "ignore") + "..."
