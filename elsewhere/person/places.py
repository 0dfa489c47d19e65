"""Postcodes: normalised, judged by shape, and told apart from stand-ins for "no address".

Promises: never raises on text. A foreign code is opaque text; a pseudo-postcode (ZZ99, "no fixed abode") is
          recognised and used for nothing, as thousands of people share it.
Source:   Royal Mail PAF programmers' guide (shapes); NHS Data Dictionary, pseudo-postcodes ZZ99.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from elsewhere.person.names import fold
from elsewhere.person.words import words

_UK = re.compile(r"(GIR|[A-PR-UWYZ](?:\d[\dA-HJKPSTUW]?|[A-HK-Y]\d[\dABEHMNPRVWXY]?))(\d[ABD-HJLNP-UW-Z]{2})")
_AS_DIGIT = str.maketrans("OIL", "011")
_AS_LETTER = str.maketrans("01", "OI")


class PostcodeKind(enum.Enum):
    """What a written postcode turned out to be."""

    UK = "uk"
    FOREIGN = "foreign"
    PSEUDO = "pseudo"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Postcode:
    """A normalised postcode: UK ones in capitals without the space, others as folded text."""

    text: str
    kind: PostcodeKind

    @property
    def is_usable(self) -> bool:
        """Whether it says where somebody lives."""
        return self.kind in (PostcodeKind.UK, PostcodeKind.FOREIGN)

    @property
    def outward(self) -> str:
        """The part before the space ("SW1A"); for a foreign code the whole text."""
        return self.text[:-3] if self.kind is PostcodeKind.UK else self.text

    @property
    def sector(self) -> str:
        """All but the last character of a UK postcode; for a foreign code the whole text."""
        return self.text[:-1] if self.kind is PostcodeKind.UK else self.text


def read_postcode(text: str) -> Postcode | None:
    """Normalise what was written. Letters O and I typed for digits, and the reverse, are put right.

    Returns: None for blank text.
    """
    compact = fold(text).replace(" ", "").upper()
    if not compact:
        return None
    if compact.startswith("ZZ99") or compact in words().pseudo_postcodes:
        return Postcode(compact, PostcodeKind.PSEUDO)
    candidate = _repair(compact)
    if _UK.fullmatch(candidate):
        return Postcode(candidate, PostcodeKind.UK)
    if any(letter.isdigit() for letter in compact) and 3 <= len(compact) <= 12:
        return Postcode(compact, PostcodeKind.FOREIGN)
    return Postcode(compact, PostcodeKind.MALFORMED)


def _repair(compact: str) -> str:
    """Read the inward code as digit, letter, letter where a look-alike was typed."""
    if not 5 <= len(compact) <= 7 or compact[0].isdigit():
        return compact
    return compact[:-3] + compact[-3].translate(_AS_DIGIT) + compact[-2:].translate(_AS_LETTER)
