"""The decision: may this question be answered, how far, and under which clause. One function, used by all.

Sees:     the question's envelope, the agreement, the node's own policy and the time; no person, no record.
Refuses:  whatever no rule permits. DENY beats REVIEW beats PERMIT; at equal effect a narrower rule beats a
          wider one; where neither is narrower both hold, so the lower tier and all obligations apply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from elsewhere.agreement.denials import deny, desk_of
from elsewhere.agreement.faults import FAULTS, clause_of
from elsewhere.agreement.local import LocalPolicy
from elsewhere.agreement.outcome import (
    MAX_CLAUSE_BYTES,
    Deny,
    Outcome,
    Permit,
    QuestionFacts,
    Review,
    clip,
)
from elsewhere.agreement.terms import Agreement, Effect, Rule
from elsewhere.agreement.vocabulary import Basis, Tier, delete_after_days, vocabulary

__all__ = ["Deny", "LocalPolicy", "Outcome", "Permit", "QuestionFacts", "Review", "decide"]


def decide(
    question: QuestionFacts, agreement: Agreement | None, local: LocalPolicy, now: datetime
) -> Outcome:
    """Decide a question. Pure and total: the same arguments give the same outcome at every node.

    Args:
        question: facts of the envelope; both sectors come from the roster.
        agreement: the signed agreement held, opened and checked; None if there is none.
        local: the answering node's own policy; it can only tighten.
        now: aware time at whoever decides.

    Returns:
        Permit, Deny or Review, each with the clause that decided. A Deny also says what to do instead.
    """
    if agreement is None:
        return deny("agreement.missing", "no agreement is held", desk_of(None, question.custodian))
    for find_fault in FAULTS:
        refused = find_fault(question, agreement, now)
        if refused is not None:
            return refused
    return _refused_locally(question, agreement, local) or _by_rules(question, agreement, local, now)


def _refused_locally(question: QuestionFacts, agreement: Agreement, local: LocalPolicy) -> Deny | None:
    """Deny what the answering agency's own policy holds back."""
    desk, clause = desk_of(agreement, question.custodian), "the answering agency's own policy"
    if question.purpose in local.denied_purposes:
        return deny("local.purpose", clause, desk)
    if question.searcher in local.denied_agencies:
        return deny("local.agency", clause, desk)
    if question.about == "child" and local.tier_cap < Tier.R1:
        return deny("local.tier", clause, desk)
    return None


def _by_rules(question: QuestionFacts, agreement: Agreement, local: LocalPolicy, now: datetime) -> Outcome:
    """Find the rules that cover the question and let the strongest effect among them decide."""
    covering = [rule for rule in agreement.rules if covers(rule, question, now)]
    for effect in (Effect.DENY, Effect.REVIEW, Effect.PERMIT):
        deciding = _narrowest([rule for rule in covering if rule.effect is effect])
        if deciding and effect is Effect.DENY:
            desk = desk_of(agreement, question.custodian)
            return deny("agreement.rule", _clause(agreement, deciding[0]), desk)
        if deciding:
            return _offer(deciding, question, agreement, local, now)
    return _no_rule(question, agreement, now)


def covers(rule: Rule, question: QuestionFacts, now: datetime) -> bool:
    """Tell whether a rule is in force and speaks of this question; an empty list of words means all.

    Args:
        rule: of the agreement in question.
        question: its words are in the vocabulary.
        now: aware time; a rule is in force in [valid_from, valid_until).
    """
    return (
        (rule.valid_from is None or rule.valid_from <= now)
        and (rule.valid_until is None or now < rule.valid_until)
        and rule.collection == question.collection
        and rule.source.covers(question.custodian, question.custodian_sector)
        and rule.dest.covers(question.searcher, question.searcher_sector)
        and (not rule.purposes or question.purpose in rule.purposes)
        and (not rule.bases or question.basis in rule.bases)
        and (not rule.record_types or question.record_type in rule.record_types)
    )


def _narrowest(rules: Sequence[Rule]) -> list[Rule]:
    """Keep the rules that no other one is narrower than, in the agreement's order."""
    return [rule for rule in rules if not any(_is_narrower(other, rule) for other in rules)]


