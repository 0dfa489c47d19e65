"""Documents name tests as evidence: each of them exists, and each line without one is listed."""

from __future__ import annotations

import re

import pytest

from tests.architecture.sources import ROOT

DOCUMENT = (ROOT / "docs/threat-model.md").read_text("utf-8")
EVIDENCE = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md")))
NAMED = sorted(set(re.findall(r"`(tests/[a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`", EVIDENCE)))


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_named_as_evidence_exists(path: str, name: str) -> None:
    assert re.search(rf"def {name}\(", (ROOT / path).read_text("utf-8"))


def test_every_line_without_evidence_is_listed_at_the_end() -> None:
    table, _, listed = DOCUMENT.partition("## Lines that no test shows yet")
    rows = re.findall(r"^\| ([LN]\d+) \|.*\|.*\|(.*)\|$", table, re.MULTILINE)
    bare = {row for row, shown in rows if "no test yet" in shown}

    assert {row for row, shown in rows if "::test_" not in shown} <= bare
    assert bare == set(re.findall(r"\b[LN]\d+\b", listed))
