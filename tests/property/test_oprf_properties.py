"""Laws of the OPRF that hold for every input, blind and key."""

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from elsewhere.oprf import group, voprf

few = settings(max_examples=settings().max_examples // 2)  # each is hundreds of multiplications
inputs = st.lists(st.binary(max_size=200), min_size=1, max_size=6)
seeds = st.binary(min_size=32, max_size=32)
scalars = st.integers(1, group.ORDER - 1).map(lambda n: n.to_bytes(32, "little"))


def blinds_for(seed: bytes, count: int) -> list[bytes]:
    return [
        voprf.scalar_from_uniform(hashlib.sha512(seed + index.to_bytes(2)).digest()) for index in range(count)
    ]


@few
@given(values=inputs, key_seed=seeds, blind_seed=seeds)
def test_blinding_never_changes_the_tag(values: list[bytes], key_seed: bytes, blind_seed: bytes) -> None:
    key = voprf.derive_key(key_seed, b"property")
    blinds = blinds_for(blind_seed, len(values))
    blinded = voprf.blind(values, blinds)

    evaluation = voprf.blind_evaluate(key, blinded, random=lambda n: hashlib.shake_256(blind_seed).digest(n))
    voprf.check_proof(voprf.public_key(key), blinded, evaluation)

    assert voprf.unblind_tags(values, blinds, evaluation.elements) == voprf.tag_each(key, values)


@few
@given(value=st.binary(max_size=200), other=st.binary(max_size=200), scalar=scalars)
def test_an_element_opens_for_its_own_input_only(value: bytes, other: bytes, scalar: bytes) -> None:
    element = voprf.blind([value], [scalar])[0]

    assert voprf.opens(value, scalar, element)
    assert voprf.opens(other, scalar, element) == (value == other)


@few
@given(st.lists(scalars, min_size=1, max_size=8))
def test_a_batch_inversion_inverts_each_scalar(batch: list[bytes]) -> None:
    one = (1).to_bytes(32, "little")

    assert [group.scalar_multiply(a, b) for a, b in zip(batch, group.invert_scalars(batch), strict=True)] == [
        one
    ] * len(batch)


@few
@given(left=scalars, right=scalars)
def test_scalar_arithmetic_agrees_with_whole_numbers(left: bytes, right: bytes) -> None:
    a, b = int.from_bytes(left, "little"), int.from_bytes(right, "little")

    assert int.from_bytes(group.scalar_multiply(left, right), "little") == a * b % group.ORDER
    assert int.from_bytes(group.scalar_subtract(left, right), "little") == (a - b) % group.ORDER


@few
@given(st.binary(min_size=64, max_size=64))
def test_reduction_agrees_with_whole_numbers(uniform: bytes) -> None:
    expected = int.from_bytes(uniform, "little") % group.ORDER

    assert int.from_bytes(group.reduce_scalar(uniform), "little") == expected


@settings(max_examples=200)
@given(st.binary(min_size=32, max_size=32))
def test_what_counts_as_an_element_has_one_spelling(encoded: bytes) -> None:
    if group.is_element(encoded):
        one = (1).to_bytes(32, "little")
        assert group.multiply_each(one, [encoded]) == [encoded]
