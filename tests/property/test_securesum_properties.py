"""An opened total is exactly sixteen times the sum plus the noise, for any members, values and order."""

from __future__ import annotations

from functools import cache
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from elsewhere.securesum.masks import mask, open_total, pair_key
from elsewhere.securesum.noise import LATTICE, MOST, noised
from elsewhere.securesum.opening import open_shares
from tests.summing import Sum, names, summing

VALUE = st.integers(-(2**63), 2**63 - 1)
COUNT = st.integers(-MOST, MOST)


@cache
def made(count: int) -> Sum:
    return summing(count)


def signed(total: int) -> int:
    """A number modulo 2^64 as a signed one."""
    return (total + 2**63) % 2**64 - 2**63


@given(st.data(), st.integers(2, 12), st.integers(1, 40))
def test_masks_cancel_for_any_members_values_and_order(data: st.DataObject, count: int, width: int) -> None:
    random = Random(data.draw(st.integers(0, 2**32)))
    agencies = [f"m{number}" for number in random.sample(range(1000), count)]
    values = {one: data.draw(st.lists(VALUE, min_size=width, max_size=width)) for one in agencies}
    secrets = {frozenset((one, other)): random.randbytes(64) for one in agencies for other in agencies}
    rh = random.randbytes(32)

    def keys(me: str) -> dict[str, bytes]:
        found = {}
        for other in random.sample(agencies, count):
            if other != me:
                half = secrets[frozenset((me, other))]
                found[other] = pair_key(half[:32], half[32:], rh, *random.sample((me, other), 2))
        return found

    bodies = [mask(values[one], one, keys(one)) for one in random.sample(agencies, count)]

    assert open_total(bodies, width) == [signed(sum(column)) for column in zip(*values.values(), strict=True)]


@settings(max_examples=25)
@given(st.data(), st.integers(3, 7), st.integers(1, 8), st.floats(0.2, 1e6))
def test_an_opened_total_is_sixteen_times_the_sum_and_all_noise(
    data: st.DataObject, count: int, width: int, scale: float
) -> None:
    adding = made(count)
    fixed = adding.fixed(*data.draw(st.permutations(adding.agencies)))
    counts = {one: data.draw(st.lists(COUNT, min_size=width, max_size=width)) for one in adding.agencies}
    with_noise = {one: noised(values, scale) for one, values in counts.items()}
    drawn = [
        [one - LATTICE * value for one, value in zip(with_noise[agency], counts[agency], strict=True)]
        for agency in adding.agencies
    ]
    shares = {one: adding.share(one, values, fixed) for one, values in with_noise.items()}

    found = open_shares(fixed, shares, adding.roster, width)

    sums = [sum(column) for column in zip(*counts.values(), strict=True)]
    noises = [sum(column) for column in zip(*drawn, strict=True)]
    assert found == [LATTICE * true + noise for true, noise in zip(sums, noises, strict=True)]


@given(st.integers(2, 12), st.integers(0, 2**32))
def test_no_share_looks_like_its_values(count: int, seed: int) -> None:
    """Zeros and nothing else, masked: a word that stays small has a chance of 2^-24."""
    random, agencies = Random(seed), names(count)
    keys = {other: random.randbytes(32) for other in agencies[1:]}

    body = mask([0] * 8, agencies[0], keys)

    small = [word for word in open_total([body], 8) if abs(word) < 2**39]
    assert len(small) < 2
