"""What is lawful TOML but probably not what its writers meant: rules without effect, gaps, dates, contacts.

Sees:     an agreement that reads; faults that keep it from being read are refused before, with their line.
Promises: a rule is judged by what it does: it is tried on every kind of question, not by how it looks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from elsewhere.agreement.bases import default_basis
from elsewhere.agreement.cases import Case, cases, kinds_of, moments, names
from elsewhere.agreement.decide import covers, decide
from elsewhere.agreement.lines import line_of
from elsewhere.agreement.lint_research import find_of_research
from elsewhere.agreement.local import LocalPolicy
from elsewhere.agreement.outcome import Deny, Outcome, Permit
from elsewhere.agreement.terms import Agreement, Effect, Rule
from elsewhere.agreement.vocabulary import vocabulary
from elsewhere.canonical import Json

SOON = timedelta(days=60)
_REACHABLE = re.compile(r"[0-9].*[0-9].*[0-9]|@")
_OPEN = LocalPolicy()


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to look at: what, where, and why it matters."""

    code: str
    key: str
    message: str
    line: int | None = None

    def to_json(self) -> dict[str, Json]:
        """Write it for machines; a line that is not known is left out."""
        entry: dict[str, Json] = {"code": self.code, "key": self.key, "message": self.message}
        return entry if self.line is None else {**entry, "line": self.line}


def find_warnings(agreement: Agreement, now: datetime, text: str = "") -> tuple[Remark, ...]:
    """Find what a careful reader would ask about.

    Args:
        agreement: as read from the text.
        now: aware time, for dates that come near.
        text: what it was read from, to name lines; empty: no lines are named.

    Returns:
        In the order of the text where lines are known.
    """
    agreement = agreement.signed_by_all()  # what is warned of is the text, whoever has yet to sign it
    found = [*_dates(agreement, now), *_contacts(agreement), *_collections(agreement), *_trials(agreement)]
    found += [Remark(*one) for one in find_of_research(agreement, now)]
    placed = [replace(warning, line=line_of(text, warning.key)) if text else warning for warning in found]
    return tuple(sorted(placed, key=lambda warning: warning.line or 0))


def _dates(agreement: Agreement, now: datetime) -> Iterator[Remark]:
    """Dates that have passed or are near."""
    validity = agreement.validity
    if now >= validity.valid_until:
        yield Remark("validity.ended", "valid_until", "the agreement has ended: nothing is answered under it")
    elif now >= validity.valid_until - SOON:
        yield Remark("validity.ends_soon", "valid_until", f"ends in {(validity.valid_until - now).days} days")
    if now < validity.valid_until and now >= validity.review_by:
        yield Remark(
            "review.overdue", "review_by", "the day by which the parties look at it again has passed"
        )
    for index, rule in enumerate(agreement.rules, 1):
        begins = rule.valid_from is not None and rule.valid_from >= validity.valid_until
        ends = rule.valid_until is not None and rule.valid_until <= validity.valid_from
        if begins or ends:
            yield Remark(
                "rule.dates",
                f"rules[{index}]",
                f"rule {rule.id} is in force only outside the agreement's dates",
            )


def _contacts(agreement: Agreement) -> Iterator[Remark]:
    """Duty contacts that nobody could call or write to."""
    for index, party in enumerate(agreement.parties, 1):
        for name, hours in (("duty_contact_in_hours", "in"), ("duty_contact_out_of_hours", "out of")):
            if not _REACHABLE.search(getattr(party, name)):
                message = f"{party.name} has no number or address to call {hours} hours"
                yield Remark("party.contact", f"parties[{index}].{name}", message)


def _collections(agreement: Agreement) -> Iterator[Remark]:
    """Collections that are opened for nothing."""
    named = {rule.collection for rule in agreement.rules if rule.effect is not Effect.DENY}
    for index, entry in enumerate(agreement.collections, 1):
        if entry.id not in named:
            message = f"{entry.id} is opened, but no rule lets anybody ask about it"
            yield Remark("collection.unused", f"collections[{index}]", message)


@dataclass(frozen=True, slots=True)
class _Tried:
    """One question at one time, and what the whole agreement says to it."""

    case: Case
    now: datetime
    outcome: Outcome


