"""Any text at all: nothing raises, bytes go round, keys stay within their bounds."""

from __future__ import annotations

import datetime
import string

from hypothesis import given, settings
from hypothesis import strategies as st

from elsewhere.keyparts import deletions, is_one_edit, skeleton
from elsewhere.lookup import SLOTS
from elsewhere.matchkeys import Strength, explain, question_keys, record_keys
from elsewhere.person.checks import check
from elsewhere.person.dates import PartialDate
from elsewhere.person.identity import NAME_USES, Name, Person
from elsewhere.person.names import fold

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)
WORD = st.text(string.ascii_lowercase, min_size=1, max_size=12)
NAMES = st.builds(Name, st.lists(TEXT, max_size=3).map(tuple), TEXT, st.sampled_from(NAME_USES))
DATES = st.builds(
    PartialDate,
    st.dates(datetime.date(1900, 1, 1), datetime.date(2100, 1, 1)),
    st.text("AEU", min_size=3, max_size=3),
)
PEOPLE = st.builds(
    Person,
    names=st.lists(NAMES, max_size=3).map(tuple),
    birth_date=st.none() | DATES,
    postcodes=st.lists(TEXT, max_size=3).map(tuple),
    nhs_number=st.none() | TEXT,
    upn=st.none() | TEXT,
)


@given(PEOPLE)
def test_canonical_bytes_go_round(person: Person) -> None:
    assert Person.from_canonical(person.canonical()) == person


@given(PEOPLE)
@settings(max_examples=200)
def test_any_person_yields_distinct_bounded_keys(person: Person) -> None:
    asked, held = question_keys(person), record_keys(person)
    hidden = record_keys(person, with_postcode=False)
    check(person, today=datetime.date(2026, 11, 22))

    assert len(asked) <= SLOTS
    assert len({key.data for key in asked}) == len(asked)
    assert len({key.data for key in held}) == len(held)
    assert {key.data for key in hidden} <= {key.data for key in held}
    assert len(explain(held)) == len(held)


@given(WORD.filter(lambda word: len(word) > 2), WORD.filter(lambda word: len(word) > 2), st.dates())
def test_a_person_meets_the_record_of_itself(first: str, last: str, born: datetime.date) -> None:
    person = Person(names=(Name((first,), last),), birth_date=PartialDate(born))
    held = {key.data for key in record_keys(person)}
    is_usable = any(key.strength is Strength.STRONG for key in record_keys(person))

    assert any(key.data in held for key in question_keys(person)) or not is_usable


@given(TEXT)
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(WORD.filter(lambda word: len(word) > 3), st.data())
def test_one_letter_left_out_on_both_sides_meets_any_one_slip(word: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(word) - 1))
    letter = data.draw(st.sampled_from(string.ascii_lowercase))
    kind = data.draw(st.sampled_from(["insert", "delete", "replace", "swap"]))
    slip = {
        "insert": word[:place] + letter + word[place:],
        "delete": word[:place] + word[place + 1 :],
        "replace": word[:place] + letter + word[place + 1 :],
        "swap": word[:place] + word[place : place + 2][::-1] + word[place + 2 :],
    }[kind]

    assert {word, *deletions(word, 99)} & {slip, *deletions(slip, 99)}
    assert is_one_edit(word, slip) or word == slip
    assert is_one_edit(slip, word) or word == slip


@given(WORD)
def test_a_skeleton_is_never_empty(word: str) -> None:
    assert skeleton(word)
