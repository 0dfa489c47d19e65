"""The simulator says what a live custodian decides: over random agreements, own policies and questions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elsewhere.agreement.asked import INVOLVEMENT, PROTECTED, SHIELDED, collection_to_ask, decide_asked
from elsewhere.agreement.decide import decide
from elsewhere.agreement.local import LocalPolicy
from elsewhere.agreement.outcome import Deny, Permit, QuestionFacts, Review
from elsewhere.agreement.simulate import Row, Trial, simulate
from elsewhere.agreement.terms import Agreement, Rule
from elsewhere.clock import to_ms
from elsewhere.lookup import Decision, Documents, EvaluateRequest, Terms
from elsewhere.matchkeys import version
from node.answering.guard import Guard, Verdict
from node.answering.readiness import Expected
from node.keys.live import KeyView
from node.membership.trust import Trust
from node.store.engine import Store, open_store
from tests.fuzz.seeds import request
from tests.property.test_agreement_decide_properties import (
    AGENCIES,
    NOW,
    WORDS,
    agreements,
    likely,
    policies,
    times,
    wild,
)

DIGEST = b"\x01" * 32


@st.composite
def reaching_shielded(draw: st.DrawFn) -> Agreement:
    """An agreement in which some rules speak of shielded children."""
    made = draw(agreements)
    may = WORDS.collections[SHIELDED].purposes

    def moved(rule: Rule) -> Rule:
        purposes = tuple(purpose for purpose in rule.purposes if purpose in may)
        if (rule.purposes and not purposes) or draw(st.booleans()):
            return rule
        return replace(rule, id=f"s{rule.id}", collection=SHIELDED, purposes=purposes)

    return replace(made, rules=(*made.rules, *(r for r in map(moved, made.rules) if r not in made.rules)))


def member(facts: QuestionFacts) -> Any:
    """A roster that gives the sectors which the question is asked with."""
    sectors = {facts.custodian: facts.custodian_sector, facts.searcher: facts.searcher_sector}
    return lambda agency: SimpleNamespace(sector=sectors[agency]) if agency in sectors else None


def request_of(facts: QuestionFacts, agreement: Agreement | None, now: datetime) -> EvaluateRequest:
    """The message in which a searcher would ask."""
    words, asked = (facts.purpose, facts.basis, facts.urgency, facts.role), request()
    return replace(
        asked,
        match_key_version=version(),
        searcher=facts.searcher,
        custodian=facts.custodian,
        collection=facts.collection,
        terms=Terms(*words, asked.terms.pseudonym, asked.terms.case_reference),
        documents=Documents(agreement.digest if agreement else bytes(32), 1, DIGEST),
        issued_ms=to_ms(now),
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A node's store in which nothing was asked yet; a guard only reads it."""
    opened = open_store(f"sqlite:///{tmp_path_factory.mktemp('node') / 'store.sqlite'}")
    yield opened
    opened.close()


def judged(
    store: Store, facts: QuestionFacts, agreement: Agreement | None, local: LocalPolicy, now: datetime
) -> Verdict:
    """What the real guard of a custodian says, with keys in force and a store that can answer."""
    key = SimpleNamespace(valid_from_utc=now - timedelta(days=1), valid_until_utc=now + timedelta(days=1))
    statement = SimpleNamespace(oprf_key=lambda collection, epoch: key)
    own = SimpleNamespace(accepted=frozenset({DIGEST}), statement=statement)
    view = SimpleNamespace(own=own, digest=lambda collection, epoch: DIGEST)
    roster = SimpleNamespace(member=member(facts))
    trust = SimpleNamespace(me=facts.custodian, roster=roster, agreement=agreement)
    guard = Guard(
        cast("Trust", trust), local, timedelta(minutes=5), Expected(timedelta(hours=1), asks_only=True)
    )
    with store.read() as connection:
        return guard.judge(request_of(facts, agreement, now), now, connection, cast("KeyView", view))


def check_same(row: Row, verdict: Verdict) -> None:
    """Decision, tier, obligations and every word that travels."""
    ruling, outcome = verdict.ruling, row.outcome
    assert ruling.decision.name == row.decision
    assert ruling.clause == outcome.clause
    if isinstance(outcome, Permit):
        assert verdict.permits
        assert (verdict.tier, verdict.obligations) == (outcome.tier.name, outcome.obligations)
    elif isinstance(outcome, Deny):
        assert (ruling.code, ruling.remedy) == (outcome.code, outcome.remedy)
    else:
        assert isinstance(outcome, Review)
        assert (ruling.remedy, ruling.expected_by_ms) == (outcome.remedy, to_ms(outcome.expected_by))


def fits_the_wire(facts: QuestionFacts) -> bool:
    """Whether a request can carry the words at all."""
    words = (facts.purpose, facts.basis, facts.urgency, facts.role, facts.collection)
    return all(words) and facts.record_type == "INVOLVEMENT" and facts.about == "child"


@given(likely | wild, reaching_shielded(), policies, times)
def test_simulate_says_what_the_custodians_own_guard_decides(
    store: Store,
    question: QuestionFacts,
    agreement: Agreement,
    local: LocalPolicy,
    now: datetime,
) -> None:
    facts = replace(question, record_type="INVOLVEMENT", about="child", has_citation=False)
    if facts.searcher not in AGENCIES or facts.custodian not in AGENCIES or not fits_the_wire(facts):
        facts = replace(facts, searcher="police", custodian="school", basis="A6E_TASK", purpose="MASH_TRIAGE")
    if facts.searcher == facts.custodian or not fits_the_wire(facts):
        return
    # The sectors are the agreement's, as a live roster has them too.
    facts = replace(
        facts, searcher_sector=AGENCIES[facts.searcher], custodian_sector=AGENCIES[facts.custodian]
    )
    trial = Trial(
        facts.searcher, facts.purpose, facts.urgency, facts.role, facts.basis, facts.collection
    )  # fmt: skip
    (row,) = simulate(
        agreement, trial, now, policies={facts.custodian: local}, custodians=[facts.custodian]
    )  # fmt: skip

    live = facts
    if facts.collection == INVOLVEMENT:
        live = replace(facts, collection=collection_to_ask(facts, agreement, now))
    assert row.collection == live.collection
    check_same(row, judged(store, live, agreement, local, now))


@given(likely, policies)
def test_a_guard_without_an_agreement_answers_nothing(
    store: Store, question: QuestionFacts, local: LocalPolicy
) -> None:
    verdict = judged(store, question, None, local, NOW)

    assert verdict.ruling.decision is Decision.DENY
    assert verdict.ruling.code == "agreement.missing"


@given(likely, reaching_shielded(), policies)
def test_asking_for_all_children_lets_out_no_more_than_asking_for_each_kind(
    question: QuestionFacts, agreement: Agreement, local: LocalPolicy
) -> None:
    both = decide_asked(replace(question, collection=PROTECTED), agreement, local, NOW)
    each = [
        decide(replace(question, collection=name), agreement, local, NOW) for name in (INVOLVEMENT, SHIELDED)
    ]

    if isinstance(both, Permit):
        assert all(isinstance(outcome, Permit) for outcome in each)
