"""The made-up people are no mirror of the match keys: neither side reads the other's tables or code."""

from __future__ import annotations

import re

import pytest

from tests.architecture.sources import ROOT, Source, imported_modules, sources

DEMO = sources("elsewhere/demo")
MATCHING = [
    s
    for s in sources("elsewhere")
    if s.module.startswith(
        ("elsewhere.person", "elsewhere.keyparts", "elsewhere.match", "elsewhere.grouping")
    )
]
# What matching reads, and what made-up people are drawn from.
MATCHING_TABLES = {"matchkeys.toml", "nicknames.toml", "words.toml"}
DEMO_TABLES = {"cultures.toml", "agencies.toml", "nicknames.tsv"}


def _id(source: Source) -> str:
    return source.path


def _tables(source: Source) -> set[str]:
    """The data files that a module names."""
    return set(re.findall(r"[\w-]+\.(?:toml|tsv)", source.text))


@pytest.mark.parametrize("source", DEMO, ids=_id)
def test_made_up_people_come_from_no_table_or_code_of_matching(source: Source) -> None:
    imported = {name for name in imported_modules(source) if name.startswith("elsewhere.")}
    allowed = ("elsewhere.demo", "elsewhere.oprf.group")  # the demonstration says which libsodium it runs on

    assert {name for name in imported if not name.startswith(allowed)} == set()
    assert _tables(source) & MATCHING_TABLES == set()


@pytest.mark.parametrize("source", MATCHING, ids=_id)
def test_matching_reads_no_table_of_the_made_up_people(source: Source) -> None:
    assert not any(name.startswith("elsewhere.demo") for name in imported_modules(source))
    assert _tables(source) & DEMO_TABLES == set()


def test_the_two_lists_of_nicknames_are_not_one_list() -> None:
    ours = _pairs((ROOT / "elsewhere/nicknames.toml").read_text("utf-8"), r'^  "(.+)",$')
    theirs = _pairs((ROOT / "elsewhere/demo/names/nicknames.tsv").read_text("utf-8"), r"^(.+)$")

    assert len(theirs - ours) > 0.3 * len(theirs)  # much that one holds, the other has never heard of
    assert len(ours - theirs) > 0.3 * len(ours)


def _pairs(text: str, line: str) -> set[tuple[str, str]]:
    """A name with each of the names in its line."""
    groups = (match.split() for match in re.findall(line, text, re.MULTILINE))
    return {(group[0], other) for group in groups for other in group[1:]}
