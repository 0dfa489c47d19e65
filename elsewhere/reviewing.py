"""A question that waits for a person at the agency asked: what that person sees of it, and may decide.

Sees:     purposes, pseudonyms and times. The child is not known at the agency asked before it releases.
Refuses:  a decision without a reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from elsewhere.errors import DeskMalformed, ElsewhereError
from elsewhere.roster import AGENCY_ID

MAX_REASON: Final = 1000
MAX_REVIEWER: Final = 200
MAX_REVIEWS: Final = 500  # in one list
_WORDS: Final = ("purpose", "basis", "urgency", "role")


class ReviewInvalid(ElsewhereError):
    """A decision lacks a reason, or names no question in the form of its number. Nothing was decided."""

    code = "review.invalid"


class ReviewGone(ElsewhereError):
    """No question of this number waits for a decision: it was decided, or its time is over."""

    code = "review.gone"


@dataclass(frozen=True, slots=True)
class WaitingReview:
    """One question that waits, as a reviewer sees it."""

    number: str  # 16 hex digits
    searcher: str
    purpose: str
    basis: str
    urgency: str
    role: str
    pseudonym: str  # 8 hex digits: the same person at that agency has the same ones
    case: str  # 8 hex digits, likewise of its case reference
    clause: str
    asked_utc: datetime
    expected_by: datetime
    lapses_utc: datetime

    def __post_init__(self) -> None:
        shapes = [("[0-9a-f]{16}", self.number), (AGENCY_ID, self.searcher)]
        shapes += [("[0-9a-f]{8}", self.pseudonym), ("[0-9a-f]{8}", self.case)]
        fits = all(re.fullmatch(shape, text) for shape, text in shapes)
        fits = fits and all(len(getattr(self, name)) <= 64 for name in _WORDS) and len(self.clause) <= 200
        times = (self.asked_utc, self.expected_by, self.lapses_utc)
        if not fits or any(moment.tzinfo is None for moment in times):
            raise DeskMalformed("a desk message has a review outside what desk.proto allows")


@dataclass(frozen=True, slots=True)
class ReviewDecision:
    """What a reviewer decided, and why."""

    number: str
    releases: bool
    reason: str = field(repr=False)
    reviewer: str = field(default="", repr=False)  # account; beside a token none

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{16}", self.number):
            raise ReviewInvalid("number: expected 16 hex digits, as 'elsewhere node review list' shows them")
        for name, least, most in (("reason", 1, MAX_REASON), ("reviewer", 0, MAX_REVIEWER)):
            text = getattr(self, name)
            if not least <= len(text.strip()) <= len(text) <= most or not text.isprintable():
                raise ReviewInvalid(f"{name}: expected {least} to {most} printable characters on one line")
