"""Match keys: what meets, what does not, and what a key may never hold."""

from __future__ import annotations

from elsewhere.matchkeys import SLOTS, MatchKey, Strength, question_keys, record_keys
from elsewhere.person.identity import Person, Written

CHILD = Written(given="Amelia", family="Hughes", dob="2014-03-07", postcode="LS6 2AB")


def best(asked: Person, held: Person) -> Strength | None:
    """The strongest key that question and record share."""
    shared = {key.data for key in record_keys(held)}
    hits = [key.strength for key in question_keys(asked) if key.data in shared]
    return max(hits, default=None)


def child(**other: object) -> Person:
    """The child of these tests with some fields written otherwise."""
    return Person.of(**{**CHILD, **other})  # type: ignore[arg-type]


def test_the_same_child_is_met_strongly() -> None:
    assert best(child(), child()) is Strength.STRONG


def test_another_child_is_not_met() -> None:
    assert best(child(), child(given="Oscar", family="Begum", dob="2012-11-20", postcode="M1 1AE")) is None


def test_a_question_never_exceeds_its_slots() -> None:
    long = child(
        given="Aleksandra Wiktoria", family="Kowalczyk-Wisniewska", past_postcodes=["M1 1AE", "M1 1AD"]
    )

    assert len(question_keys(long)) <= SLOTS
    assert len(question_keys(long, slots=5)) == 5


def test_keys_are_in_the_same_order_every_time() -> None:
    assert record_keys(child()) == record_keys(child())


def test_no_key_repeats() -> None:
    keys = record_keys(child(aliases=["Amy"]))

    assert len({key.data for key in keys}) == len(keys)


def test_a_key_does_not_print_what_it_holds() -> None:
    assert "amelia" not in repr(MatchKey("fl-dq", Strength.STRONG, b"amelia"))
