"""Noise that OpenDP draws and prices: what it costs, how exact it is, and what it is refused for."""

from __future__ import annotations

import math

import pytest

from elsewhere.securesum import noise
from elsewhere.securesum.errors import NoiseUnfit


@pytest.mark.parametrize(("rho", "epsilon"), [(0.05, 1.47), (0.125, 2.42), (0.25, 3.54), (0.5, 5.22)])
def test_epsilon_of_a_rho_is_as_published(rho: float, epsilon: float) -> None:
    assert noise.epsilon(rho) == pytest.approx(epsilon, abs=0.005)


def test_nothing_spent_is_an_epsilon_of_nothing() -> None:
    assert noise.epsilon(0) == 0


def test_rho_is_the_squared_sensitivity_over_twice_the_variance_and_never_less() -> None:
    assert noise.query_rho(4.53, 1) == pytest.approx(0.02436, abs=1e-5)
    for sigma, square in ((1.0, 1), (12.0, 144), (7.3, 160_001), (1e6, 2**40)):
        assert noise.query_rho(sigma, square) == pytest.approx(square / (2 * sigma * sigma), rel=1e-12)


def test_a_share_is_enough_without_those_that_collude() -> None:
    scale = noise.share_scale(sigma=12, sensitivity_squared=1, operators=10, colluding=3, floor_nrho=10**9)

    assert scale == 12 / math.sqrt(7)
    assert 7 * scale**2 == pytest.approx(144)


def test_a_share_alone_costs_no_more_than_the_floor() -> None:
    """If all others collude, what is left is this: the worst case that is published beside the charge."""
    scale = noise.share_scale(
        sigma=1, sensitivity_squared=144, operators=10, colluding=3, floor_nrho=500_000_000
    )

    assert noise.query_rho(scale, 144) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("sigma", "operators", "colluding", "floor"), [(0, 5, 1, 1), (-1, 5, 1, 1), (1, 3, 3, 1), (1, 5, 1, 0)]
)
def test_a_share_that_nobody_would_be_left_for_is_refused(
    sigma: float, operators: int, colluding: int, floor: int
) -> None:
    with pytest.raises(NoiseUnfit):
        noise.share_scale(
            sigma=sigma,
            sensitivity_squared=1,
            operators=operators,
            colluding=colluding,
            floor_nrho=floor,
        )


def test_the_lattice_makes_a_sum_of_shares_one_draw_to_within_two_to_the_minus_sixty() -> None:
    without_lattice = 0.14 / noise.LATTICE

    assert noise.tau(0.14) < noise.TAU == 2**-60
    assert noise.tau(0.12) > noise.TAU
    assert noise.tau(without_lattice) > 1  # shares of whole counts would say next to nothing of their sum


@pytest.mark.parametrize("scale", [0.0, -1.0, -12.0, 0.12, math.inf, math.nan, 2.0**41])
def test_a_scale_that_is_too_small_or_no_number_is_refused(scale: float) -> None:
    with pytest.raises(NoiseUnfit):
        noise.noised([0], scale)


@pytest.mark.parametrize("value", [2**40 + 1, -(2**40) - 1, 2**63, -(2**63)])
def test_a_value_that_could_wrap_is_refused(value: int) -> None:
    with pytest.raises(NoiseUnfit):
        noise.noised([0, value], 1.0)


def test_values_come_back_in_their_order_on_the_lattice() -> None:
    values = [0, 1000, -1000, noise.MOST, -noise.MOST]

    found = noise.noised(values, 1.0)

    # 16 standard deviations: a false alarm in 10^55.
    assert all(abs(one - 16 * value) < 16 * 16 for one, value in zip(found, values, strict=True))
    assert all(type(one) is int for one in found)


def test_no_two_draws_are_alike() -> None:
    assert noise.noised([0] * 40, 1e6) != noise.noised([0] * 40, 1e6)


def test_quantiles_are_found_between_the_edges_of_counts() -> None:
    edges, counts = [0, 10, 20, 30], [10, 10, 20]

    assert noise.quantiles(edges, [0.25, 0.5, 0.75], counts) == pytest.approx([10, 20, 25])
