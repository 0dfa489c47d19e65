"""What hits mean: what a searcher reveals, what a custodian makes of it."""

from __future__ import annotations

import itertools

import pytest

from elsewhere.matching import REVEAL_LIMIT, VerdictKind, choose_reveals, judge
from elsewhere.matchkeys import MatchKey, Strength, question_keys, record_keys
from elsewhere.person.identity import Person

STRONG = ("fl-dq", Strength.STRONG)
OTHER_STRONG = ("f3-dq-p3", Strength.STRONG)
WEAK = ("l-dob-p", Strength.WEAK)
NHS = ("nhs", Strength.IDENTIFIER)


def hits(asked: Person, *held: Person) -> list[tuple[int, MatchKey]]:
    """The hits of a question on a catalogue of some records."""
    catalogue = {key.data for person in held for key in record_keys(person)}
    return [(slot, key) for slot, key in enumerate(question_keys(asked)) if key.data in catalogue]


def test_nothing_found_is_none() -> None:
    assert judge({}, names_asked=True).kind is VerdictKind.NONE
    assert judge({1: []}, names_asked=True).kind is VerdictKind.NONE


def test_one_group_by_a_strong_key_is_a_match() -> None:
    verdict = judge({7: [STRONG]}, names_asked=True)

    assert (verdict.kind, verdict.groups, verdict.reason) == (VerdictKind.MATCH, (7,), "strong")


def test_a_weak_key_alone_is_possible() -> None:
    assert judge({7: [WEAK]}, names_asked=True).reason == "weak"


def test_an_identifier_that_nothing_supports_is_possible_when_names_were_asked() -> None:
    assert judge({7: [NHS]}, names_asked=True).reason == "unsupported"
    assert judge({7: [NHS]}, names_asked=False).kind is VerdictKind.MATCH


@pytest.mark.parametrize("support", [STRONG, WEAK])
def test_any_name_or_date_key_supports_an_identifier(support: tuple[str, Strength]) -> None:
    assert judge({7: [NHS, support]}, names_asked=True).kind is VerdictKind.MATCH


def test_several_groups_are_possible_and_ranked_by_distinct_keys() -> None:
    verdict = judge({1: [STRONG], 2: [STRONG, OTHER_STRONG]}, names_asked=True)

    assert (verdict.kind, verdict.groups, verdict.reason) == (VerdictKind.POSSIBLE, (2, 1), "several")


def test_a_number_and_a_name_of_different_children_is_possible() -> None:
    assert judge({1: [NHS], 2: [STRONG]}, names_asked=True).kind is VerdictKind.POSSIBLE


def test_more_than_three_groups_are_possible_for_all() -> None:
    verdict = judge({group: [STRONG] for group in range(4)}, names_asked=True)

    assert (verdict.reason, len(verdict.groups)) == ("many", 4)


def test_reveals_are_few_of_different_rules_and_do_not_depend_on_slot_order() -> None:
    child = Person.of(given="Amelia", family="Hughes", dob="2014-03-07", postcode="LS6 2AB")
    found = hits(child, child)
    chosen = choose_reveals(found)

    assert 1 <= len(chosen) <= REVEAL_LIMIT
    assert len({key.rule for _, key in chosen}) == len(chosen)
    assert {key for _, key in choose_reveals(reversed(found))} == {key for _, key in chosen}


def test_a_weak_hit_is_revealed_only_if_there_is_nothing_stronger() -> None:
    weak, strong = (
        (0, MatchKey("l-dob-p", Strength.WEAK, b"w")),
        (1, MatchKey("fl-dq", Strength.STRONG, b"s")),
    )

    assert choose_reveals([weak]) == (weak,)
    assert choose_reveals([weak, strong]) == (strong,)


def test_room_that_is_left_goes_to_further_hits_of_the_same_rules() -> None:
    whole, slipped, weak = (
        (0, MatchKey("fl~-dob", Strength.STRONG, b"smith")),
        (1, MatchKey("fl~-dob", Strength.STRONG, b"smth")),
        (2, MatchKey("l-dob-p", Strength.WEAK, b"w")),
    )

    assert choose_reveals([weak, slipped, whole]) == (whole, slipped)
    assert choose_reveals([weak, slipped, whole], limit=1) == (whole,)


def test_no_hits_reveal_nothing() -> None:
    assert choose_reveals([]) == ()


@pytest.mark.parametrize("names", list(itertools.permutations(["Jack", "Jacob"], 2)))
def test_a_question_about_one_twin_reveals_nothing_of_the_other(names: tuple[str, str]) -> None:
    one, other = (Person.of(given=n, family="Shaw", dob="2014-03-07", postcode="LS6 2AB") for n in names)
    others_keys = {key.data for key in record_keys(other)}

    assert not [key for _, key in choose_reveals(hits(one, one, other)) if key.data in others_keys]


def test_an_identifier_is_revealed_once_in_the_form_that_says_most() -> None:
    child = Person.of(given="Amelia", family="Hughes", dob="2014-03-07", nhs_number="9990000018")
    rules = [key.rule for _, key in choose_reveals(hits(child, child))]

    assert [rule for rule in rules if rule.startswith("nhs")] == ["nhs-f3"]


def test_a_number_of_one_child_and_the_name_of_another_are_both_revealed() -> None:
    asked = Person.of(given="Amelia", family="Hughes", dob="2014-03-07", nhs_number="9990000018")
    named = Person.of(given="Amelia", family="Hughes", dob="2014-03-07")
    numbered = Person.of(given="Oscar", family="Begum", dob="2011-11-20", nhs_number="9990000018")
    rules = [key.rule for _, key in choose_reveals(hits(asked, named, numbered))]

    assert rules[:2] == ["nhs", "fl-dq"]


def test_a_rule_this_key_set_does_not_know_ranks_last() -> None:
    known, unknown = (
        (0, MatchKey("fl-dq", Strength.STRONG, b"k")),
        (1, MatchKey("new", Strength.STRONG, b"unknown")),
    )

    assert choose_reveals([unknown, known]) == (known,)
    assert choose_reveals([unknown]) == (unknown,)
