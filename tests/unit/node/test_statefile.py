"""Whatever is in the files in which a node keeps where it is, a stable error says what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from node.errors import StateDamaged
from node.keys.orders import ORDER_FILE, Order, read_order
from node.storemark import FILE_NAME, StoreMark, read_mark, write_mark

MARK = StoreMark(7, "ab" * 32, ("cases",), {"cases": 3})
ORDER = b'{"epochs": [["involvement", 2], ["protected", 2]], "overlap_s": 60.0, "ordered_ms": 1000}'
ANYWHERE = [b"", b"{", b"[]", b"7", b"null", b"{}", b"\xff\xfe", b"[" * 60_000, b" " * 70_000, b"9" * 5000]


@pytest.mark.parametrize(
    "content",
    [
        *ANYWHERE,
        b'{"entry": true, "digest": "", "sources": []}',
        b'{"entry": -1, "digest": "", "sources": []}',
        b'{"entry": 1e999, "digest": "", "sources": []}',
        b'{"entry": 7, "digest": "", "sources": []}',
        b'{"entry": 0, "digest": 5, "sources": []}',
        b'{"entry": 0, "digest": "", "sources": 1}',
        b'{"entry": 0, "digest": "", "sources": [1]}',
        b'{"entry": 0, "digest": "", "awaited": ["cases"]}',
        b'{"entry": 0, "digest": "", "awaited": {"cases": -1}}',
    ],
)
def test_a_damaged_mark_is_told_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(StateDamaged, match="remove the file"):
        read_mark(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        *ANYWHERE,
        ORDER.replace(b"2]", b"0]"),
        ORDER.replace(b"2]", b'"2"]'),
        ORDER.replace(b"protected", b"other"),
        ORDER.replace(b"60.0", b"NaN"),
        ORDER.replace(b"60.0", b"Infinity"),
        ORDER.replace(b"60.0", b"-1"),
        ORDER.replace(b"60.0", b'"60"'),
        ORDER.replace(b"1000", b"1" * 40),
    ],
)
def test_a_damaged_order_is_told_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ORDER_FILE).write_bytes(content)
    with pytest.raises(StateDamaged, match="Remove the file"):
        read_order(tmp_path)


def test_what_a_node_wrote_is_read_and_no_file_is_no_error(tmp_path: Path) -> None:
    assert read_mark(tmp_path) == StoreMark()
    assert read_order(tmp_path) is None
    for mark in (MARK, StoreMark(0, "", ("cases",))):
        write_mark(tmp_path, mark)
        assert read_mark(tmp_path) == mark
    (tmp_path / ORDER_FILE).write_bytes(ORDER)
    epochs = frozenset({("involvement", 2), ("protected", 2)})
    assert read_order(tmp_path) == Order(epochs, timedelta(minutes=1), datetime.fromtimestamp(1, UTC))
