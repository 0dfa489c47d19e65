"""The decision, clause by clause: every row of the vocabulary's rules has its permit and its denial."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from elsewhere.agreement.decide import Deny, LocalPolicy, Permit, QuestionFacts, Review, decide
from elsewhere.agreement.denials import REMEDIES, deny
from elsewhere.agreement.document import agreement_from_toml
from elsewhere.agreement.outcome import MAX_CLAUSE_BYTES, MAX_REMEDY_BYTES
from elsewhere.agreement.template import starting_agreement
from elsewhere.agreement.terms import (
    Agreement,
    CollectionTerms,
    Effect,
    Party,
    Rule,
    Scope,
    Validity,
)
from elsewhere.agreement.vocabulary import Tier, vocabulary

NOW = datetime(2026, 10, 15, 12, tzinfo=UTC)
VALIDITY = Validity(NOW - timedelta(days=90), NOW + timedelta(days=90), NOW + timedelta(days=60))
PARTIES = [
    Party("social-care", "Social care", "SOCIAL_CARE", "01632 960001", "01632 960002"),
    Party("police", "Police", "POLICE", "01632 960003", "01632 960004"),
    Party("nhs-trust", "NHS trust", "NHS_TRUST", "01632 960005", "01632 960006"),
    Party("school", "School", "SCHOOL", "01632 960007", "01632 960008"),
    Party("charity", "Charity", "VOLUNTARY", "01632 960009", "01632 960010"),
]
START = agreement_from_toml(
    starting_agreement(id="northshire", title="Northshire", validity=VALIDITY, parties=PARTIES)
).signed_by_all()
OPEN = LocalPolicy()
S47 = QuestionFacts(
    searcher="social-care",
    searcher_sector="SOCIAL_CARE",
    custodian="school",
    custodian_sector="SCHOOL",
    collection="involvement",
    purpose="S47_ENQUIRY",
    basis="A6C_DUTY",
    urgency="RED",
    role="practitioner",
)
RULE = Rule(
    id="t",
    words="For this test.",
    source=Scope(),
    dest=Scope(),
    collection="involvement",
    effect=Effect.PERMIT,
    tier=Tier.R3,
    purposes=("S47_ENQUIRY", "MASH_TRIAGE"),
    bases=("A6C_DUTY", "A6E_TASK"),
    record_types=("INVOLVEMENT",),
)


def asked(**change: Any) -> QuestionFacts:
    return replace(S47, **change)


def of(agency: str) -> dict[str, str]:
    sector = next(party.sector for party in PARTIES if party.agency_id == agency)
    return {"custodian": agency, "custodian_sector": sector}


def by(agency: str) -> dict[str, str]:
    sector = next(party.sector for party in PARTIES if party.agency_id == agency)
    return {"searcher": agency, "searcher_sector": sector}


def with_rules(*rules: Rule) -> Agreement:
    return replace(START, rules=tuple(replace(rule, id=f"t{n}") for n, rule in enumerate(rules)))


def denied(question: QuestionFacts, agreement: Agreement | None = START, now: datetime = NOW) -> str:
    outcome = decide(question, agreement, OPEN, now)
    assert isinstance(outcome, Deny), outcome
    return outcome.code


def permitted(question: QuestionFacts, agreement: Agreement = START) -> Permit:
    outcome = decide(question, agreement, OPEN, NOW)
    assert isinstance(outcome, Permit), outcome
    return outcome


def test_an_enquiry_is_answered_under_its_clause() -> None:
    permit = permitted(S47)

    assert permit.tier is Tier.R3
    assert permit.obligations == ("LOG", "NO_ONWARD")
    assert permit.clause.startswith("agreement northshire version 1, rule 1.1: ")


def test_without_an_agreement_in_force_nothing_is_answered() -> None:
    assert denied(S47, None) == "agreement.missing"
    assert denied(S47, now=VALIDITY.valid_from - timedelta(seconds=1)) == "agreement.not_yet_valid"
    assert denied(S47, now=VALIDITY.valid_until) == "agreement.expired"
    assert denied(S47, with_rules()) == "agreement.no_rule"


def test_validity_includes_its_start_and_excludes_its_end() -> None:
    task = asked(basis="A6E_TASK")

    for moment in (VALIDITY.valid_from, VALIDITY.valid_until - timedelta(seconds=1)):
        assert isinstance(decide(task, START, OPEN, moment), Permit)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"searcher": "stranger"}, "agreement.not_party"),
        ({"custodian": "stranger"}, "agreement.not_party"),
        ({"custodian": "social-care", "custodian_sector": "SOCIAL_CARE"}, "agreement.not_party"),
        ({"searcher_sector": "POLICE"}, "agreement.sector"),
        ({"custodian_sector": "POLICE"}, "agreement.sector"),
        ({"purpose": "CURIOSITY"}, "question.vocabulary"),
        ({"basis": "A6Z"}, "question.vocabulary"),
        ({"urgency": "PURPLE"}, "question.vocabulary"),
        ({"role": "headteacher"}, "question.vocabulary"),
        ({"record_type": "DIARY"}, "question.vocabulary"),
        ({"collection": "everything"}, "question.vocabulary"),
        ({"purpose": "SCHOOL_SAFEGUARDING"}, "purpose.sector"),
        ({"role": "auditor"}, "purpose.role"),
        ({"purpose": "SERVICE_PLANNING", "role": "researcher"}, "purpose.kind"),
        ({"purpose": "OVERSIGHT", "role": "auditor"}, "purpose.kind"),
        ({"about": "totals"}, "purpose.kind"),
        ({"collection": "concern"}, "collection.closed"),
        ({"collection": "shielded", "purpose": "CIN_ASSESSMENT"}, "collection.purpose"),
        ({"record_type": "CP_PLAN"}, "agreement.no_rule"),
        ({"basis": "A6A_CONSENT"}, "basis.consent"),
        ({"basis": "A9G_P18"}, "basis.condition"),
        ({"basis": "CL_PUBINT"}, "basis.condition"),
        ({"basis": "A6EA_SAFEGUARD"}, "basis.not_yours"),
        ({"basis": "LE_S8P4"}, "basis.not_yours"),
        ({"basis": "A6C_OTHER"}, "basis.citation"),
        ({"basis": "A6D_VITAL", "urgency": "AMBER"}, "basis.urgency"),
        ({"purpose": "PRACTICE_REVIEW", "role": "reviewer"}, "basis.purpose"),
        (
            {**by("charity"), "purpose": "MASH_TRIAGE", "role": "safeguarding_lead", "basis": "A6E_TASK"},
            "basis.not_yours",
        ),
    ],
    ids=str,
)
def test_what_does_not_hold_is_denied_by_its_reason(change: dict[str, Any], code: str) -> None:
    assert denied(asked(**change)) == code


def test_the_duty_to_share_begins_on_its_day_unless_the_agreement_says_otherwise() -> None:
    first_day = vocabulary().duty_from
    later = replace(START, duty_from=NOW + timedelta(seconds=1))

    assert isinstance(decide(S47, START, OPEN, first_day), Permit)
    assert denied(S47, now=first_day - timedelta(seconds=1)) == "basis.not_yet"
    assert denied(S47, later) == "basis.not_yet"


def test_consent_is_refused_with_the_bases_the_organisation_has() -> None:
    outcome = decide(asked(basis="A6A_CONSENT"), START, OPEN, NOW)

    assert isinstance(outcome, Deny)
    assert "does not rest on consent" in outcome.remedy
    assert "duty to share (A6C_DUTY), public task (A6E_TASK)" in outcome.remedy


def test_vital_interests_carry_a_second_person() -> None:
    assert "SECOND_PERSON" in permitted(asked(basis="A6D_VITAL")).obligations


def test_a_private_school_has_another_basis_than_a_public_one() -> None:
    private = replace(
        START,
        parties=tuple(
            replace(party, public_authority=False) if party.agency_id == "school" else party
            for party in START.parties
        ),
    )
    question = asked(**by("school"), **of("police"), purpose="SCHOOL_SAFEGUARDING", role="safeguarding_lead")

    assert denied(replace(question, basis="A6E_TASK"), private) == "basis.not_yours"
    assert permitted(replace(question, basis="A6EA_SAFEGUARD"), private)
    assert denied(replace(question, basis="A6EA_SAFEGUARD")) == "basis.not_yours"


def test_a_purpose_caps_what_a_rule_may_reach() -> None:
    school = {**by("school"), "purpose": "SCHOOL_SAFEGUARDING", "role": "safeguarding_lead"}
    hospital = {**by("nhs-trust"), "purpose": "UNSCHEDULED_CARE"}

    assert permitted(asked(**school, **of("police"))).tier is Tier.R1
    assert permitted(asked(**school, **of("nhs-trust"))).tier is Tier.R2
    assert permitted(asked(**hospital, **of("social-care"))).tier is Tier.R3
    assert permitted(asked(**hospital, **of("school"))).tier is Tier.R2
    assert permitted(asked(purpose="CIN_ASSESSMENT")).tier is Tier.R2


def test_a_practice_review_reaches_flags_only_where_a_rule_names_it_alone() -> None:
    question = asked(purpose="PRACTICE_REVIEW", role="reviewer", basis="A6E_TASK")
    alone = replace(RULE, purposes=("PRACTICE_REVIEW",))
    among = replace(RULE, purposes=("PRACTICE_REVIEW", "S47_ENQUIRY"))

    assert permitted(question, with_rules(alone)).tier is Tier.R3
    assert permitted(question, with_rules(among)).tier is Tier.R2


def test_health_and_police_answers_need_the_conditions_that_the_rule_names() -> None:
    assert permitted(asked(**of("nhs-trust"))).conditions == ("A9G_P18", "CL_PUBINT")
    assert permitted(asked(**of("police"))).conditions == ("A10_CRIME",)
    assert permitted(S47).conditions == ()
    assert denied(asked(**of("nhs-trust")), with_rules(RULE)) == "basis.condition_missing"
    no_confidence = replace(RULE, bases=(*RULE.bases, "A9G_P18"))
    assert denied(asked(**of("nhs-trust")), with_rules(no_confidence)) == "basis.condition_missing"


def test_confidence_is_set_aside_by_duty_only_where_the_agreement_turns_it_on() -> None:
    agreement = with_rules(replace(RULE, bases=("A6C_DUTY", "A9G_P18", "CL_DUTY")))
    question = asked(**of("nhs-trust"))

    assert denied(question, agreement) == "basis.condition_missing"
    on = replace(agreement, duty_sets_confidence_aside=True)
    assert permitted(question, on).conditions == ("A9G_P18", "CL_DUTY")


def test_a_condition_of_care_is_for_health_and_social_care_only() -> None:
    agreement = with_rules(replace(RULE, bases=("A6C_DUTY", "A9H_CARE", "CL_PUBINT")))
    police = asked(**by("police"), **of("nhs-trust"), purpose="MASH_TRIAGE")

    assert permitted(asked(**of("nhs-trust")), agreement).conditions == ("A9H_CARE", "CL_PUBINT")
    assert denied(police, agreement) == "basis.condition_missing"


def test_a_condition_of_research_gives_no_answer_about_one_child() -> None:
    agreement = with_rules(replace(RULE, bases=("A6C_DUTY", "A9J_RESEARCH", "CL_PUBINT")))

    assert denied(asked(**of("nhs-trust")), agreement) == "agreement.tier"


def test_totals_are_permitted_at_their_own_tier_only() -> None:
    rule = replace(RULE, purposes=("SERVICE_PLANNING",), tier=Tier.R3)
    question = asked(purpose="SERVICE_PLANNING", role="researcher", basis="A6E_TASK", about="totals")

    assert permitted(question, with_rules(rule)).tier is Tier.R0


def test_a_shielded_child_may_be_asked_about_by_three_purposes_and_its_desk_is_told() -> None:
    permit = permitted(asked(collection="shielded"))

    assert "NOTIFY_DESK" in permit.obligations
    assert denied(asked(collection="shielded", purpose="MASH_TRIAGE")) == "collection.purpose"


def test_deny_beats_review_and_review_beats_permit_however_narrow() -> None:
    narrow = replace(RULE, source=Scope(agency="school"), dest=Scope(agency="social-care"))
    wide_review = replace(RULE, effect=Effect.REVIEW, purposes=(), bases=(), record_types=())
    wide_deny = replace(wide_review, effect=Effect.DENY)

    assert isinstance(decide(S47, with_rules(narrow, wide_review), OPEN, NOW), Review)
    assert denied(S47, with_rules(narrow, wide_review, wide_deny)) == "agreement.rule"


@pytest.mark.parametrize(
    "narrower",
    [
        {"source": Scope(sector="SCHOOL")},
        {"source": Scope(agency="school")},
        {"dest": Scope(agency="social-care")},
        {"purposes": ("S47_ENQUIRY",)},
        {"bases": ("A6C_DUTY",)},
    ],
    ids=str,
)
def test_a_narrower_rule_beats_a_wider_one_of_the_same_effect(narrower: dict[str, Any]) -> None:
    small = replace(RULE, tier=Tier.R1, obligations=("NO_ONWARD",), **narrower)
    large = replace(RULE, tier=Tier.R3, **narrower)

    assert permitted(S47, with_rules(RULE, small)).tier is Tier.R1
    assert permitted(S47, with_rules(replace(RULE, tier=Tier.R1), large)).tier is Tier.R3


def test_where_no_rule_is_narrower_both_hold() -> None:
    one = replace(
        RULE, source=Scope(agency="school"), tier=Tier.R2, obligations=("DELETE_AFTER_90", "NOTIFY_DESK")
    )
    other = replace(RULE, dest=Scope(agency="social-care"), obligations=("DELETE_AFTER_30", "SILENT"))

    for order in ((one, other), (other, one)):
        permit = permitted(S47, with_rules(*order))
        assert permit.tier is Tier.R2
        assert permit.obligations == ("DELETE_AFTER_30", "LOG", "SILENT")


def test_a_narrower_rule_without_a_condition_does_not_fall_back_to_the_wider_one() -> None:
    wide = replace(RULE, bases=("A6C_DUTY", "A10_CRIME"))
    narrow = replace(wide, source=Scope(agency="police"), bases=("A6C_DUTY",), tier=Tier.R1)

    assert denied(asked(**of("police")), with_rules(wide, narrow)) == "basis.condition_missing"


def test_a_rule_applies_within_its_own_dates() -> None:
    soon = replace(RULE, valid_from=NOW + timedelta(seconds=1))
    over = replace(RULE, valid_until=NOW)
    on = replace(RULE, valid_from=NOW, valid_until=NOW + timedelta(seconds=1))

    assert denied(S47, with_rules(soon, over)) == "agreement.no_rule"
    assert permitted(S47, with_rules(on))


@pytest.mark.parametrize(("urgency", "hours"), [("RED", 4), ("AMBER", 24), ("GREEN", 72)])
def test_a_review_says_by_when_a_person_decides(urgency: str, hours: int) -> None:
    review = decide(
        asked(urgency=urgency), with_rules(replace(RULE, obligations=("HUMAN_REVIEW",))), OPEN, NOW
    )

    assert isinstance(review, Review)
    assert review.expected_by == NOW + timedelta(hours=hours)
    assert review.tier is Tier.R3
    assert "01632 960007" in review.remedy


def test_no_rule_says_which_basis_would_be_covered() -> None:
    agreement = with_rules(replace(RULE, bases=("A6E_TASK", "A9G_P18")))
    outcome = decide(S47, agreement, OPEN, NOW)

    assert isinstance(outcome, Deny)
    assert outcome.code == "agreement.no_rule"
    assert "these bases: A6E_TASK." in outcome.remedy
    assert "call School: 01632 960007" in outcome.remedy


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        (LocalPolicy(denied_purposes=frozenset({"S47_ENQUIRY"})), "local.purpose"),
        (LocalPolicy(denied_agencies=frozenset({"social-care"})), "local.agency"),
        (LocalPolicy(tier_cap=Tier.R0), "local.tier"),
    ],
)
def test_local_policy_can_deny(policy: LocalPolicy, code: str) -> None:
    outcome = decide(S47, START, policy, NOW)

    assert isinstance(outcome, Deny)
    assert outcome.code == code


def test_local_policy_can_cap_and_hold_for_a_person() -> None:
    capped = decide(S47, START, LocalPolicy(tier_cap=Tier.R1), NOW)
    assert isinstance(capped, Permit)
    assert capped.tier is Tier.R1
    for policy in (
        LocalPolicy(review_everything=True),
        LocalPolicy(review_purposes=frozenset({"S47_ENQUIRY"})),
        LocalPolicy(review_agencies=frozenset({"social-care"})),
    ):
        assert isinstance(decide(S47, START, policy, NOW), Review)


def test_a_collection_that_is_opened_may_be_asked() -> None:
    opened = replace(
        START,
        collections=(*START.collections, CollectionTerms("concern", 1)),
        rules=(replace(RULE, collection="concern", purposes=("CONCERN_MATCH",)),),
    )
    question = asked(collection="concern", purpose="CONCERN_MATCH", role="safeguarding_lead")

    assert permitted(question, opened).tier is Tier.R2


@pytest.mark.parametrize("code", REMEDIES)
def test_every_denial_fits_its_message_and_is_documented(code: str) -> None:
    long = "é" * 300
    outcome = deny(
        code, long, "call " + "x" * 195, hint=long, kind=long, duty_from=long, urgencies=long,
        valid_from=long, valid_until=long, who=long,
    )  # fmt: skip

    assert len(outcome.clause.encode()) <= MAX_CLAUSE_BYTES
    assert len(outcome.remedy.encode()) <= MAX_REMEDY_BYTES
    documented = (Path(__file__).parents[2] / "docs" / "errors.md").read_text("utf-8")
    assert f"| `{code}` |" in documented
