"""What the asker is shown of each custodian: its answer, or a non-answer with what to do next.

Sees:     what this agency was told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from elsewhere.agreement.terms import Agreement
from elsewhere.agreement.vocabulary import delete_after_days
from elsewhere.asking import CustodianAnswer, State
from elsewhere.clock import from_ms
from elsewhere.lookup import Decision, RedeemReply, Ruling
from elsewhere.roster import Member

_BY_DECISION: Final = {
    Decision.DENY: State.DENIED,
    Decision.REVIEW: State.REVIEW,
    Decision.RATE_LIMITED: State.RATE_LIMITED,
    Decision.INCOMPATIBLE: State.INCOMPATIBLE,
    Decision.ERROR: State.ERROR,
}
_REMEDY: Final = {
    State.UNREACHABLE: "call the duty desk; this agency has no connection now",
    State.TIMED_OUT: "ask again, or call the duty desk",
    State.STALE: "ask again in a minute, or call the duty desk",
    State.MAINTENANCE: "call the duty desk; this agency announced maintenance",
    State.INCOMPATIBLE: "call the duty desk; tell your administrator that a node must be updated",
    State.ERROR: "call the duty desk; tell your administrator the code",
    State.POSSIBLE: "call: a record may be about this child, and only a conversation can tell",
    State.CALL_BACK: "call the duty desk; nothing else may be said here",
}


def duty_contact(agreement: Agreement | None, custodian: str) -> str:
    """The duty desk of a party, in and out of hours, as the agreement names it; "" if it is no party."""
    party = agreement.party(custodian) if agreement is not None else None
    if party is None:
        return ""
    inside, outside = party.duty_contact_in_hours, party.duty_contact_out_of_hours
    return inside if inside == outside else f"{inside} (out of hours {outside})"


def answered(custodian: Member, reply: RedeemReply, clause: str) -> CustodianAnswer:
    """What a custodian said."""
    answer = reply.answer
    state = State[answer.state.name]
    return CustodianAnswer(
        custodian=custodian.agency_id,
        custodian_name=custodian.name,
        state=state,
        strength=answer.strength,
        tier=answer.tier,
        contact=answer.contact,
        last_contact_band=answer.last_contact_band,
        flags=answer.flags,
        source_age_days=answer.source_age_days,
        source_stale=answer.source_stale,
        call_reference=reply.call_reference,
        clause=clause,
        remedy=_REMEDY.get(state, ""),
        receipt=reply.receipt,
    )


def under(answer: CustodianAnswer, obligations: Iterable[str], now: datetime) -> CustodianAnswer:
    """An answer with what the agreement asks of whoever has it.

    Args:
        answer: what a custodian said.
        obligations: words of the vocabulary; those for the custodian are passed over.
        now: when it was told.
    """
    words = frozenset(obligations)
    days = [found for word in words if (found := delete_after_days(word)) is not None]
    ends = now + timedelta(days=min(days)) if days else None
    return replace(answer, no_onward="NO_ONWARD" in words, delete_by=ends)


def ruled(custodian: Member, ruling: Ruling, reply: RedeemReply | None) -> CustodianAnswer:
    """What a custodian decided instead of answering; with the receipt of that, if round two came back."""
    state = _BY_DECISION[ruling.decision]
    return CustodianAnswer(
        custodian=custodian.agency_id,
        custodian_name=custodian.name,
        state=state,
        code=ruling.code,
        clause=ruling.clause,
        remedy=ruling.remedy or _REMEDY.get(state, ""),
        expected_by=from_ms(ruling.expected_by_ms) if ruling.expected_by_ms else None,
        call_reference=reply.call_reference if reply else "",
        receipt=reply.receipt if reply else b"",
    )


def absent(custodian: Member, state: State, code: str, since: datetime | None = None) -> CustodianAnswer:
    """A custodian of which nothing came that could be used."""
    return CustodianAnswer(
        custodian=custodian.agency_id,
        custodian_name=custodian.name,
        state=state,
        code=code,
        since=since,
        remedy=_REMEDY.get(state, ""),
    )
