"""A catalogue finds what it holds, pads what it publishes, and states what it is."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from elsewhere.catalogue import padding, tags
from elsewhere.catalogue.statement import CatalogueStatement, delta_root, snapshot_root
from elsewhere.catalogue.tags import Catalogue, ShortTags
from elsewhere.errors import CatalogueBroken, DocumentInvalid, PaddingInvalid

SEED = b"p" * 32


def numbers(*values: int) -> ShortTags:
    return np.array(values, dtype=np.uint64)


def real_tags(count: int, label: int = 7) -> ShortTags:
    return np.random.default_rng(label).integers(0, 2**64, count, dtype=np.uint64)


def test_a_short_tag_is_the_first_eight_bytes_big_endian() -> None:
    tag = bytes(range(1, 33))

    assert tags.short_tags([tag]).tolist() == [0x0102030405060708]
    assert tags.to_bytes(tags.short_tags([tag, tag[::-1]])) == tag[:8] + tag[::-1][:8]


def test_bytes_that_are_not_whole_tags_are_refused() -> None:
    with pytest.raises(CatalogueBroken):
        tags.from_bytes(bytes(15))
    with pytest.raises(ValueError, match="8 bytes"):
        tags.short_tags([b"short"])


def test_tags_are_found_in_base_and_overlay_and_nowhere_else() -> None:
    catalogue = Catalogue(numbers(1, 5, 2**64 - 1)).with_delta(numbers(0, 5, 7))

    assert catalogue.contains_each(numbers(0, 1, 2, 5, 6, 7, 8, 2**64 - 1)) == [
        True, True, False, True, False, True, False, True,
    ]  # fmt: skip
    assert len(catalogue) == 5
    assert catalogue.merge().tolist() == [0, 1, 5, 7, 2**64 - 1]


def test_an_empty_catalogue_holds_nothing() -> None:
    catalogue = Catalogue(numbers())

    assert catalogue.contains_each(numbers(0, 1)) == [False, False]
    assert catalogue.contains_each(numbers()) == []
    assert len(catalogue.merge()) == 0


def test_a_delta_leaves_the_version_before_it_as_it_was() -> None:
    before = Catalogue(numbers(1, 3))
    after = before.with_delta(numbers(2))

    assert before.contains_each(numbers(2)) == [False]
    assert after.contains_each(numbers(2)) == [True]
    with pytest.raises(ValueError, match="read-only"):
        after.base[0] = 9


@pytest.mark.parametrize("values", [(3, 1), (1, 1)])
def test_unsorted_or_repeating_sets_are_refused(values: tuple[int, ...]) -> None:
    with pytest.raises(CatalogueBroken):
        Catalogue(numbers(*values))
    with pytest.raises(CatalogueBroken):
        Catalogue(numbers(1)).with_delta(numbers(*values))


def test_signed_numbers_are_refused_rather_than_converted() -> None:
    signed = np.array([1, 2], dtype=np.int64)

    with pytest.raises(TypeError):
        Catalogue(signed)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Catalogue(numbers(1)).contains_each(signed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "size"),
    [(0, 4096), (1, 4096), (4096, 4096), (4097, 4608), (4608, 4608), (8192, 8192), (8193, 9216),
     (100_000, 106_496), (1_000_000, 1_048_576), (28_000_000, 29_360_128)],
)  # fmt: skip
def test_public_sizes_are_coarse(count: int, size: int) -> None:
    assert padding.padded_size(count) == size


def test_there_are_eight_sizes_in_a_doubling() -> None:
    assert len({padding.padded_size(n) for n in range(8193, 16385)}) == 8


def test_padding_fills_up_to_the_public_size_and_follows_from_the_seed() -> None:
    real = real_tags(5000)
    padded = padding.pad(real, SEED)

    assert len(padded) == padding.padded_size(5000)
    assert tags.is_ascending(padded)
    assert tags.contains(padded, real).all()
    assert (padding.pad(real, SEED) == padded).all()
    assert (padding.pad(real, b"q" * 32) != padded).any()
    padding.check_padding(padded, seed=SEED, commitment=padding.commit_seed(SEED), record_tags=5000)


def test_repeated_tags_are_one_entry() -> None:
    assert (padding.pad(numbers(9, 9, 4), SEED) == padding.pad(numbers(4, 9), SEED)).all()


def test_a_draw_that_meets_a_real_tag_is_replaced_and_still_passes_the_audit() -> None:
    first_draw = padding._stream(SEED, b"snapshot", 1)
    padded = padding.pad(np.concatenate([first_draw, numbers(1)]), SEED)

    assert len(padded) == 4096
    padding.check_padding(padded, seed=SEED, commitment=padding.commit_seed(SEED), record_tags=2)


def test_stuffing_is_not_padding() -> None:
    stuffed = padding.pad(real_tags(5000), SEED)

    commitment = padding.commit_seed(SEED)

    # 10 tags more than there are records, though the public size is the same.
    with pytest.raises(PaddingInvalid, match="does not follow"):
        padding.check_padding(stuffed, seed=SEED, commitment=commitment, record_tags=4990)
    with pytest.raises(PaddingInvalid, match="size"):
        padding.check_padding(stuffed, seed=SEED, commitment=commitment, record_tags=100)
    with pytest.raises(PaddingInvalid, match="seed"):
        padding.check_padding(stuffed, seed=b"q" * 32, commitment=padding.commit_seed(SEED), record_tags=5000)


def test_a_commitment_does_not_show_its_seed() -> None:
    assert SEED not in padding.commit_seed(SEED)
    assert padding.commit_seed(SEED) != padding.commit_seed(b"q" * 32)


@pytest.mark.parametrize("arrivals", [0, 1, 16, 40])
def test_every_delta_has_the_same_size_whatever_arrived(arrivals: int) -> None:
    delta = padding.next_delta(Catalogue(numbers(1, 2)), real_tags(arrivals), size=16, seed=SEED, version=2)

    assert len(delta.tags) == 16
    assert tags.is_ascending(delta.tags)
    assert len(delta.carried) == max(0, arrivals - 16)


def test_overflow_is_carried_over_oldest_first() -> None:
    pending = numbers(50, 10, 40, 10, 30)
    catalogue = Catalogue(numbers(1))

    first = padding.next_delta(catalogue, pending, size=2, seed=SEED, version=2)
    second = padding.next_delta(catalogue.with_delta(first.tags), first.carried, size=2, seed=SEED, version=3)

    assert first.tags.tolist() == [10, 50]
    assert second.tags.tolist() == [30, 40]
    assert second.carried.tolist() == []


def test_a_tag_already_published_is_not_published_again() -> None:
    catalogue = Catalogue(numbers(5)).with_delta(numbers(6))

    delta = padding.next_delta(catalogue, numbers(5, 6, 7), size=8, seed=SEED, version=3)

    assert tags.contains(delta.tags, numbers(5, 6, 7)).tolist() == [False, False, True]


def test_the_padding_of_deltas_differs_by_version_and_can_be_audited() -> None:
    commitment = padding.commit_seed(SEED)
    catalogue = Catalogue(numbers(1))
    two, three = (
        padding.next_delta(catalogue, numbers(8, 9), size=16, seed=SEED, version=v).tags for v in (2, 3)
    )

    assert tags.contains(two, three).sum() == 2
    padding.check_delta_padding(two, seed=SEED, commitment=commitment, record_tags=2, version=2)
    with pytest.raises(PaddingInvalid):
        padding.check_delta_padding(two, seed=SEED, commitment=commitment, record_tags=1, version=2)
    with pytest.raises(PaddingInvalid):
        padding.check_delta_padding(two, seed=SEED, commitment=commitment, record_tags=2, version=3)
    with pytest.raises(PaddingInvalid):
        padding.check_delta_padding(two, seed=SEED, commitment=commitment, record_tags=17, version=2)


def test_seeds_and_sizes_of_our_own_are_checked() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        padding.pad(numbers(1), b"short")
    with pytest.raises(ValueError, match="at least one"):
        padding.next_delta(Catalogue(numbers()), numbers(), size=0, seed=SEED, version=2)


def test_roots_chain_every_version() -> None:
    base, delta = numbers(1, 2), numbers(3)
    root = delta_root(snapshot_root(base), delta)

    assert len({root, snapshot_root(base), snapshot_root(numbers(1, 2, 3)), delta_root(root, delta)}) == 4
    assert root != delta_root(snapshot_root(numbers(1)), delta)
    with pytest.raises(ValueError, match="32 bytes"):
        delta_root(b"short", delta)


def test_the_root_of_a_long_set_does_not_depend_on_how_it_is_read() -> None:
    long = np.arange(300_000, dtype=np.uint64)
    whole = hashlib.sha256(b"elsewhere/catalogue/snapshot-root/v1" + tags.to_bytes(long)).digest()

    assert snapshot_root(long) == whole


STATEMENT = CatalogueStatement(
    custodian="police", collection="involvement", epoch=3, version=9, snapshot_version=7,
    snapshot_count=4096, delta_size=512, root=b"r" * 32, padding_commitment=b"c" * 32,
    published_utc=datetime(2026, 11, 1, 9, 0, tzinfo=UTC),
)  # fmt: skip


def test_a_statement_survives_json() -> None:
    assert CatalogueStatement.from_json(STATEMENT.to_json()) == STATEMENT


def test_a_statement_tells_snapshot_from_delta() -> None:
    snapshot = replace(STATEMENT, version=7, snapshot_count=300_000)

    assert (STATEMENT.is_snapshot, STATEMENT.chunks) == (False, 1)
    assert (snapshot.is_snapshot, snapshot.chunks) == (True, 3)
    assert STATEMENT.which.version == 9


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("custodian", ""), ("collection", "Not A Name"), ("epoch", -1), ("epoch", True), ("version", 0),
        ("version", 2**53), ("snapshot_version", 10), ("snapshot_count", 0), ("delta_size", 0),
        ("delta_size", 2**17), ("root", "ab"), ("root", "R" * 64), ("padding_commitment", "00" * 31),
        ("published_utc", "2026-11-01"), ("published_utc", 5), ("surprise", 1),
    ],
)  # fmt: skip
def test_a_statement_with_an_impossible_value_is_refused(key: str, value: object) -> None:
    with pytest.raises(DocumentInvalid):
        CatalogueStatement.from_json({**STATEMENT.to_json(), key: value})  # type: ignore[dict-item]


@pytest.mark.parametrize("key", list(STATEMENT.to_json()))
def test_a_statement_that_lacks_a_value_is_refused(key: str) -> None:
    payload = STATEMENT.to_json()
    del payload[key]

    with pytest.raises(DocumentInvalid):
        CatalogueStatement.from_json(payload)


def test_a_statement_cannot_be_built_with_another_root_size() -> None:
    with pytest.raises(DocumentInvalid):
        replace(STATEMENT, root=b"short")
