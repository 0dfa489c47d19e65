"""The minimum answer about one child: composed from this agency's own records, cut to the permitted tier.

Sees:     one child's records in sum, in the clear.
Refuses:  to say more than "call" when the match is weak or ambiguous, or the child is shielded.
Source:   docs/protocol.md, "Answers"; tiers R1 to R3 of the agreement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime

from elsewhere.agreement.outcome import clip
from elsewhere.lookup import MAX_FLAGS, Answer, AnswerState, Contact, Flag
from elsewhere.matching import Verdict, VerdictKind
from node.caseload.child import Child
from node.caseload.index import SourceState

NOTHING = Answer(AnswerState.NOTHING_RETURNED)
_BANDS = ((7, "<7d"), (30, "<30d"), (183, "<6m"), (365, "<12m"))
_TIERS = ("R1", "R2", "R3")


def compose(
    verdict: Verdict[int],
    child: Child | None,
    sources: Mapping[str, SourceState],
    tier: str,
    now: datetime,
) -> Answer:
    """Compose the answer of this agency.

    Args:
        verdict: what the verified keys say.
        child: the one child of a MATCH; else not looked at.
        sources: how fresh each source is.
        tier: R1, R2 or R3, what the agreement permits; anything else releases nothing.
        now: aware UTC time.
    """
    if tier not in _TIERS:
        return NOTHING
    # How old the sources are shows in every answer, most of all in one with nothing in it.
    age_days, stale = _freshness(sources.values(), now)
    if verdict.kind is VerdictKind.NONE or verdict.strength is None:
        return replace(NOTHING, source_age_days=age_days, source_stale=stale)
    if verdict.kind is VerdictKind.POSSIBLE or child is None:
        possible = Answer(AnswerState.POSSIBLE, strength=verdict.strength.name, tier=tier)
        return replace(possible, source_age_days=age_days, source_stale=stale)
    if child.is_shielded:
        # No strength, service or date: nothing that helps to find where the child is.
        return Answer(AnswerState.CALL_BACK, tier=tier, source_age_days=age_days, source_stale=stale)
    age_days, stale = _freshness(child.sources.values(), now)
    above_r1 = tier != "R1"
    return Answer(
        state=_state(child) if above_r1 else AnswerState.KNOWN,
        strength=verdict.strength.name,
        tier=tier,
        contact=_contact(child) if above_r1 else Contact(),
        last_contact_band=_band(child.last_contact, now) if above_r1 else "",
        flags=_flags(child, now.date()) if tier == "R3" else (),
        source_age_days=age_days,
        source_stale=stale,
    )


def _contact(child: Child) -> Contact:
    """Whom to call, cut to the bytes that a reply of constant size has room for."""
    return Contact(clip(child.service, 200), clip(child.in_hours, 100), clip(child.out_of_hours, 100))


def _state(child: Child) -> AnswerState:
    return AnswerState.KNOWN_CURRENT if child.is_current else AnswerState.KNOWN_PAST


def _band(seen: date | None, now: datetime) -> str:
    """How long ago anybody saw the child, in bands too wide to tell which visit it was."""
    if seen is None:
        return ""
    days = (now.date() - seen).days
    return next((band for limit, band in _BANDS if days < limit), ">12m")


def _flags(child: Child, today: date) -> tuple[Flag, ...]:
    """Those still running first: without an end, or with one that has not passed."""

    def rank(flag: Flag) -> tuple[bool, str, str]:
        has_ended = bool(flag.end_date) and flag.end_date < today.isoformat()
        return has_ended, flag.code, flag.start_date

    return tuple(sorted(child.flags, key=rank)[:MAX_FLAGS])


def _freshness(sources: Iterable[SourceState], now: datetime) -> tuple[int, bool]:
    """Age of the oldest source in days, and whether any is older than its owner promised."""
    ages = [(max(0, int(now.timestamp()) - s.read_utc) // 86_400, s.max_age_days) for s in sources]
    if not ages:
        return 0, False
    return max(age for age, _ in ages), any(limit and age > limit for age, limit in ages)
