"""An agreement binds whose steward has signed it; the others answer nobody, and nobody answers them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from elsewhere.agreement.decide import Deny, Permit, decide
from tests.unit.test_agreement_decide import NOW, OPEN, S47, START


@pytest.mark.parametrize("missing", ["school", "social-care"])
def test_who_has_not_signed_answers_nobody_and_is_answered_by_nobody(missing: str) -> None:
    signed = replace(START, signed_by=START.signed_by - {missing})

    outcome = decide(S47, signed, OPEN, NOW)

    assert isinstance(outcome, Deny)
    assert outcome.code == "agreement.unsigned"
    party = START.party(missing)
    assert party is not None
    assert f"steward of {party.name}" in outcome.remedy
    assert "01632 960007" in outcome.remedy
    others = replace(START, signed_by=frozenset({"school", "social-care"}))
    assert isinstance(decide(S47, others, OPEN, NOW), Permit)


def test_an_agreement_that_nobody_has_signed_permits_nothing() -> None:
    outcome = decide(S47, replace(START, signed_by=frozenset()), OPEN, NOW)

    assert isinstance(outcome, Deny)
    assert outcome.code == "agreement.unsigned"
