"""The noise of shares and of opened sums has the scale and shape that was charged for.

OpenDP takes no seed. So every limit below is one that fewer than one in 10^9 correct runs leave, from bounds
that hold for any number of draws. Each check has twins beside it: noise that is wrong, and seeded, is caught.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate
from random import Random

import pytest

from elsewhere.securesum.accounting import total_scale
from elsewhere.securesum.noise import LATTICE, central, noised, share_scale
from elsewhere.securesum.opening import open_shares
from tests.summing import summing

DRAWS = 20_000
FALSE_ALARM = 1e-9
SIGMA, MEMBERS, COLLUDING = 3.0, 4, 1
SHARE = share_scale(
    sigma=SIGMA, sensitivity_squared=1, operators=MEMBERS, colluding=COLLUDING, floor_nrho=10**9
)
WHOLE = total_scale([SHARE] * MEMBERS)


@cache
def share_draws() -> tuple[int, ...]:
    """One node's noise, on the lattice."""
    return tuple(noised([0] * DRAWS, SHARE))


@cache
def opened_draws() -> tuple[int, ...]:
    """The noise of opened sums, on the lattice: zeros through every step of the protocol."""
    adding = summing(MEMBERS, colluding=COLLUDING)
    fixed = adding.fixed()
    shares = {one: adding.share(one, noised([0] * DRAWS, SHARE), fixed) for one in adding.agencies}
    return tuple(open_shares(fixed, shares, adding.roster, DRAWS))


def deviation(draws: Sequence[int]) -> float:
    """The root of the mean square."""
    return math.sqrt(sum(draw * draw for draw in draws) / len(draws))


def check_scale(draws: Sequence[int], scale: float) -> None:
    """Laurent and Massart 2000, Lemma 1, for a sum of N squares: each side is left with a chance of e^-x."""
    count, x = len(draws), math.log(2 / FALSE_ALARM)
    found = sum(draw * draw for draw in draws) / scale**2

    assert count - 2 * math.sqrt(count * x) < found < count + 2 * math.sqrt(count * x) + 2 * x


def check_middle(draws: Sequence[int], scale: float) -> None:
    """The sum of N sub-Gaussian draws is beyond t * scale * sqrt(N) with a chance of 2 exp(-t^2 / 2)."""
    limit = math.sqrt(2 * math.log(2 / FALSE_ALARM) * len(draws))

    assert abs(sum(draws)) < limit * scale


def check_shape(draws: Sequence[int], scale: float) -> None:
    """Dvoretzky, Kiefer, Wolfowitz and Massart: the distribution is nowhere further off than e, but for
    a chance of 2 exp(-2 N e^2)."""
    count, reach = len(draws), math.ceil(12 * scale)
    steps = range(-reach, reach + 1)
    weights = [math.exp(-(step**2) / (2 * scale**2)) for step in steps]
    whole = math.fsum(weights)
    counted = dict.fromkeys(steps, 0)
    for draw in draws:
        counted[max(-reach, min(reach, draw))] += 1
    limit = math.sqrt(math.log(2 / FALSE_ALARM) / (2 * count))

    for expected, found in zip(accumulate(weights), accumulate(counted[step] for step in steps), strict=True):
        assert abs(expected / whole - found / count) < limit


def check_apart(draws: Sequence[int], scale: float) -> None:
    """Neighbouring cells have nothing in common: N products of two draws add up to few."""
    pairs = list(zip(draws[::2], draws[1::2], strict=True))
    # Bernstein, for products of two, which are sub-exponential: beyond sqrt(2 N x) + x with a chance of e^-x.
    x = math.log(2 / FALSE_ALARM)

    assert abs(sum(one * other for one, other in pairs)) / scale**2 < math.sqrt(2 * len(pairs) * x) + 2 * x


CHECKS = pytest.mark.parametrize("check", [check_scale, check_middle, check_shape, check_apart])
Check = Callable[[Sequence[int], float], None]


@CHECKS
def test_a_share_is_one_discrete_gaussian_of_its_scale(check: Check) -> None:
    check(share_draws(), LATTICE * SHARE)


@CHECKS
def test_an_opened_sum_is_one_discrete_gaussian_of_the_total_scale(check: Check) -> None:
    check(opened_draws(), LATTICE * WHOLE)


def test_what_honest_members_add_is_no_less_than_was_charged_for() -> None:
    honest = total_scale([SHARE] * (MEMBERS - COLLUDING))

    assert honest == pytest.approx(SIGMA)


def test_the_error_beside_one_trusted_party_is_the_root_of_n_over_n_minus_c() -> None:
    """Both are known to within 0.5 %, so 5 % is seven standard deviations: a false alarm in 10^11."""
    trusted = deviation(central([0] * DRAWS, SIGMA))
    ours = deviation(opened_draws()) / LATTICE

    assert ours / trusted == pytest.approx(math.sqrt(MEMBERS / (MEMBERS - COLLUDING)), rel=0.05)


def seeded(count: int = DRAWS, scale: float = LATTICE * WHOLE) -> list[int]:
    """Rounded normal draws, the same in every run: near enough to pass all checks."""
    random = Random(11)
    return [round(random.gauss(0, scale)) for _ in range(count)]


@CHECKS
def test_seeded_noise_of_the_right_kind_passes(check: Check) -> None:
    check(seeded(), LATTICE * WHOLE)


def laplace() -> list[int]:
    """Of the same variance, and another shape."""
    random, scale = Random(12), LATTICE * WHOLE / math.sqrt(2)
    return [round(random.choice((-1, 1)) * random.expovariate(1 / scale)) for _ in range(DRAWS)]


def shifted() -> list[int]:
    """A tenth of its scale to one side."""
    return [draw + round(0.1 * LATTICE * WHOLE) for draw in seeded()]


def repeated() -> list[int]:
    """Every draw used for two cells."""
    return [draw for draw in seeded(DRAWS // 2) for _ in range(2)]


def without_colluders() -> list[int]:
    """Shares of sigma / sqrt(n), as if nobody colluded."""
    return seeded(scale=LATTICE * SIGMA)


@pytest.mark.parametrize(
    ("check", "broken"),
    [
        (check_scale, without_colluders),
        (check_middle, shifted),
        (check_shape, laplace),
        (check_shape, shifted),
        (check_apart, repeated),
    ],
)
def test_twin_noise_that_is_wrong_is_caught(check: Check, broken: Callable[[], list[int]]) -> None:
    with pytest.raises(AssertionError):
        check(broken(), LATTICE * WHOLE)
