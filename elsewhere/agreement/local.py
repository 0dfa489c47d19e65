"""An agency's own policy: it narrows what the agreement allows at its node and can widen nothing.

Refuses:  words outside the vocabulary; a cap above what any agreement reaches.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from elsewhere.agreement.vocabulary import Tier, vocabulary
from elsewhere.canonical import Json, canonical_json
from elsewhere.errors import DocumentInvalid
from elsewhere.fields import Fields, as_text
from elsewhere.roster import AGENCY_ID


@dataclass(frozen=True, slots=True)
class LocalPolicy:
    """What one node denies, holds for a person, or caps, on top of the agreement. Empty: nothing."""

    denied_purposes: frozenset[str] = frozenset()
    denied_agencies: frozenset[str] = frozenset()
    review_purposes: frozenset[str] = frozenset()
    review_agencies: frozenset[str] = frozenset()
    review_everything: bool = False
    tier_cap: Tier = Tier.R3
    digest: bytes = field(init=False, compare=False)  # SHA-256 of its canonical JSON, for the log

    def __post_init__(self) -> None:
        for name in ("denied_purposes", "review_purposes"):
            for purpose in getattr(self, name):
                if purpose not in vocabulary().purposes:
                    raise DocumentInvalid(name, f"expected one of {', '.join(vocabulary().purposes)}")
        for name in ("denied_agencies", "review_agencies"):
            for agency in getattr(self, name):
                as_text(agency, name, AGENCY_ID)
        if self.tier_cap > Tier.R3:
            raise DocumentInvalid("tier_cap", "expected R0 to R3")
        object.__setattr__(self, "digest", hashlib.sha256(canonical_json(self.to_json())).digest())

    def forces_review(self, purpose: str, agency: str) -> bool:
        """Tell whether a person decides here whatever the agreement permits."""
        return self.review_everything or purpose in self.review_purposes or agency in self.review_agencies

    def to_json(self) -> dict[str, Json]:
        """Write the policy, sorted, so that one policy has one digest."""
        return {
            "denied_purposes": [*sorted(self.denied_purposes)],
            "denied_agencies": [*sorted(self.denied_agencies)],
            "review_purposes": [*sorted(self.review_purposes)],
            "review_agencies": [*sorted(self.review_agencies)],
            "review_everything": self.review_everything,
            "tier_cap": self.tier_cap.name,
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> LocalPolicy:
        """Read the policy table of a node's settings; every key may be left out.

        Raises:
            DocumentInvalid: an unknown key or word; the node must not start with a policy it misreads.
        """

        def some(name: str) -> frozenset[str]:
            return frozenset(fields.texts(name)) if fields.has(name) else frozenset()

        found = cls(
            denied_purposes=some("denied_purposes"),
            denied_agencies=some("denied_agencies"),
            review_purposes=some("review_purposes"),
            review_agencies=some("review_agencies"),
            review_everything=fields.flag("review_everything") if fields.has("review_everything") else False,
            tier_cap=Tier[fields.choice("tier_cap", ("R0", "R1", "R2", "R3"))]
            if fields.has("tier_cap")
            else Tier.R3,
        )
        fields.done()
        return found