def _is_narrower(one: Rule, other: Rule) -> bool:
    """Tell whether every question one rule covers is covered by the other, and not the reverse.

    Both already cover one question, so an agency named on a side lies within the other's sector there.
    """
    pairs = (
        (one.source.width, other.source.width),
        (one.dest.width, other.dest.width),
        _widths(one.purposes, other.purposes),
        _widths(one.bases, other.bases),
        _widths(one.record_types, other.record_types),
    )
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def _widths(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[int, int]:
    """Compare two word lists as sets: (0, 1) one lies within the other, (0, 0) equal, (1, 0) else."""
    if set(one) == set(other):
        return 0, 0
    within = bool(one) and (not other or set(one) < set(other))
    return (0, 1) if within else (1, 0)


@dataclass(frozen=True, slots=True)
class _Terms:
    """What the deciding rules allow together."""

    tier: Tier
    obligations: tuple[str, ...]
    conditions: tuple[str, ...]


def _offer(
    deciding: Sequence[Rule],
    question: QuestionFacts,
    agreement: Agreement,
    local: LocalPolicy,
    now: datetime,
) -> Outcome:
    """Permit or hold for review what the deciding rules allow, tightened by ceilings and local policy."""
    first = min(deciding, key=lambda rule: rule.tier)
    clause, desk = _clause(agreement, first), desk_of(agreement, question.custodian)
    terms = _combine(deciding, question, agreement, local)
    if isinstance(terms, str):
        return deny("basis.condition_missing", clause, desk, hint=terms)
    if question.about == "child" and terms.tier < Tier.R1:
        return deny("agreement.tier", clause, desk)
    forced = local.forces_review(question.purpose, question.searcher)
    if first.effect is Effect.PERMIT and not forced and "HUMAN_REVIEW" not in terms.obligations:
        return Permit(terms.tier, terms.obligations, clause, terms.conditions)
    hours = vocabulary().urgencies[question.urgency].hours
    remedy = f"A person at the answering agency decides within {hours} hours. If it cannot wait, {desk}."
    return Review(
        tier=terms.tier,
        obligations=terms.obligations,
        clause=clause,
        remedy=remedy,
        expected_by=now + timedelta(hours=hours),
        conditions=terms.conditions,
    )


def _combine(
    deciding: Sequence[Rule], question: QuestionFacts, agreement: Agreement, local: LocalPolicy
) -> _Terms | str:
    """Join the deciding rules: lowest tier, every obligation. A condition that one of them lacks comes back
    as its kind."""
    words = vocabulary()
    tier = local.tier_cap
    obligations = {"LOG", *words.bases[question.basis].obligations}
    conditions: set[str] = set()
    for rule in deciding:
        alone = rule.purposes == (question.purpose,)
        ceiling = words.purposes[question.purpose].ceiling(question.custodian_sector, alone=alone)
        tier = min(tier, rule.tier, ceiling, words.bases[question.basis].max_tier)
        obligations.update(rule.obligations)
        for kind in words.sectors[question.custodian_sector].answers_need:
            condition = _condition(kind, rule, question, agreement)
            if condition is None:
                return kind
            tier = min(tier, condition.max_tier)
            conditions.add(condition.id)
    return _Terms(tier, _settle(obligations), tuple(sorted(conditions)))


def _condition(kind: str, rule: Rule, question: QuestionFacts, agreement: Agreement) -> Basis | None:
    """Choose the condition of one kind that a rule names and the asker's sector may use; the widest first."""
    words = vocabulary()
    named = [words.bases[basis] for basis in rule.bases or words.bases]
    usable = [
        basis
        for basis in named
        if basis.kind == kind
        and (not basis.sectors or question.searcher_sector in basis.sectors)
        and (basis.id != "CL_DUTY" or agreement.duty_sets_confidence_aside)
    ]
    return max(usable, key=lambda basis: basis.max_tier, default=None)


def _settle(obligations: set[str]) -> tuple[str, ...]:
    """Resolve what two rules ask together: the earliest deletion, and silence over a message."""
    days = [found for word in obligations if (found := delete_after_days(word)) is not None]
    kept = {word for word in obligations if delete_after_days(word) is None}
    if days:
        kept.add(f"DELETE_AFTER_{min(days)}")
    if "SILENT" in kept:
        # A message may itself tell the wrong person; what is asked to be silent stays so.
        kept.discard("NOTIFY_DESK")
    return tuple(sorted(kept))


def _no_rule(question: QuestionFacts, agreement: Agreement, now: datetime) -> Deny:
    """Deny what no rule covers, and say which basis would have been covered."""
    bases = {
        basis
        for rule in agreement.rules
        if rule.effect is not Effect.DENY
        for basis in rule.bases
        if vocabulary().bases[basis].carries_a_question and covers(rule, replace(question, basis=basis), now)
    }
    hint = f"With the same purpose it covers these bases: {', '.join(sorted(bases))}." if bases else ""
    hint = hint or "Check that the purpose is the one you act under."
    clause = clause_of(agreement, "rules: none covers this")
    return deny("agreement.no_rule", clause, desk_of(agreement, question.custodian), hint=hint)


def _clause(agreement: Agreement, rule: Rule) -> str:
    """Name a rule so that both sides can find it in the signed text."""
    return clip(f"{clause_of(agreement, f'rule {rule.id}')}: {rule.words}", MAX_CLAUSE_BYTES)
