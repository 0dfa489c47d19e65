"""Times as they travel: what was signed with one comes back with the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elsewhere.clock import MAX_MS, from_ms, to_ms
from elsewhere.errors import LookupMalformed
from elsewhere.lookup import Decision, Ruling
from tests.fuzz import seeds


@given(st.integers(-(2**40), MAX_MS))
def test_a_time_comes_back_as_it_was(value: int) -> None:
    assert to_ms(from_ms(value)) == value


def test_times_that_a_float_would_lose() -> None:
    """Counted in floats, each would come back a millisecond earlier, the last two ten years from now."""
    for value in (1001, 1_075_000_000_001, 2_150_000_000_002, 2_150_000_000_003):
        assert to_ms(from_ms(value)) == value


def test_a_part_of_a_millisecond_is_left_away() -> None:
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)

    assert to_ms(moment + timedelta(microseconds=999)) == to_ms(moment) == 1_772_366_400_000


def test_the_latest_time_a_peer_may_state_can_be_reckoned_with() -> None:
    latest = from_ms(MAX_MS)

    assert latest.year == 3084
    assert latest + timedelta(days=36_600) > latest


def test_no_question_or_ruling_states_a_later_one() -> None:
    """What is reckoned with it would fail in the middle, as an error of nobody's."""
    assert replace(seeds.request(), issued_ms=MAX_MS).issued_ms == MAX_MS
    with pytest.raises(LookupMalformed, match="issued time"):
        replace(seeds.request(), issued_ms=MAX_MS + 1)
    with pytest.raises(LookupMalformed, match="expected time"):
        Ruling(Decision.REVIEW, "purpose.sensitive", expected_by_ms=MAX_MS + 1)
