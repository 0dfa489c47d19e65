"""A question asked on nobody's leave but the asker's: with a reason, and a second person who looks at it.

Sees:     why a colleague broke the glass, inside their own agency; the child stands nowhere in it.
Refuses:  no reason; a look by the asker themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from elsewhere.agreement.vocabulary import vocabulary
from elsewhere.errors import DeskMalformed, ElsewhereError

NEEDS: Final = "SECOND_PERSON"  # the obligation of a basis
MAX_NOTE: Final = 1000
MAX_NAME: Final = 200
MAX_LOOKS: Final = 200  # in one list, which fits a desk message however long the reasons are


class ReasonMissing(ElsewhereError):
    """A question on vital interests, or what is said of one, needs a reason in words. Nobody was asked."""

    code = "break_glass.reason"


class SecondLookOverdue(ElsewhereError):
    """A second person has not looked at an earlier such question in time: none is asked before they have."""

    code = "break_glass.overdue"


class SecondLookGone(ElsewhereError):
    """No question of this number waits for a second person."""

    code = "break_glass.gone"


class SamePerson(ElsewhereError):
    """Whoever asked cannot be the second person. Let somebody else look."""

    code = "break_glass.same_person"


@dataclass(frozen=True, slots=True)
class SecondLook:
    """One question that waits for a second person, as they see it."""

    lookup_id: str  # 32 hex digits
    asker: str = field(repr=False)
    purpose: str
    reason: str = field(repr=False)
    asked_utc: datetime
    due_utc: datetime

    def __post_init__(self) -> None:
        fits = re.fullmatch("[0-9a-f]{32}", self.lookup_id) is not None and len(self.purpose) <= 64
        fits = fits and len(self.asker) <= MAX_NAME and len(self.reason) <= MAX_NOTE
        if not fits or self.asked_utc.tzinfo is None or self.due_utc.tzinfo is None:
            raise DeskMalformed("a desk message has a second look outside what desk.proto allows")


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """What the second person found."""

    lookup_id: str
    justified: bool
    note: str = field(repr=False)
    by: str = field(default="", repr=False)  # account; beside a token none

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{32}", self.lookup_id):
            raise SecondLookGone("expected a lookup number of 32 hex digits")
        check_reason(self.note)
        if len(self.by) > MAX_NAME or not self.by.isprintable():
            raise ReasonMissing(f"by: expected at most {MAX_NAME} printable characters on one line")


def needs_second_look(basis: str) -> bool:
    """Whether a question on this basis is asked on the asker's own word, so that a second person looks."""
    found = vocabulary().bases.get(basis)
    return found is not None and NEEDS in found.obligations


def check_reason(text: str) -> None:
    """Return only for words that say something; raises ReasonMissing."""
    if not 1 <= len(text.strip()) <= len(text) <= MAX_NOTE or not text.isprintable():
        raise ReasonMissing(
            f"reason: expected 1 to {MAX_NOTE} printable characters on one line. A question on vital "
            "interests is asked on the asker's own word; a second person looks at it by the next working day"
        )
