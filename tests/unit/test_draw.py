"""The draw of the opening audit: fair, foretold by nobody, and as likely to catch as is said."""

from __future__ import annotations

import math
import random

import pytest

from elsewhere.transparency.draw import RATE, Draw, drawn, is_drawn, rate_of_each

LOOKUPS = 10_000


def signature(draw: random.Random) -> bytes:
    return draw.randbytes(72)


def log_of(entries: int, draw: random.Random) -> list[Draw]:
    """What one witness has signed of a log: a checkpoint for every few entries."""
    found, at = [], 0
    while at < entries:
        stop = min(at + draw.randint(1, 9), entries)
        found.append(Draw(signature(draw), at, stop))
        at = stop
    return found


@pytest.mark.parametrize("witnesses", [1, 2])
def test_all_witnesses_together_draw_two_in_a_hundred(witnesses: int) -> None:
    draw = random.Random(witnesses)
    by_any = set().union(*(drawn(log_of(LOOKUPS, draw), witnesses) for _ in range(witnesses)))
    deviation = math.sqrt(LOOKUPS * RATE * (1 - RATE))
    assert abs(len(by_any) - LOOKUPS * RATE) < 4 * deviation


@pytest.mark.parametrize("cheated", [10, 35, 100])
def test_whoever_cheats_is_caught_as_often_as_the_formula_says(cheated: int) -> None:
    """Ten thousand lookups of cheats who put two children into some of them, each with its two witnesses."""
    draw, runs = random.Random(cheated), LOOKUPS // cheated
    caught = 0
    for _ in range(runs):
        logs = [log_of(cheated, draw) for _ in range(2)]
        caught += any(True for log in logs for _ in drawn(log, 2))
    expected = 1 - (1 - RATE) ** cheated
    deviation = math.sqrt(expected * (1 - expected) / runs)
    assert abs(caught / runs - expected) < 4 * deviation


def test_one_witness_that_helps_leaves_the_other_ones_draw() -> None:
    assert rate_of_each(1) == pytest.approx(RATE)
    assert 1 - (1 - rate_of_each(2)) ** 2 == pytest.approx(RATE)


def test_another_signature_draws_others() -> None:
    one, other = ({place for place in range(LOOKUPS) if is_drawn(bytes([n]) * 72, place, 1)} for n in (1, 2))
    assert one
    assert other
    assert len(one & other) < len(one) / 2


def test_a_range_that_ends_before_it_begins_is_none() -> None:
    with pytest.raises(ValueError, match="range"):
        Draw(b"", 2, 1)
