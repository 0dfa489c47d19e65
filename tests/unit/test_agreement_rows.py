"""Every row of the vocabulary, obligation, clause and denial has its test; a new one without one fails."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from elsewhere.agreement.bases import default_basis, may_rely, possible_bases
from elsewhere.agreement.cases import cases, kinds_of, moments
from elsewhere.agreement.decide import Deny, LocalPolicy, Permit, QuestionFacts, Review, decide
from elsewhere.agreement.denials import REMEDIES
from elsewhere.agreement.terms import Agreement, CollectionTerms, Effect
from elsewhere.agreement.vocabulary import Tier, vocabulary
from tests.unit.test_agreement_decide import NOW, OPEN, RULE, START, asked, of, with_rules

WORDS = vocabulary()
LA, POLICE, NHS, GP = "SOCIAL_CARE", "POLICE", "NHS_TRUST", "GP"
ALL = set(WORDS.sectors) - {"RESEARCH"}
WORKERS = {"practitioner", "safeguarding_lead", "emergency_desk"}


@dataclass(frozen=True)
class Row:
    """What the table of purposes says: who may ask, with which roles at most, how far, about what."""

    statute: str
    sectors: set[str]
    roles: set[str]
    tier: str
    about: str = "child"
    duty: bool = True
    exceptions: dict[str, str] | None = None
    alone: str = ""


PURPOSES = {
    "S47_ENQUIRY": Row("Children Act 1989 s47", {LA}, WORKERS, "R3"),
    "STRATEGY_DISCUSSION": Row("Children Act 1989 s47", {LA, POLICE, NHS, GP}, WORKERS, "R3"),
    "EMERGENCY_PROTECTION": Row("Children Act 1989 s44, s46", {LA, POLICE}, WORKERS, "R3"),
    "MASH_TRIAGE": Row("Children Act 2004 s10, s11, s16LA", ALL, WORKERS, "R2"),
    "CIN_ASSESSMENT": Row("Children Act 1989 s17", {LA}, {"practitioner", "safeguarding_lead"}, "R2"),
    "EARLY_HELP": Row(
        "Children Act 2004 s10",
        {LA, NHS, GP, "SCHOOL", "EARLY_YEARS", "HOUSING", "VOLUNTARY"},
        {"practitioner", "safeguarding_lead"},
        "R1",
    ),
    "UNSCHEDULED_CARE": Row("Children Act 2004 s11, s16LA", {NHS, GP}, WORKERS, "R2", exceptions={LA: "R3"}),
    "SCHOOL_SAFEGUARDING": Row(
        "Education Act 2002 s175, s157", {"SCHOOL"}, {"safeguarding_lead"}, "R2", exceptions={POLICE: "R1"}
    ),
    "MISSING_CHILD": Row("Children Act 1989 s47; common law", {LA, POLICE}, WORKERS, "R2"),
    "PUBLIC_PROTECTION": Row(
        "Criminal Justice Act 2003 s325",
        {POLICE, "PROBATION", "YOUTH_JUSTICE"},
        {"practitioner", "safeguarding_lead"},
        "R2",
        duty=False,
    ),
    "PRACTICE_REVIEW": Row(
        "Children Act 2004 s16H", {LA, POLICE, NHS}, {"reviewer"}, "R2", duty=False, alone="R3"
    ),
    "RESEARCH_AGG": Row(
        "UK GDPR Art 89; Digital Economy Act 2017 s64", {"RESEARCH"}, {"researcher"}, "R0", "totals", False
    ),
    "SERVICE_PLANNING": Row("Children Act 2004 s10, s11", {LA, NHS}, {"researcher"}, "R0", "totals", False),
    "CONCERN_MATCH": Row("Children Act 2004 s10, s11, s16LA", ALL, {"safeguarding_lead"}, "R2"),
    "OVERSIGHT": Row(
        "UK GDPR Art 5(2), 15", set(WORDS.sectors), {"data_protection", "auditor"}, "R0", "log", False
    ),
}


@pytest.mark.parametrize("purpose", WORDS.purposes)
def test_a_purpose_is_as_the_table_has_it(purpose: str) -> None:
    row, found = PURPOSES[purpose], WORDS.purposes[purpose]

    assert found.statute.startswith(row.statute)
    assert set(found.askers) == row.sectors
    assert {role for roles in found.askers.values() for role in roles} == row.roles
    assert found.max_tier is Tier[row.tier]
    assert (found.about, found.duty) == (row.about, row.duty)
    assert dict(found.max_tier_from) == {s: Tier[t] for s, t in (row.exceptions or {}).items()}
    assert found.alone_tier is Tier[row.alone or row.tier]


@pytest.mark.parametrize("purpose", WORDS.purposes)
@pytest.mark.parametrize("sector", WORDS.sectors)
def test_only_the_sectors_of_a_purpose_may_ask_for_it_and_no_further_than_its_tier(
    sector: str, purpose: str
) -> None:
    """A rule that would let everybody ask for everything up to R3 is cut to the row."""
    row, found = PURPOSES[purpose], WORDS.purposes[purpose]
    collection = next((c.id for c in WORDS.collections.values() if purpose in c.purposes), None)
    if collection is None:
        assert found.about == "log"
        return
    rule = replace(
        RULE, collection=collection, purposes=(purpose, *_other(collection, purpose)), bases=_BASES
    )
    opened = replace(START, collections=(*START.collections, CollectionTerms("concern", 7)))
    agreement = replace(_asked_by(sector, opened), rules=(rule,))
    question = asked(
        searcher_sector=sector,
        collection=collection,
        purpose=purpose,
        basis=default_basis(sector, purpose, NOW),
        role=found.askers[sector][0] if sector in found.askers else "practitioner",
        about=found.about,
    )
    outcome = decide(question, agreement, OPEN, NOW)
    if sector not in row.sectors:
        assert isinstance(outcome, Deny)
        assert outcome.code == "purpose.sector"
    else:
        assert isinstance(outcome, Permit)
        assert outcome.tier is Tier[row.tier]


_BASES = ("A6C_DUTY", "A6E_TASK", "A6EA_SAFEGUARD", "LE_S8P4", "A9G_P18", "A10_CRIME", "CL_PUBINT")


def _asked_by(sector: str, agreement: Agreement) -> Agreement:
    """The agreement in which the agency that asks is of another sector."""
    first, *others = agreement.parties
    return replace(agreement, parties=(replace(first, sector=sector), *others))


def _other(collection: str, purpose: str) -> tuple[str, ...]:
    """A second purpose, so that a rule is not for the first alone."""
    return tuple(p for p in WORDS.collections[collection].purposes if p != purpose)[:1]


PUBLIC = {
    "SOCIAL_CARE",
    "POLICE",
    "NHS_TRUST",
    "GP",
    "SCHOOL",
    "HOUSING",
    "PROBATION",
    "YOUTH_JUSTICE",
    "RESEARCH",
}
DUTY = {"SOCIAL_CARE", "POLICE", "NHS_TRUST", "SCHOOL", "EARLY_YEARS", "PROBATION", "YOUTH_JUSTICE"}
EVERY = set(WORDS.sectors)
# Kind, statute, and the sectors that may rely on it as bodies of that sector usually are.
BASES = {
    "A6C_DUTY": ("A6", "Art 6(1)(c)", DUTY),
    "A6C_OTHER": ("A6", "Art 6(1)(c)", EVERY),
    "A6E_TASK": ("A6", "Art 6(1)(e)", PUBLIC),
    "A6EA_SAFEGUARD": ("A6", "Art 6(1)(ea)", EVERY - PUBLIC),
    "A6D_VITAL": ("A6", "Art 6(1)(d)", EVERY),
    "A6A_CONSENT": ("A6", "Art 6(1)(a)", set()),
    "LE_S8P4": ("LE", "s35, Sch 8 para 4", {"POLICE", "PROBATION", "YOUTH_JUSTICE"}),
    "A9G_P18": ("A9", "Sch 1 para 18", EVERY),
    "A9H_CARE": ("A9", "Sch 1 para 2", {"NHS_TRUST", "GP", "SOCIAL_CARE"}),
    "A9J_RESEARCH": ("A9", "Sch 1 para 4", EVERY),
    "A10_CRIME": ("A10", "Art 10", EVERY),
    "CL_DUTY": ("CL", "s16LA", EVERY),
    "CL_PUBINT": ("CL", "common law", EVERY),
    "CL_AGREED": ("CL", "common law", EVERY),
}


@pytest.mark.parametrize("basis", WORDS.bases)
def test_a_basis_is_as_the_table_has_it(basis: str) -> None:
    (kind, statute, sectors), found = BASES[basis], WORDS.bases[basis]

    assert found.kind == kind
    assert statute in found.statute
    may = {s.id for s in WORDS.sectors.values() if may_rely(found, s, public_authority=s.public_authority)}
    assert may == sectors


def test_the_rules_of_single_bases_are_as_the_table_has_them() -> None:
    bases = WORDS.bases

    assert bases["A6C_OTHER"].needs == ("citation",)
    assert (bases["A6D_VITAL"].urgencies, bases["A6D_VITAL"].obligations) == (("RED",), ("SECOND_PERSON",))
    assert bases["A9J_RESEARCH"].max_tier is Tier.R0
    assert bases["A9G_P18"].reasons == ("CANNOT_GIVE", "CANNOT_REASONABLY_OBTAIN", "WOULD_PREJUDICE")
    assert {basis.id for basis in bases.values() if basis.reasons} == {"A9G_P18"}


@pytest.mark.parametrize(
    ("now", "basis"),
    [
        (datetime(2026, 9, 29, 0, 0, tzinfo=UTC), "A6E_TASK"),
        (datetime(2026, 9, 29, 23, 0, tzinfo=UTC), "A6E_TASK"),  # midnight in London, summer time
        (datetime(2026, 9, 29, 23, 59, 59, tzinfo=UTC), "A6E_TASK"),
        (datetime(2026, 9, 30, 0, 0, tzinfo=UTC), "A6C_DUTY"),
        (datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC), "A6C_DUTY"),
    ],
)
def test_the_duty_to_share_counts_from_30_september_2026_utc_and_the_public_task_before(
    now: datetime, basis: str
) -> None:
    question = asked(basis="A6C_DUTY")

    assert default_basis("SOCIAL_CARE", "S47_ENQUIRY", now) == basis
    assert isinstance(decide(asked(basis=basis), START, OPEN, now), Permit)
    early = decide(question, START, OPEN, now)
    if basis == "A6E_TASK":
        assert isinstance(early, Deny)
        assert early.code == "basis.not_yet"
        assert "2026-09-30T00:00:00Z" in early.remedy
    else:
        assert isinstance(early, Permit)


@pytest.mark.parametrize("sector", WORDS.sectors)
@pytest.mark.parametrize("purpose", [p.id for p in WORDS.purposes.values() if p.about == "child"])
def test_consent_is_refused_with_the_bases_that_the_organisation_has(sector: str, purpose: str) -> None:
    if sector not in WORDS.purposes[purpose].askers or purpose == "CONCERN_MATCH":
        return
    agreement = _asked_by(sector, START)
    role = WORDS.purposes[purpose].askers[sector][0]
    question = asked(searcher_sector=sector, purpose=purpose, role=role, basis="A6A_CONSENT")
    outcome = decide(question, agreement, OPEN, NOW)

    assert isinstance(outcome, Deny)
    assert outcome.code == "basis.consent"
    assert outcome.remedy.startswith("Safeguarding does not rest on consent")
    for basis in possible_bases(sector, purpose, NOW):
        assert f"{WORDS.bases[basis].name} ({basis})" in outcome.remedy


def _with(obligation: str) -> Any:
    return decide(asked(), with_rules(replace(RULE, obligations=(obligation,))), OPEN, NOW)


@pytest.mark.parametrize("obligation", [*WORDS.obligations, "DELETE_AFTER_30"])
def test_an_obligation_of_a_rule_comes_with_the_outcome(obligation: str) -> None:
    outcome = _with(obligation)

    assert isinstance(outcome, Review if obligation == "HUMAN_REVIEW" else Permit)
    assert {"LOG", obligation} <= set(outcome.obligations)


def _unsigned() -> Any:
    return replace(START, signed_by=frozenset())  # type: ignore[call-arg,unused-ignore]


LATE = START.validity.valid_until
DENIALS: dict[str, tuple[QuestionFacts, Any, LocalPolicy, datetime]] = {
    "agreement.missing": (asked(), None, OPEN, NOW),
    "agreement.not_yet_valid": (asked(), START, OPEN, NOW - timedelta(days=91)),
    "agreement.expired": (asked(), START, OPEN, LATE),
    "agreement.not_party": (asked(searcher="stranger"), START, OPEN, NOW),
    "agreement.sector": (asked(searcher_sector="POLICE"), START, OPEN, NOW),
    "agreement.unsigned": (asked(), _unsigned, OPEN, NOW),
    "agreement.no_rule": (asked(), with_rules(), OPEN, NOW),
    "agreement.rule": (asked(), with_rules(replace(RULE, effect=Effect.DENY)), OPEN, NOW),
    "agreement.tier": (asked(), with_rules(replace(RULE, tier=Tier.R0)), OPEN, NOW),
    "question.vocabulary": (asked(purpose="CURIOSITY"), START, OPEN, NOW),
    "purpose.kind": (asked(purpose="OVERSIGHT", role="auditor"), START, OPEN, NOW),
    "purpose.sector": (asked(purpose="SCHOOL_SAFEGUARDING"), START, OPEN, NOW),
    "purpose.role": (asked(role="auditor"), START, OPEN, NOW),
    "collection.closed": (asked(collection="concern"), START, OPEN, NOW),
    "collection.purpose": (asked(collection="shielded", purpose="MASH_TRIAGE"), START, OPEN, NOW),
    "basis.consent": (asked(basis="A6A_CONSENT"), START, OPEN, NOW),
    "basis.condition": (asked(basis="A9G_P18"), START, OPEN, NOW),
    "basis.not_yours": (asked(basis="LE_S8P4"), START, OPEN, NOW),
    "basis.not_yet": (asked(), START, OPEN, datetime(2026, 9, 29, tzinfo=UTC)),
    "basis.purpose": (asked(purpose="PRACTICE_REVIEW", role="reviewer"), START, OPEN, NOW),
    "basis.citation": (asked(basis="A6C_OTHER"), START, OPEN, NOW),
    "basis.urgency": (asked(basis="A6D_VITAL", urgency="GREEN"), START, OPEN, NOW),
    "basis.condition_missing": (asked(**of("police")), with_rules(RULE), OPEN, NOW),
    "local.purpose": (asked(), START, LocalPolicy(denied_purposes=frozenset({"S47_ENQUIRY"})), NOW),
    "local.agency": (asked(), START, LocalPolicy(denied_agencies=frozenset({"social-care"})), NOW),
    "local.tier": (asked(), START, LocalPolicy(tier_cap=Tier.R0), NOW),
}
# What an outcome may name as its clause, by the code of the denial's first word.
CLAUSES = (
    "agreement northshire version 1, ",
    "vocabulary ",
    "the answering agency's own policy",
    "no agreement",
)


@pytest.mark.parametrize("code", REMEDIES)
def test_a_denial_is_met_names_its_clause_and_says_what_to_do(code: str) -> None:
    question, agreement, policy, now = DENIALS[code]
    outcome = decide(question, agreement() if callable(agreement) else agreement, policy, now)

    assert isinstance(outcome, Deny)
    assert outcome.code == code
    assert outcome.clause.startswith(CLAUSES)
    assert len(outcome.remedy) > 40
    assert "{" not in outcome.remedy


def test_every_rule_of_the_starting_agreement_decides_something_under_its_own_clause() -> None:
    """Among all kinds of question, at every time at which anything changes."""
    kinds = kinds_of(START.parties, START.rules)
    decided = {
        decide(case.facts, START, OPEN, now).clause.partition(", rule ")[2].partition(":")[0]
        for now in moments(START)
        for case in cases(kinds, [entry.id for entry in START.collections])
    }

    assert {rule.id for rule in START.rules} <= decided


def test_no_row_is_tested_that_is_gone() -> None:
    assert set(PURPOSES) == set(WORDS.purposes)
    assert set(BASES) == set(WORDS.bases)
    assert set(DENIALS) - {"agreement.unsigned"} <= set(REMEDIES)
