"""The tables' revisions are one line, numbered in order, and the code works with the last one."""

from __future__ import annotations

import re

import pytest

from elsewhere.database.revisions import Schema, revisions
from gateway.store import SCHEMA as GATEWAY
from node.store.schema import SCHEMA as NODE


@pytest.mark.parametrize("schema", [NODE, GATEWAY], ids=lambda schema: schema.whose)
def test_revisions_are_one_line_that_ends_where_the_code_is(schema: Schema) -> None:
    files = sorted(path.name for path in schema.folder.glob("r*.py"))
    names = [f"{number:04}" for number in range(1, len(files) + 1)]

    assert [re.fullmatch(r"r(\d{4})_\w+\.py", name)[1] for name in files] == names  # type: ignore[index]
    line = revisions(schema)
    assert [one.name for one in line] == names
    assert [one.module.down_revision for one in line] == [None, *names[:-1]]
    assert schema.head == names[-1]
