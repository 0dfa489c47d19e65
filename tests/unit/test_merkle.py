"""The tree over a log: published roots, proofs for leaves and sizes, and what a rewritten log cannot show."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elsewhere.transparency.errors import ProofBroken
from elsewhere.transparency.merkle import (
    EMPTY_ROOT,
    KEPT_EVERY,
    MAX_PROOF,
    check_consistency,
    check_inclusion,
    completed,
    leaf_hash,
    node_hash,
    prove_consistency,
    prove_inclusion,
    root_of,
)

# The test tree of Certificate Transparency's first implementations: its leaves, and its root at each size.
PUBLISHED_LEAVES = (
    b"",
    b"\x00",
    b"\x10",
    bytes.fromhex("2021"),
    bytes.fromhex("3031"),
    bytes.fromhex("40414243"),
    bytes.fromhex("5051525354555657"),
    bytes.fromhex("606162636465666768696a6b6c6d6e6f"),
)
PUBLISHED_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
MOST = 600  # leaves: three kept subtrees of the first level above, the last one not whole


@dataclass(slots=True)
class Tree:
    """A log that keeps leaves and every eighth level above, as one on disk does."""

    levels: dict[int, list[bytes]] = field(default_factory=lambda: {0: []})
    asked: int = 0

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        found = self.levels[level][start:stop]
        assert level % KEPT_EVERY == 0
        assert len(found) == stop - start
        self.asked += len(found)
        return found

    def append(self, leaves: Sequence[bytes]) -> None:
        old = len(self.levels[0])
        self.levels[0].extend(leaves)
        for level, index, value in completed(self, old, len(self.levels[0])):
            assert index == len(self.levels.setdefault(level, []))
            self.levels[level].append(value)


def leaf(number: int) -> bytes:
    return leaf_hash(str(number).encode())


def tree_of(size: int) -> Tree:
    tree = Tree()
    tree.append([leaf(number) for number in range(size)])
    return tree


def plain_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 9162 §2.1.1 as it is written there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(plain_root(leaves[:split]), plain_root(leaves[split:]))


WHOLE = tree_of(MOST)
LEAVES = tuple(WHOLE.levels[0])


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_the_published_ones(size: int) -> None:
    tree = Tree()
    tree.append([leaf_hash(body) for body in PUBLISHED_LEAVES[:size]])
    assert root_of(tree, size).hex() == PUBLISHED_ROOTS[size - 1]


def test_an_empty_log_has_the_hash_of_nothing() -> None:
    assert root_of(Tree(), 0) == EMPTY_ROOT == hashlib.sha256().digest()


@pytest.mark.parametrize("size", [*range(1, 40), 255, 256, 257, 511, 512, 513, MOST])
def test_a_root_from_kept_levels_is_the_plain_one(size: int) -> None:
    assert root_of(WHOLE, size) == plain_root(LEAVES[:size])


@given(st.lists(st.integers(1, 300), max_size=6))
def test_a_log_keeps_the_same_however_its_leaves_came(batches: list[int]) -> None:
    grown, at = Tree(), 0
    for batch in batches:
        grown.append([leaf(number) for number in range(at, at + batch)])
        at += batch
    assert grown.levels == tree_of(at).levels


@given(st.integers(1, MOST).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size))))
def test_a_leaf_is_proved_and_no_other_in_its_place(at: tuple[int, int]) -> None:
    index, size = at
    root, proof = root_of(WHOLE, size), prove_inclusion(WHOLE, index, size)
    check_inclusion(LEAVES[index], index, size, proof, root)
    with pytest.raises(ProofBroken):
        check_inclusion(leaf(-1), index, size, proof, root)
    if size > 1:
        with pytest.raises(ProofBroken):
            check_inclusion(LEAVES[index], (index + 1) % size, size, proof, root)


@given(st.integers(0, MOST).flatmap(lambda new: st.tuples(st.integers(0, new), st.just(new))))
def test_growth_is_proved(at: tuple[int, int]) -> None:
    old, new = at
    proof = prove_consistency(WHOLE, old, new)
    check_consistency(old, new, root_of(WHOLE, old), root_of(WHOLE, new), proof)


@given(
    st.integers(2, 300).flatmap(
        lambda new: st.tuples(st.integers(1, new - 1), st.just(new), st.integers(0, new - 1))
    )
)
def test_a_log_with_one_old_leaf_altered_cannot_prove_that_it_only_grew(at: tuple[int, int, int]) -> None:
    old, new, altered = at
    forged = Tree()
    forged.append([leaf(-1) if number == altered else leaf(number) for number in range(new)])
    seen, shown = root_of(WHOLE, old), root_of(forged, new)
    for proof in (prove_consistency(forged, old, new), prove_consistency(WHOLE, old, new)):
        if altered < old or proof != prove_consistency(forged, old, new):
            with pytest.raises(ProofBroken):
                check_consistency(old, new, seen, shown, proof)
        else:
            check_consistency(old, new, seen, shown, proof)


def test_a_cut_log_cannot_prove_anything() -> None:
    seen, cut = root_of(WHOLE, 300), root_of(WHOLE, 299)
    with pytest.raises(ProofBroken, match="300 leaves or more"):
        check_consistency(300, 299, seen, cut, ())
    with pytest.raises(ProofBroken, match="same tree"):
        check_consistency(300, 300, seen, cut, ())


def broken_proofs(data: st.DataObject, whole: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """One that is not the whole one: cut, longer, or with another hash somewhere."""
    at = data.draw(st.integers(0, len(whole) - 1))
    other = (*whole[:at], leaf(-1), *whole[at + 1 :])
    return data.draw(st.sampled_from([whole[:-1], (*whole, leaf(-1)), other, (leaf(-1), *whole)]))


@given(st.data())
def test_an_altered_proof_of_inclusion_proves_nothing(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, MOST))
    index = data.draw(st.integers(0, size - 1))
    broken = broken_proofs(data, prove_inclusion(WHOLE, index, size))
    with pytest.raises(ProofBroken):
        check_inclusion(LEAVES[index], index, size, broken, root_of(WHOLE, size))


@given(st.data())
def test_an_altered_proof_of_growth_proves_nothing(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, MOST))
    old = data.draw(st.integers(1, new - 1))
    broken = broken_proofs(data, prove_consistency(WHOLE, old, new))
    with pytest.raises(ProofBroken):
        check_consistency(old, new, root_of(WHOLE, old), root_of(WHOLE, new), broken)


@pytest.mark.parametrize("proof", [(b"short",), (bytes(32),) * (MAX_PROOF + 1)])
def test_what_is_no_proof_is_refused(proof: tuple[bytes, ...]) -> None:
    with pytest.raises(ProofBroken, match="at most"):
        check_inclusion(LEAVES[0], 0, 2, proof, bytes(32))
    with pytest.raises(ProofBroken, match="at most"):
        check_consistency(1, 2, bytes(32), bytes(32), proof)


def test_proofs_read_few_hashes_whatever_the_size() -> None:
    tree = tree_of(70_000)
    tree.asked = 0
    prove_inclusion(tree, 12_345, 69_999)
    prove_consistency(tree, 12_345, 69_999)
    root_of(tree, 69_999)
    assert tree.asked < 6 * 256


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3)])
def test_a_leaf_outside_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="from 0 to 2"):
        prove_inclusion(WHOLE, index, size)
    with pytest.raises(ProofBroken, match="below 3"):
        check_inclusion(LEAVES[0], index, size, (), bytes(32))
    with pytest.raises(ValueError, match="from 4 on"):
        prove_consistency(WHOLE, 4, 3)
