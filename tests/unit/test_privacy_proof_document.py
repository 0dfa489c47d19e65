"""docs/privacy-proof.md: every step of the argument says what it assumes, and names tests that check it."""

from __future__ import annotations

import re

import pytest

from tests.architecture.sources import ROOT

DOCUMENT = (ROOT / "docs/privacy-proof.md").read_text("utf-8")
PARTS = re.split(r"^## ", DOCUMENT, flags=re.MULTILINE)[1:]
STEPS = [part for part in PARTS if part.startswith("Step ")]


def test_steps_are_numbered_without_a_gap() -> None:
    assert [int(step.split()[1].rstrip(".")) for step in STEPS] == list(range(1, len(STEPS) + 1))
    assert len(STEPS) > 5


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.splitlines()[0].split(". ")[0])
def test_a_step_has_its_argument_its_assumption_and_its_tests(step: str) -> None:
    argument, assumed, rest = step.partition("\n**Assumes:** ")
    assumption, checked, tests = rest.partition("\n**Checked by:**")

    assert assumed
    assert checked
    assert len(argument.split()) > 40
    assert len(assumption.split()) > 5
    # That each of them exists is checked with those of the other documents.
    assert re.fullmatch(r"\s(`tests/[a-z0-9_/]+\.py::test_[a-z0-9_]+`,?\s+)+", tests)


def test_a_part_that_is_no_step_names_its_limits() -> None:
    titles = [part.splitlines()[0] for part in PARTS if part not in STEPS]

    assert titles[0] == "What is claimed"
    assert titles[-1] == "What is not protected"
