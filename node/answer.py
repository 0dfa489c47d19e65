"""The minimum answer about one child: composed from this agency's own records, cut to the permitted tier.

Sees:     the records of one group, in the clear.
Refuses:  to say more than "call" when the match is weak or ambiguous, or the child is shielded.
Source:   docs/protocol.md, "Answers"; tiers R1 to R3 of the agreement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from elsewhere.agreement.outcome import clip
from elsewhere.lookup import MAX_FLAGS, Answer, AnswerState, Contact, Flag
from elsewhere.matching import Verdict, VerdictKind
from node.caseload.index import CaseRecord, SourceState
from node.caseload.shields import SHIELD_LOCATION

NOTHING = Answer(AnswerState.NOTHING_RETURNED)
_BANDS = ((7, "<7d"), (30, "<30d"), (183, "<6m"), (365, "<12m"))
_TIERS = ("R1", "R2", "R3")


def compose(
    verdict: Verdict[int],
    records: Sequence[CaseRecord],
    sources: Mapping[str, SourceState],
    tier: str,
    now: datetime,
) -> Answer:
    """Compose the answer of this agency.

    Args:
        verdict: what the verified keys say.
        records: all records in force of the one group of a MATCH; else not looked at.
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
    if verdict.kind is VerdictKind.MATCH and any(record.shield == SHIELD_LOCATION for record in records):
        # No strength, service or date: nothing that helps to find where the child is.
        return Answer(AnswerState.CALL_BACK, tier=tier, source_age_days=age_days, source_stale=stale)
    if verdict.kind is VerdictKind.POSSIBLE or not records:
        return Answer(
            AnswerState.POSSIBLE,
            strength=verdict.strength.name,
            tier=tier,
            source_age_days=age_days,
            source_stale=stale,
        )
    newest = max(records, key=lambda record: (record.is_current, record.last_contact or date.min, record.id))
    age_days, stale = _freshness((sources[record.source] for record in records), now)
    above_r1 = tier != "R1"
    return Answer(
        state=_state(records) if above_r1 else AnswerState.KNOWN,
        strength=verdict.strength.name,
        tier=tier,
        contact=_contact(newest) if above_r1 else Contact(),
        last_contact_band=_band(records, now) if above_r1 else "",
        flags=_flags(records) if tier == "R3" else (),
        source_age_days=age_days,
        source_stale=stale,
    )


def _contact(record: CaseRecord) -> Contact:
    """Whom to call, cut to the bytes that a reply of constant size has room for."""
    return Contact(clip(record.service, 200), clip(record.in_hours, 100), clip(record.out_of_hours, 100))


def _state(records: Sequence[CaseRecord]) -> AnswerState:
    is_current = any(record.is_current for record in records)
    return AnswerState.KNOWN_CURRENT if is_current else AnswerState.KNOWN_PAST


def _band(records: Sequence[CaseRecord], now: datetime) -> str:
    """How long ago anybody saw the child, in bands too wide to tell which visit it was."""
    contacts = [record.last_contact for record in records if record.last_contact is not None]
    if not contacts:
        return ""
    days = (now.date() - max(contacts)).days
    return next((band for limit, band in _BANDS if days < limit), ">12m")


def _flags(records: Sequence[CaseRecord]) -> tuple[Flag, ...]:
    """Each flag once, those still running first."""
    distinct = {flag: None for record in records for flag in record.flags}
    return tuple(sorted(distinct, key=lambda flag: (bool(flag.end_date), flag.code, flag.start_date)))[
        :MAX_FLAGS
    ]


def _freshness(sources: Iterable[SourceState], now: datetime) -> tuple[int, bool]:
    """Age of the oldest source in days, and whether any is older than its owner promised."""
    ages = [(max(0, int(now.timestamp()) - s.read_utc) // 86_400, s.max_age_days) for s in sources]
    if not ages:
        return 0, False
    return max(age for age, _ in ages), any(limit and age > limit for age, limit in ages)