def _trials(agreement: Agreement) -> Iterator[Remark]:
    """Try every kind of question at every time between which anything changes."""
    kinds = kinds_of(agreement.parties, agreement.rules)
    asked = [*cases(kinds, [entry.id for entry in agreement.collections])]
    tried = [
        _Tried(case, now, decide(case.facts, agreement, _OPEN, now))
        for now in moments(agreement)
        for case in asked
    ]
    for index, rule in enumerate(agreement.rules, 1):
        yield from _rule(agreement, rule, f"rules[{index}]", tried)
    yield from _purposes(agreement, tried)
    yield from _usual_bases(agreement, tried)


def _rule(agreement: Agreement, rule: Rule, at: str, tried: list[_Tried]) -> Iterator[Remark]:
    """Say what a rule does not do."""
    met = [one for one in tried if covers(rule, one.case.facts, one.now)]
    alone = replace(agreement, rules=(rule,))
    singly = [(one, decide(one.case.facts, alone, _OPEN, one.now)) for one in met]
    if not any(_is_by_rule(outcome) for _, outcome in singly):
        message = f"rule {rule.id} can never apply: no party may ask so, for these purposes on these bases"
        yield Remark("rule.never", at, message)
        return
    lacking = {
        one.case.custodians[0].agency_id: one.case.custodians
        for one, outcome in singly
        if isinstance(outcome, Deny) and outcome.code == "basis.condition_missing"
    }
    if lacking:
        who = names(party for group in lacking.values() for party in group)
        message = f"rule {rule.id} names no condition (A9, A10, CL) that an answer needs from: {who}"
        yield Remark("rule.condition", f"{at}.bases", message)
    without = replace(agreement, rules=tuple(other for other in agreement.rules if other is not rule))
    if all(_effect(one.outcome) == _effect(decide(one.case.facts, without, _OPEN, one.now)) for one in met):
        message = f"rule {rule.id} changes nothing: other rules decide every question that it covers"
        yield Remark("rule.shadowed", at, message)
    reached = [outcome.tier for _, outcome in singly if not isinstance(outcome, Deny)]
    if reached and max(reached) < rule.tier:
        message = f"rule {rule.id} says {rule.tier.name}; its purposes reach {max(reached).name} at most"
        yield Remark("rule.tier", f"{at}.tier", message)


def _purposes(agreement: Agreement, tried: list[_Tried]) -> Iterator[Remark]:
    """Name purposes that parties could have but no rule gives."""
    given = {one.case.facts.purpose for one in tried if not isinstance(one.outcome, Deny)}
    for purpose in dict.fromkeys(one.case.facts.purpose for one in tried):
        if purpose not in given:
            message = (
                f"nobody may ask for {purpose} ({vocabulary().purposes[purpose].name}): no rule permits it"
            )
            yield Remark("purpose.unreached", "rules", message)


def _usual_bases(agreement: Agreement, tried: list[_Tried]) -> Iterator[Remark]:
    """Name who may ask, but not on the basis that its node states unless told otherwise."""
    permitted: dict[tuple[str, str, datetime], tuple[set[str], Case]] = {}
    for one in tried:
        key = (one.case.facts.searcher, one.case.facts.purpose, one.now)
        bases = permitted.setdefault(key, (set(), one.case))[0]
        if isinstance(one.outcome, Permit):
            bases.add(one.case.facts.basis)
    said = set[tuple[str, str, str]]()
    for (searcher, purpose, now), (bases, case) in permitted.items():
        party = case.searchers[0]
        usual = default_basis(
            party.sector,
            purpose,
            now,
            public_authority=party.public_authority,
            duty_from=agreement.duty_from,
        )
        if bases and usual not in bases and (searcher, purpose, usual) not in said:
            said.add((searcher, purpose, usual))
            who, others = names(case.searchers), ", ".join(sorted(bases))
            message = f"{who} may ask for {purpose}, but not on its usual basis {usual}; only on {others}"
            yield Remark("basis.usual", "rules", message)


def _is_by_rule(outcome: Outcome) -> bool:
    """Whether a rule decided, rather than what is looked at before or after it."""
    return not isinstance(outcome, Deny) or outcome.code in (
        "agreement.rule",
        "agreement.tier",
        "basis.condition_missing",
    )


def _effect(outcome: Outcome) -> object:
    """What an outcome lets out and asks for, whichever clause it names."""
    if isinstance(outcome, Deny):
        return outcome.code
    return (isinstance(outcome, Permit), outcome.tier, outcome.obligations, outcome.conditions)
