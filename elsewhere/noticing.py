"""A message to the duty desk: another agency was told something of a child that this agency knows.

Sees:     who asked and why, and this agency's own records of the child; nobody outside reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from elsewhere.errors import DeskMalformed, ElsewhereError
from elsewhere.receipt import CALL_REFERENCE
from elsewhere.roster import AGENCY_ID

MAX_NOTICES: Final = 200  # in one list
MAX_RECORDS: Final = 16  # of one notice; `elsewhere audit show` has all
MAX_ID: Final = 1000
MAX_NAME: Final = 200
_WORDS: Final = ("purpose", "urgency", "state", "tier")


class NoticeGone(ElsewhereError):
    """No message of this reference waits for the duty desk: somebody has dealt with it."""

    code = "notice.gone"


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to the duty desk, as its systems read it."""

    reference: str  # call reference, which the asking agency has too
    searcher: str
    purpose: str
    urgency: str
    state: str  # what was told, such as KNOWN_CURRENT
    tier: str
    told_utc: datetime
    records: tuple[tuple[str, str], ...] = field(repr=False)  # source and id there; none: erased since

    def __post_init__(self) -> None:
        shapes = [(CALL_REFERENCE, self.reference), (AGENCY_ID, self.searcher)]
        fits = all(re.fullmatch(shape, text) for shape, text in shapes)
        fits = fits and all(len(getattr(self, name)) <= 64 for name in _WORDS)
        fits = fits and len(self.records) <= MAX_RECORDS and self.told_utc.tzinfo is not None
        if not fits or any(len(word) > MAX_ID for record in self.records for word in record):
            raise DeskMalformed("a desk message has a notice outside what desk.proto allows")


@dataclass(frozen=True, slots=True)
class NoticeDone:
    """Somebody has dealt with a message."""

    reference: str
    by: str = field(default="", repr=False)  # account; beside a token none

    def __post_init__(self) -> None:
        if not re.fullmatch(CALL_REFERENCE, self.reference) or len(self.by) > MAX_NAME:
            raise NoticeGone("expected a call reference of 8 characters, as 'elsewhere node notices' lists")
        if not self.by.isprintable():
            raise NoticeGone(f"by: expected at most {MAX_NAME} printable characters on one line")
