"""The edge of a log: its root and the proof of each newest leaf are those of the whole tree."""

from __future__ import annotations

import pytest

from elsewhere.transparency.errors import ProofBroken
from elsewhere.transparency.frontier import Frontier
from elsewhere.transparency.merkle import check_inclusion, leaf_hash
from tests.unit.test_merkle import plain_root

LEAVES = tuple(leaf_hash(str(number).encode()) for number in range(130))


def grown(size: int) -> Frontier:
    found = Frontier()
    for leaf in LEAVES[:size]:
        found = found.append(leaf)
    return found


@pytest.mark.parametrize("size", range(131))
def test_the_root_is_that_of_the_whole_tree(size: int) -> None:
    assert grown(size).root == plain_root(LEAVES[:size])


@pytest.mark.parametrize("index", [*range(40), 63, 64, 65, 127, 128, 129])
def test_each_newest_leaf_is_proved_by_the_edge_before_it(index: int) -> None:
    before = grown(index)
    after = before.append(LEAVES[index])
    check_inclusion(LEAVES[index], index, after.size, before.path_of_next, after.root)
    with pytest.raises(ProofBroken):
        check_inclusion(leaf_hash(b"other"), index, after.size, before.path_of_next, after.root)


@pytest.mark.parametrize("size", [0, 1, 6, 127])
def test_an_edge_comes_back_from_its_bytes(size: int) -> None:
    assert Frontier.from_bytes(size, grown(size).to_bytes()) == grown(size)


@pytest.mark.parametrize(
    ("size", "data"), [(0, bytes(32)), (3, bytes(32)), (1, b""), (1, bytes(31)), (-1, b"")]
)
def test_bytes_that_are_no_edge_are_refused(size: int, data: bytes) -> None:
    with pytest.raises(ValueError, match="expected"):
        Frontier.from_bytes(size, data)
