"""Shields: which records may be asked about in which collection, and which of two shields is the stricter.

Source:   the lookup's rules for shielded children, docs/caseload.md, "Shields".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from elsewhere.agreement import asked

NONE: Final = "NONE"
SHIELD_LOCATION: Final = "SHIELD_LOCATION"
SHIELD_IDENTITY: Final = "SHIELD_IDENTITY"
_BY_STRICTNESS = (NONE, SHIELD_LOCATION, SHIELD_IDENTITY)

INVOLVEMENT: Final = asked.INVOLVEMENT
PROTECTED: Final = asked.PROTECTED
# The agreement's word for location-shielded children. Over the wire they are asked about in the collection
# "protected", which holds everybody else too: one question is one question, whatever its purpose.
SHIELDED: Final = asked.SHIELDED

# A collection that is not listed here holds nothing of the caseload.
_PERMITTED = {
    INVOLVEMENT: frozenset({NONE}),
    # Only purposes that protect a child from harm now may ask this one.
    PROTECTED: frozenset({NONE, SHIELD_LOCATION}),
}


def strictest(shields: Iterable[str]) -> str:
    """Give the strictest of some shields, NONE for none."""
    return max(shields, key=_BY_STRICTNESS.index, default=NONE)


def is_tagged(shield: str, collection: str) -> bool:
    """Whether records under a shield have tags in a collection."""
    return shield in _PERMITTED.get(collection, frozenset())
