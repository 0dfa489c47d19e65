"""Revisions of a store's tables are one chain: two that were made side by side do not take one number."""

from __future__ import annotations

import re

import pytest

import gateway.store
import node.store.schema
from elsewhere.database.revisions import Schema


@pytest.mark.parametrize("schema", [node.store.schema.SCHEMA, gateway.store.SCHEMA], ids=lambda s: s.whose)
def test_revisions_are_numbered_one_by_one_up_to_the_newest(schema: Schema) -> None:
    names = sorted(path.name for path in schema.folder.glob("r*.py"))
    numbers = [
        re.findall(r'^(?:down_)?revision.* = (?:"(\d{4})"|None)', text, re.M)
        for text in ((schema.folder / name).read_text("utf-8") for name in names)
    ]

    expected = [f"{number:04}" for number in range(1, len(names) + 1)]
    assert [name[1:5] for name in names] == expected
    assert numbers == [[one, before] for one, before in zip(expected, ["", *expected], strict=False)]
    assert schema.head == expected[-1]
