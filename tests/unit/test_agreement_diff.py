"""What changed between two versions: by clause, and by what the decision does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from elsewhere.agreement.decide import decide
from elsewhere.agreement.diff import Shift, find_changes, find_shifts
from elsewhere.agreement.local import LocalPolicy
from elsewhere.agreement.outcome import Deny, QuestionFacts
from elsewhere.agreement.render.changes import changes_page
from elsewhere.agreement.terms import Agreement, CollectionTerms, Effect, Limits, Party, Rule, Scope
from elsewhere.agreement.vocabulary import Tier
from tests.property.test_agreement_decide_properties import NOW as THEN
from tests.property.test_agreement_decide_properties import agreements, likely
from tests.unit.test_agreement_decide import NOW, START


def rule_of(agreement: Agreement, id: str) -> Rule:
    return next(rule for rule in agreement.rules if rule.id == id)


def with_rule(id: str, **change: object) -> Agreement:
    rules = tuple(replace(rule, **change) if rule.id == id else rule for rule in START.rules)  # type: ignore[arg-type]
    return replace(START, version=2, rules=rules)


def shifts(new: Agreement) -> dict[tuple[str, str], list[Shift]]:
    found: dict[tuple[str, str], list[Shift]] = {}
    for shift in find_shifts(START, new, NOW):
        found.setdefault((shift.collection, shift.purpose), []).append(shift)
    return found


def test_the_same_agreement_shows_no_difference() -> None:
    assert find_changes(START, START) == ()
    assert find_shifts(START, START, NOW) == ()


def test_a_rule_that_is_gone_says_who_loses_what() -> None:
    new = replace(START, rules=tuple(rule for rule in START.rules if rule.id != "2.2"))

    (change,) = find_changes(START, new)
    assert change.clause == "rule 2.2"
    assert change.text.startswith("is gone: id 2.2; words Social care asks all parties when it assesses")
    (shift,) = shifts(new)["involvement", "CIN_ASSESSMENT"]
    assert not shift.is_wider
    assert shift.searchers == ("Social care",)
    assert shift.custodians == ("Police", "NHS trust", "School", "Charity")
    assert shift.text == (
        "Social care, asking Police, NHS trust, School, Charity about which services know the child for"
        " assessment of a child in need (CIN_ASSESSMENT): was answered at once, up to R2, on A6C_DUTY,"
        " A6E_TASK, is now not answered"
    )


def test_a_higher_tier_a_further_basis_and_a_person_who_decides_are_told_as_more_or_less() -> None:
    wider = with_rule("6.1", effect=Effect.PERMIT)
    narrower = with_rule("5.1", effect=Effect.REVIEW)
    fewer = with_rule("5.1", bases=tuple(b for b in rule_of(START, "5.1").bases if b != "A6D_VITAL"))

    assert [s.is_wider for s in shifts(wider)["involvement", "PRACTICE_REVIEW"]] == [True] * 3
    assert {s.after.split(",")[0] for s in shifts(narrower)["involvement", "MISSING_CHILD"]} == {
        "decided by a person"
    }
    assert {s.is_wider for s in shifts(fewer)["involvement", "MISSING_CHILD"]} == {False}


def test_a_rule_that_reads_otherwise_but_does_the_same_shifts_nothing() -> None:
    # R3 is above what the purpose reaches, so nobody gets more.
    new = with_rule("2.2", tier=Tier.R3, words="In other words.")

    assert {change.field for change in find_changes(START, new)} == {"version", "tier", "words"}
    assert find_shifts(START, new, NOW) == ()


def test_a_party_that_joins_asks_and_is_asked() -> None:
    hall = Party("hall", "Hall", "VOLUNTARY", "1", "2")
    new = replace(START, parties=(*START.parties, hall))

    (change,) = find_changes(START, new)
    assert change.clause == "party hall"
    assert change.text.startswith("is new: agency_id hall; name Hall")
    found = [shift for some in shifts(new).values() for shift in some]
    assert found
    assert all(shift.is_wider for shift in found)
    assert all("Hall" in (*shift.searchers, *shift.custodians) for shift in found)


def test_head_limits_and_collections_are_compared_too() -> None:
    new = replace(
        START,
        title="Other",
        limits=Limits(burst=7),
        collections=(*START.collections[:1], CollectionTerms("shielded", 3), CollectionTerms("concern", 1)),
        validity=replace(START.validity, review_by=START.validity.review_by + timedelta(days=1)),
    )

    assert {(change.clause, change.field) for change in find_changes(START, new)} == {
        ("agreement", "title"),
        ("agreement", "review_by"),
        ("limits", "burst"),
        ("collection shielded", "max_age_days"),
        ("collection concern", ""),
    }


def test_a_rule_that_names_one_of_two_alike_agencies_tells_them_apart() -> None:
    second = Party("school-2", "Second School", "SCHOOL", "1", "2")
    old = replace(START, parties=(*START.parties, second))
    closed = replace(
        rule_of(START, "4.1"), id="4.2", effect=Effect.DENY, tier=Tier.R0, dest=Scope(agency="school-2")
    )
    found = find_shifts(old, replace(old, rules=(*old.rules, closed)), NOW)

    assert {shift.searchers for shift in found} == {("Second School",)}
    assert {shift.is_wider for shift in found} == {False}


def test_versions_that_are_not_in_force_now_are_compared_when_they_are() -> None:
    assert find_shifts(START, replace(START, version=2), NOW - timedelta(days=4000)) == ()
    assert find_shifts(START, replace(START, version=2), NOW + timedelta(days=4000)) == ()


@settings(max_examples=settings().max_examples // 2)
@given(agreements, agreements)
def test_no_clause_differs_exactly_if_the_agreements_are_alike(one: Agreement, other: Agreement) -> None:
    alike = {rule.id: rule for rule in one.rules} == {rule.id: rule for rule in other.rules}

    assert (find_changes(one, other) == ()) is alike


@settings(max_examples=settings().max_examples // 3)
@given(agreements, agreements, st.lists(likely, max_size=8))
def test_who_gets_something_new_is_among_those_who_are_told_of(
    one: Agreement, other: Agreement, questions: list[QuestionFacts]
) -> None:
    told = {
        (s.purpose, searcher, custodian)
        for s in find_shifts(one, other, THEN)
        for searcher in s.searchers
        for custodian in s.custodians
    }
    for question in questions:
        was, now = (decide(question, agreement, LocalPolicy(), THEN) for agreement in (one, other))
        if isinstance(was, Deny) is not isinstance(now, Deny):
            # In these agreements an agency's name is its id.
            assert (question.purpose, question.searcher, question.custodian) in told


def test_the_page_of_a_first_version_says_that_there_is_nothing_to_compare() -> None:
    assert "No earlier version was given" in changes_page(None, START, NOW).markdown()
    assert "Nobody may ask more" in changes_page(START, START, NOW).markdown()
