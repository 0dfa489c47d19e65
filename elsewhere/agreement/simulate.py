"""Tries a question out on an agreement: would this agency answer, under which clause, and if not why?

Sees:     an agreement, nodes' own policies and the words of a question; no person, no record, no network.
Promises: takes the same steps as two live nodes: the usual basis, the collection to ask in, the decision.
          Limits, broken links and stale records are no matter of the agreement and not simulated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from elsewhere.agreement.asked import INVOLVEMENT, PROTECTED, collection_to_ask, decide_asked
from elsewhere.agreement.bases import default_basis
from elsewhere.agreement.local import LocalPolicy
from elsewhere.agreement.outcome import Deny, Outcome, Permit, QuestionFacts
from elsewhere.agreement.terms import Agreement, Party
from elsewhere.canonical import Json
from elsewhere.errors import DocumentInvalid
from elsewhere.fields import format_instant


@dataclass(frozen=True, slots=True)
class Trial:
    """The words of a question to try out."""

    searcher: str
    purpose: str
    urgency: str = "AMBER"
    role: str = "practitioner"
    basis: str = ""  # empty: the usual one of the searcher's sector and purpose
    collection: str = INVOLVEMENT  # asked together with shielded children where that is permitted
    record_type: str = "INVOLVEMENT"


@dataclass(frozen=True, slots=True)
class Row:
    """What one agency would decide."""

    custodian: Party
    collection: str
    basis: str
    outcome: Outcome

    @property
    def decision(self) -> str:
        """PERMIT, REVIEW or DENY."""
        if isinstance(self.outcome, Permit):
            return "PERMIT"
        return "DENY" if isinstance(self.outcome, Deny) else "REVIEW"

    def to_json(self) -> dict[str, Json]:
        """Write the row; keys that say nothing for its decision are left out."""
        entry: dict[str, Json] = {
            "custodian": self.custodian.agency_id,
            "name": self.custodian.name,
            "decision": self.decision,
            "collection": self.collection,
            "basis": self.basis,
            "clause": self.outcome.clause,
        }
        if isinstance(self.outcome, Deny):
            return {**entry, "code": self.outcome.code, "remedy": self.outcome.remedy}
        entry["tier"] = self.outcome.tier.name
        entry["obligations"] = [*self.outcome.obligations]
        entry["conditions"] = [*self.outcome.conditions]
        if not isinstance(self.outcome, Permit):
            entry["remedy"] = self.outcome.remedy
            entry["expected_by"] = format_instant(self.outcome.expected_by.replace(microsecond=0))
        return entry


def simulate(
    agreement: Agreement,
    trial: Trial,
    now: datetime,
    *,
    policies: Mapping[str, LocalPolicy] | None = None,
    custodians: Sequence[str] = (),
) -> tuple[Row, ...]:
    """Decide a question for every party that could be asked.

    Args:
        agreement: to try; nothing of it needs to be in force yet but its dates, which count.
        trial: the question.
        now: aware time to pretend.
        policies: own policies of answering nodes, by agency; a party without one has none.
        custodians: whom to ask; empty: every party but the searcher.

    Returns:
        One row for each custodian, in the agreement's order.

    Raises:
        DocumentInvalid: the searcher or a custodian is no party.
        UnknownWord: no usual basis can be told, as the purpose is not in the vocabulary.
    """
    parties = {party.agency_id: party for party in agreement.parties}
    for agency in (trial.searcher, *custodians, *(policies or {})):
        if agency not in parties:
            raise DocumentInvalid("parties", f"expected one of {', '.join(parties)}")
    searcher = parties[trial.searcher]
    basis = trial.basis or default_basis(
        searcher.sector,
        trial.purpose,
        now,
        public_authority=searcher.public_authority,
        duty_from=agreement.duty_from,
    )
    asked = [
        p for p in agreement.parties if p is not searcher and (not custodians or p.agency_id in custodians)
    ]
    rows = []
    for custodian in asked:
        facts = QuestionFacts(
            searcher=searcher.agency_id,
            searcher_sector=searcher.sector,
            custodian=custodian.agency_id,
            custodian_sector=custodian.sector,
            collection=trial.collection,
            purpose=trial.purpose,
            basis=basis,
            urgency=trial.urgency,
            role=trial.role,
            record_type=trial.record_type,
        )
        rows.append(_row(facts, custodian, agreement, (policies or {}).get(custodian.agency_id), now))
    return tuple(rows)


def _row(
    facts: QuestionFacts, custodian: Party, agreement: Agreement, local: LocalPolicy | None, now: datetime
) -> Row:
    """Decide one part as its two nodes would: the asker chooses the collection, the other one decides."""
    if facts.collection == INVOLVEMENT and collection_to_ask(facts, agreement, now) == PROTECTED:
        facts = replace(facts, collection=PROTECTED)
    outcome = decide_asked(facts, agreement, local or LocalPolicy(), now)
    return Row(custodian, facts.collection, facts.basis, outcome)
