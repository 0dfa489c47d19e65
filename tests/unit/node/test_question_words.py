"""A word that every custodian would refuse is refused at home, before anybody is asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from elsewhere.asking import Ask
from elsewhere.errors import AskInvalid
from elsewhere.person.identity import Person
from node.asking.questions import QuestionMaker

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"purpose": "NOSINESS"}, "purpose: expected one of S47_ENQUIRY, "),
        ({"role": "boss"}, "role: expected one of practitioner, "),
        ({"basis": "BECAUSE"}, "basis: expected one of A6C_DUTY, "),
    ],
)
def test_an_unknown_word_is_refused_with_the_ones_to_choose_from(
    wrong: dict[str, str], expected: str
) -> None:
    nothing: Any = None  # no trust, no keys: the words come first
    maker = QuestionMaker(nothing, nothing, nothing, nothing)
    words: dict[str, Any] = {"purpose": "S47_ENQUIRY", "urgency": "RED", **wrong}

    with pytest.raises(AskInvalid) as refusal:
        maker.basis_of(Ask(person=Person.of(given="Ann"), **words), NOW)

    assert str(refusal.value).startswith(expected)
    assert "OVERSIGHT" not in str(refusal.value)  # not a purpose for one child
