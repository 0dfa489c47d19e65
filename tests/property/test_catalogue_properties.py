"""Laws of catalogues: they agree with plain sets, and open to what was sealed or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elsewhere.catalogue import padding, sealed, tags
from elsewhere.catalogue.tags import Catalogue, ShortTags
from elsewhere.errors import CatalogueBroken
from elsewhere.published import CatalogueId

KEY = b"k" * 32
WHICH = CatalogueId("police", "involvement", 1, 1)
near = st.integers(0, 30) | st.integers(2**64 - 30, 2**64 - 1) | st.integers(0, 2**64 - 1)
sets = st.sets(near, max_size=60)
seeds = st.binary(min_size=32, max_size=32)


def array(values: set[int] | list[int]) -> ShortTags:
    return np.array(sorted(values) if isinstance(values, set) else values, dtype=np.uint64)


@given(base=sets, deltas=st.lists(sets, max_size=4), asked=st.lists(near, max_size=50))
def test_a_catalogue_agrees_with_a_plain_set(
    base: set[int], deltas: list[set[int]], asked: list[int]
) -> None:
    catalogue, plain = Catalogue(array(base)), set(base)
    for delta in deltas:
        catalogue = catalogue.with_delta(array(delta))
        plain |= delta

    assert catalogue.contains_each(array(asked)) == [tag in plain for tag in asked]
    assert catalogue.merge().tolist() == sorted(plain)
    assert len(catalogue) == len(plain)


@given(sets)
def test_bytes_carry_a_set_in_byte_order(values: set[int]) -> None:
    written = tags.to_bytes(array(values))

    assert tags.from_bytes(written).tolist() == sorted(values)
    assert written == b"".join(sorted(value.to_bytes(8) for value in values))


@given(values=sets, seed=seeds)
def test_padded_sets_pass_their_audit(values: set[int], seed: bytes) -> None:
    padded = padding.pad(array(values), seed)

    assert set(values) <= set(padded.tolist())
    padding.check_padding(padded, seed=seed, commitment=padding.commit_seed(seed), record_tags=len(values))


@given(st.integers(1, 10**9))
def test_padding_is_at_most_an_eighth_beyond_the_minimum(count: int) -> None:
    size = padding.padded_size(count)

    assert size >= max(count, padding.MINIMUM_SIZE)
    assert size == padding.MINIMUM_SIZE or size - count < count / 8
    assert padding.padded_size(size) == size


@given(base=sets, pending=st.lists(near, max_size=60), size=st.integers(1, 20), seed=seeds)
def test_deltas_publish_every_pending_tag_once_at_constant_size(
    base: set[int], pending: list[int], size: int, seed: bytes
) -> None:
    catalogue, waiting, published = Catalogue(array(base)), array(pending), 0
    wanted = {tag for tag in pending if tag not in base}
    for version in range(2, 70):
        delta = padding.next_delta(catalogue, waiting, size=size, seed=seed, version=version)
        assert len(delta.tags) == size
        assert not catalogue.contains(delta.tags).any()
        catalogue, waiting = catalogue.with_delta(delta.tags), delta.carried
        published += size
        if not len(waiting):
            break

    assert not len(waiting)
    assert all(catalogue.contains_each(array(wanted)))
    assert len(catalogue) == len(base) + published


@given(values=sets, place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_no_altered_bit_opens(values: set[int], place: int, bit: int) -> None:
    (chunk,) = sealed.seal_snapshot(array(values), KEY, WHICH)
    at = place % len(chunk)
    altered = chunk[:at] + bytes([chunk[at] ^ (1 << bit)]) + chunk[at + 1 :]

    assert sealed.open_snapshot([chunk], KEY, WHICH, tag_count=len(values)).tolist() == sorted(values)
    with pytest.raises(CatalogueBroken):
        sealed.open_snapshot([altered], KEY, WHICH, tag_count=len(values))
