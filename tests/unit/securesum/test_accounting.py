"""What a query costs: a child's loss over all agencies, tables and queries stays within one node's cap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random

import pytest

from elsewhere.securesum.accounting import NANO, charge_nrho, total_scale
from elsewhere.securesum.noise import LATTICE, MOST_NODES, TAU

CAP = 3 * NANO


@pytest.mark.parametrize(
    ("rho", "k", "most", "charge"),
    [(0.5, 1, 1, 500_000_001), (0.1, 3, 5, 1_500_000_002), (1e-12, 2, 2, 2), (1e-30, 100, 100, 2)],
)
def test_a_charge_is_rounded_up_and_one_more(rho: float, k: int, most: int, charge: int) -> None:
    # 0.1 as a float is a little above a tenth, and so is 15 times it: up to the next nano-rho.
    assert charge_nrho(rho, holders=k, most_agencies=most) == charge


def test_the_one_that_is_added_covers_all_rounding_and_a_sum_that_is_only_nearly_one_draw() -> None:
    """Kairouz, Liu and Steinke 2021, Prop. 14: with rho = eps^2 / 2, eps grows by at most tau * sqrt(d)."""
    cells, rho = 20_000, 50.0
    epsilon, slack = math.sqrt(2 * rho), TAU * math.sqrt(cells)
    grown = epsilon * slack + slack**2 / 2
    rounded = 8 * 2.0**-53 * rho  # some operations on doubles between sigma and rho

    assert MOST_NODES**2 * (grown + rounded) * NANO < 1
    assert LATTICE == 16


def test_scales_add_up_as_squares() -> None:
    assert total_scale([3.0, 4.0]) == 5.0
    assert total_scale([2.0] * 9) == 6.0


@dataclass(frozen=True)
class Asked:
    """One query: at how many agencies a child has rows of its table, and who takes part."""

    holding: tuple[int, ...]  # the child's agencies that hold rows of it, h of them
    taking_part: tuple[int, ...]  # of the child's agencies; those that hold rows are among them
    k: int


def draw(random: Random, most: int, is_full: bool) -> list[Asked]:
    """Some tables and who takes part in each; `is_full`: the child is wherever it can be."""
    found = []
    for _ in range(random.randint(1, 7)):
        k = random.randint(1, most)
        holding = random.sample(range(most), k if is_full else random.randint(1, k))
        others = [one for one in range(most) if one not in holding and random.random() < 0.5]
        found.append(Asked(tuple(holding), (*holding, *others), k))
    return found


def worst_loss(asked: Sequence[Asked], most: int, charges: Sequence[Fraction]) -> Fraction:
    """The most rho a child can lose with no node over a cap of 1: a linear programme over each query's rho.

    maximise sum h_q^2 rho_q, with for every agency the charges of the queries it took part in at most 1.
    """
    gains = [Fraction(len(one.holding) ** 2) for one in asked]
    rows = [
        [
            charge if agency in one.taking_part else Fraction(0)
            for one, charge in zip(asked, charges, strict=True)
        ]
        for agency in range(most)
    ]
    return maximum(gains, rows, [Fraction(1)] * most)


def maximum(gains: list[Fraction], rows: list[list[Fraction]], limits: list[Fraction]) -> Fraction:
    """The simplex method in exact fractions, with Bland's rule: max gains*x, rows*x <= limits, x >= 0."""
    count, height = len(gains), len(rows)
    table = [
        [*row, *(Fraction(int(place == line)) for place in range(height)), limit]
        for line, (row, limit) in enumerate(zip(rows, limits, strict=True))
    ]
    goal = [-gain for gain in gains] + [Fraction(0)] * (height + 1)
    basis = list(range(count, count + height))
    while (column := next((place for place, cost in enumerate(goal[:-1]) if cost < 0), None)) is not None:
        steps = [
            (row[-1] / row[column], basis[line], line) for line, row in enumerate(table) if row[column] > 0
        ]
        _, _, line = min(steps)
        pivot = table[line][column]
        table[line] = [value / pivot for value in table[line]]
        for row in [*(row for place, row in enumerate(table) if place != line), goal]:
            factor = row[column]
            row[:] = [value - factor * above for value, above in zip(row, table[line], strict=True)]
        basis[line] = column
    return goal[-1]


def charged(asked: Sequence[Asked], most: int) -> list[Fraction]:
    """As we charge, for a rho of 1 and without rounding."""
    return [Fraction(most * one.k) for one in asked]


def test_the_linear_programme_finds_a_known_maximum() -> None:
    # 3x + 5y with x <= 4, 2y <= 12, 3x + 2y <= 18 is greatest at (2, 6).
    rows = [[Fraction(1), Fraction(0)], [Fraction(0), Fraction(2)], [Fraction(3), Fraction(2)]]

    assert maximum([Fraction(3), Fraction(5)], rows, [Fraction(4), Fraction(12), Fraction(18)]) == 36


def test_whatever_is_asked_no_child_loses_more_than_one_nodes_cap() -> None:
    random = Random(5)
    for _ in range(300):
        most = random.randint(1, 6)
        asked = draw(random, most, is_full=random.random() < 0.5)

        assert worst_loss(asked, most, charged(asked, most)) <= 1


def test_a_child_that_is_everywhere_loses_the_whole_cap_and_no_more() -> None:
    for most in range(1, 7):
        everywhere = Asked(tuple(range(most)), tuple(range(most)), most)

        assert worst_loss([everywhere], most, charged([everywhere], most)) == 1


@pytest.mark.parametrize("cheaper", ["rho", "k rho", "K rho"])
def test_twin_a_cheaper_charge_lets_a_child_lose_more_than_the_cap(cheaper: str) -> None:
    random, worst = Random(6), Fraction(0)
    for _ in range(100):
        most = random.randint(2, 6)
        asked = draw(random, most, is_full=True)
        prices = {"rho": [1] * len(asked), "k rho": [one.k for one in asked], "K rho": [most] * len(asked)}
        worst = max(worst, worst_loss(asked, most, [Fraction(price) for price in prices[cheaper]]))

    assert worst > 1


def test_a_child_in_more_nodes_than_agreed_loses_as_the_square() -> None:
    """The stated limit: h nodes where the agreement says k, and K too: the loss is (h / k)^2 caps."""
    for k, h in ((1, 2), (2, 3), (2, 6)):
        asked = Asked(tuple(range(h)), tuple(range(h)), k)

        assert worst_loss([asked], h, charged([asked], k)) == Fraction(h, k) ** 2


def test_real_ledgers_that_refuse_over_asks_keep_every_child_within_one_cap() -> None:
    """Random queries until nothing fits, charged in whole nano-rho at every node, as the ledgers do."""
    random = Random(7)
    for _ in range(60):
        most = random.randint(1, 6)
        left, lost = [CAP] * most, Fraction(0)
        for _ in range(80):
            (one, *_), rho = draw(random, most, is_full=True), 10 ** random.uniform(-9, 0)
            charge = charge_nrho(rho, holders=one.k, most_agencies=most)
            if all(left[agency] >= charge for agency in one.taking_part):
                for agency in one.taking_part:
                    left[agency] -= charge
                lost += len(one.holding) ** 2 * Fraction(rho)

        assert 0 < lost * NANO <= CAP
