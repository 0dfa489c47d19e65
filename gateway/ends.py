"""What a gateway and its members cannot work without, and when it runs out: said while there is time.

Promises: nothing is renewed here; each end comes with what its operator is to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

WARNED_BEFORE: Final = timedelta(days=21)
REMEDIES: Final[Mapping[str, str]] = {
    "roster": "run 'elsewhere gateway propose', have stewards sign it, then 'elsewhere gateway enact' it",
    "agreement": "edit agreement.toml, then as for the roster: 'elsewhere gateway propose' and 'enact'",
    "certificate": "start the gateway again, with keys/ca.key in its folder: it makes a new one",
}


@dataclass(frozen=True, slots=True)
class End:
    """One thing that runs out, and what to do before."""

    what: str  # a key of REMEDIES
    at: datetime

    @property
    def remedy(self) -> str:
        """What the operator is to do."""
        return REMEDIES[self.what]


def nearest(ends: Iterable[End]) -> End:
    """The one that runs out first."""
    return min(ends, key=lambda end: end.at)


def is_soon(end: End, now: datetime) -> bool:
    """Whether it runs out within three weeks, or has."""
    return end.at - now <= WARNED_BEFORE
