"""Properties of the decision: it always decides, fails closed, and local policy only tightens it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from elsewhere.agreement.decide import Deny, LocalPolicy, Outcome, Permit, QuestionFacts, decide
from elsewhere.agreement.outcome import MAX_CLAUSE_BYTES, MAX_REMEDY_BYTES
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

WORDS = vocabulary()
NOW = datetime(2026, 10, 15, 12, tzinfo=UTC)
AGENCIES = {"social-care": "SOCIAL_CARE", "police": "POLICE", "nhs-trust": "NHS_TRUST", "school": "SCHOOL"}
PARTIES = tuple(Party(agency, agency, sector, "1", "2") for agency, sector in AGENCIES.items())
CHILD_PURPOSES = ("S47_ENQUIRY", "STRATEGY_DISCUSSION", "MASH_TRIAGE", "EARLY_HELP", "SCHOOL_SAFEGUARDING")
BASES = ("A6C_DUTY", "A6E_TASK", "A6D_VITAL")
CONDITIONS = ("A9G_P18", "A10_CRIME", "CL_PUBINT")

scopes = st.one_of(
    st.just(Scope()),
    st.builds(Scope, agency=st.sampled_from([*AGENCIES])),
    st.builds(Scope, sector=st.sampled_from([*AGENCIES.values()])),
)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    effect = draw(st.sampled_from([Effect.PERMIT] * 6 + [Effect.REVIEW, Effect.DENY]))
    least = 1 if effect is Effect.PERMIT else 0
    named = tuple(draw(st.lists(st.sampled_from(BASES), min_size=least, unique=True)))
    return Rule(
        id=f"r{draw(st.integers(0, 10**9))}",
        words="Any.",
        source=draw(scopes),
        dest=draw(scopes),
        collection="involvement",
        effect=effect,
        tier=draw(st.sampled_from([Tier.R0, Tier.R1, Tier.R2, Tier.R3])),
        purposes=draw(
            st.just(CHILD_PURPOSES)
            | st.lists(st.sampled_from(CHILD_PURPOSES), min_size=least, unique=True).map(tuple)
        ),
        bases=named and (*named, *draw(st.sampled_from([CONDITIONS] * 4 + [CONDITIONS[:1]]))),
        record_types=("INVOLVEMENT",),
        obligations=tuple(
            draw(
                st.lists(
                    st.sampled_from(["NOTIFY_DESK", "NO_ONWARD", "DELETE_AFTER_9", "HUMAN_REVIEW"]),
                    max_size=2,
                    unique=True,
                )
            )
        ),
    )


agreements = st.builds(
    lambda found: Agreement(
        id="a1",
        version=1,
        title="Any",
        validity=Validity(NOW - timedelta(days=60), NOW + timedelta(days=60), NOW),
        parties=PARTIES,
        collections=(CollectionTerms("involvement", 7), CollectionTerms("shielded", 7)),
        rules=tuple(found),
    ).signed_by_all(),
    st.lists(rules(), min_size=2, max_size=8, unique_by=lambda rule: rule.id),
)

junk = st.text(max_size=8)


@st.composite
def likely_questions(draw: st.DrawFn) -> QuestionFacts:
    """A question that passes every check before the rules, so that the rules decide."""
    purpose = draw(st.sampled_from(CHILD_PURPOSES))
    askers = WORDS.purposes[purpose].askers
    searcher = draw(st.sampled_from([a for a, sector in AGENCIES.items() if sector in askers]))
    custodian = draw(st.sampled_from([agency for agency in AGENCIES if agency != searcher]))
    return QuestionFacts(
        searcher=searcher,
        searcher_sector=AGENCIES[searcher],
        custodian=custodian,
        custodian_sector=AGENCIES[custodian],
        collection="involvement",
        purpose=purpose,
        basis=draw(st.sampled_from(BASES)),
        urgency="RED",
        role=draw(st.sampled_from(askers[AGENCIES[searcher]])),
    )


likely = likely_questions()
wild = st.builds(
    QuestionFacts,
    searcher=junk | st.sampled_from([*AGENCIES]),
    searcher_sector=junk | st.sampled_from([*WORDS.sectors]),
    custodian=junk | st.sampled_from([*AGENCIES]),
    custodian_sector=junk | st.sampled_from([*WORDS.sectors]),
    collection=junk | st.sampled_from([*WORDS.collections]),
    purpose=junk | st.sampled_from([*WORDS.purposes]),
    basis=junk | st.sampled_from([*WORDS.bases]),
    urgency=junk | st.sampled_from([*WORDS.urgencies]),
    role=junk | st.sampled_from([*WORDS.roles]),
    record_type=junk | st.sampled_from([*WORDS.record_types]),
    about=st.sampled_from(["child", "totals", "log"]),
    has_citation=st.booleans(),
)
some_purposes = st.frozensets(st.sampled_from(CHILD_PURPOSES))
some_agencies = st.frozensets(st.sampled_from([*AGENCIES]))
policies = st.builds(
    LocalPolicy,
    denied_purposes=some_purposes,
    denied_agencies=some_agencies,
    review_purposes=some_purposes,
    review_agencies=some_agencies,
    review_everything=st.booleans(),
    tier_cap=st.sampled_from([Tier.R0, Tier.R1, Tier.R2, Tier.R3]),
)
times = st.datetimes(datetime(2026, 7, 1), datetime(2027, 2, 1), timezones=st.just(UTC))


def allowance(outcome: Outcome) -> tuple[int, int]:
    """How much an outcome lets out: nothing, after a person, at once; then how far."""
    if isinstance(outcome, Deny):
        return (0, 0)
    return (2 if isinstance(outcome, Permit) else 1, outcome.tier)


def joined(one: LocalPolicy, other: LocalPolicy) -> LocalPolicy:
    return LocalPolicy(
        denied_purposes=one.denied_purposes | other.denied_purposes,
        denied_agencies=one.denied_agencies | other.denied_agencies,
        review_purposes=one.review_purposes | other.review_purposes,
        review_agencies=one.review_agencies | other.review_agencies,
        review_everything=one.review_everything or other.review_everything,
        tier_cap=min(one.tier_cap, other.tier_cap),
    )


@given(wild | likely, st.none() | agreements, policies, times)
def test_every_question_gets_an_outcome_that_names_its_clause(
    question: QuestionFacts, agreement: Agreement | None, local: LocalPolicy, now: datetime
) -> None:
    outcome = decide(question, agreement, local, now)

    assert outcome == decide(question, agreement, local, now)
    assert 0 < len(outcome.clause.encode()) <= MAX_CLAUSE_BYTES
    if not isinstance(outcome, Permit):
        assert 0 < len(outcome.remedy.encode()) <= MAX_REMEDY_BYTES
    if not isinstance(outcome, Deny):
        assert "LOG" in outcome.obligations


@given(likely, agreements, policies, policies)
def test_local_policy_only_ever_tightens(
    question: QuestionFacts, agreement: Agreement, local: LocalPolicy, more: LocalPolicy
) -> None:
    before, after = (decide(question, agreement, p, NOW) for p in (local, joined(local, more)))

    assert all(a <= b for a, b in zip(allowance(after), allowance(before), strict=True))
    if not isinstance(after, Deny) and not isinstance(before, Deny):
        assert set(before.obligations) <= set(after.obligations)


@given(likely, agreements)
def test_the_order_of_the_rules_changes_nothing_that_is_let_out(
    question: QuestionFacts, agreement: Agreement
) -> None:
    shuffled = replace(agreement, rules=tuple(reversed(agreement.rules)))
    one, other = (decide(question, a, LocalPolicy(), NOW) for a in (agreement, shuffled))

    assert allowance(one) == allowance(other)
    if not isinstance(one, Deny) and not isinstance(other, Deny):
        assert one.obligations == other.obligations


@given(likely, agreements)
def test_nothing_is_let_out_that_no_rule_or_purpose_allows(
    question: QuestionFacts, agreement: Agreement
) -> None:
    outcome = decide(question, agreement, LocalPolicy(), NOW)
    if isinstance(outcome, Deny):
        return
    covering = [
        rule
        for rule in agreement.rules
        if rule.effect is not Effect.DENY
        and rule.source.covers(question.custodian, question.custodian_sector)
        and rule.dest.covers(question.searcher, question.searcher_sector)
    ]

    assert covering
    assert outcome.tier <= max(rule.tier for rule in covering)
    assert outcome.tier <= WORDS.purposes[question.purpose].max_tier
    assert question.role in WORDS.purposes[question.purpose].askers[question.searcher_sector]


@given(likely, agreements, times)
def test_outside_its_dates_an_agreement_lets_nothing_out(
    question: QuestionFacts, agreement: Agreement, now: datetime
) -> None:
    if agreement.validity.valid_from <= now < agreement.validity.valid_until:
        now = agreement.validity.valid_until

    assert isinstance(decide(question, agreement, LocalPolicy(), now), Deny)


@given(likely, agreements, rules())
def test_adding_a_denial_never_lets_more_out(
    question: QuestionFacts, agreement: Agreement, rule: Rule
) -> None:
    denial = replace(rule, id="denial", effect=Effect.DENY)
    stricter = replace(agreement, rules=(*agreement.rules, denial))
    before, after = (decide(question, a, LocalPolicy(), NOW) for a in (agreement, stricter))

    assert allowance(after) <= allowance(before)
