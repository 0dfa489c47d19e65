"""A gateway's copies of logs: what was signed binds them, and none is lost before another is in its place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from elsewhere.errors import StoreUnavailable
from elsewhere.transparency.checkpoint import Checkpoint
from elsewhere.transparency.errors import ProofBroken
from elsewhere.transparency.frontier import Frontier
from gateway.mirror import Mirror

QUOTA = 2**20
HASHES = [bytes([number]) * 32 for number in range(8)]


def stated(hashes: Sequence[bytes], origin: str = "northshire/police/log") -> Checkpoint:
    tree = Frontier()
    for one in hashes:
        tree = tree.append(one)
    return Checkpoint(origin, tree.size, tree.root)


def filled(root: Path, hashes: Sequence[bytes], origin: str = "northshire/police/log") -> Mirror:
    made = Mirror(root, QUOTA)
    made.append("police", 0, hashes, stated(hashes, origin), None)
    return made


def test_a_copy_that_was_cut_is_filled_again_with_what_was_signed_and_nothing_else(tmp_path: Path) -> None:
    made, newest = filled(tmp_path, HASHES[:6]), stated(HASHES[:6])
    leaves = max((tmp_path / "police").iterdir(), key=lambda path: path.stat().st_size)
    leaves.write_bytes(leaves.read_bytes()[: 4 * 32])
    assert made.held("police", newest) == 4

    other = [*HASHES[:4], *HASHES[6:], *HASHES[4:6], HASHES[0]]
    with pytest.raises(ProofBroken):
        made.append("police", 4, other[4:], stated(other), newest)
    made.append("police", 4, HASHES[4:], stated(HASHES), newest)
    assert made.held("police", stated(HASHES)) == 8


def test_a_copy_that_cannot_be_put_aside_stays_and_so_does_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        filled(tmp_path, HASHES[:number], f"log/{number}").put_aside("police", f"log/{number}")
        assert (tmp_path / "police.before" / "origin").read_text() == f"log/{number}"
    made = filled(tmp_path, HASHES[:3], "log/3")
    write, rename = Path.write_text, Path.rename

    def full(path: Path, *_: object) -> int:
        raise OSError(28, "no space")

    for name, kept in (("write_text", write), ("rename", rename)):
        monkeypatch.setattr(Path, name, full)
        with pytest.raises(StoreUnavailable):
            made.put_aside("police", "log/3")
        monkeypatch.setattr(Path, name, kept)
        assert (tmp_path / "police.before" / "origin").read_text() == "log/2"
        assert made.held("police", stated(HASHES[:3])) == 3
    made.put_aside("police", "log/3")
    assert (tmp_path / "police.before" / "origin").read_text() == "log/3"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["police.before"]
