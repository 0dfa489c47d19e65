"""Whatever lets researchers spend more, ask more, or protects children less, is said to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from elsewhere.agreement.studies import HeldTable, Research, Researcher
from elsewhere.agreement.study_shifts import find_study_shifts
from tests.unit.node.study_world import research

TABLES = (
    HeldTable("referral", ("social", "schools"), min_holders=2),
    HeldTable("contact", ("social",), min_holders=1),
)
HELD = research(colluding=2, held=TABLES)
(PROJECT,) = HELD.projects


def project(**changes: Any) -> Research:
    """The part with its project otherwise."""
    return replace(HELD, projects=(replace(PROJECT, **changes),))


WIDER: dict[str, Callable[[], Research]] = {
    "node's cap": lambda: replace(HELD, node_cap_nrho=HELD.node_cap_nrho + 1),
    "shorter period": lambda: replace(HELD, period_days=HELD.period_days - 1),
    "smaller K": lambda: replace(HELD, most_agencies=1),
    "fewer colluding": lambda: replace(HELD, colluding=1),
    "smaller k": lambda: replace(HELD, tables=(replace(HELD.tables[0], of_one_child=1), HELD.tables[1])),
    "another holder": lambda: replace(
        HELD,
        tables=(HELD.tables[0], HeldTable("contact", ("social", "police"), of_one_child=1, min_holders=1)),
    ),
    "fewer holders": lambda: replace(HELD, tables=(replace(HELD.tables[0], min_holders=1), HELD.tables[1])),
    "another key": lambda: replace(
        HELD, researchers=(replace(HELD.researchers[0], key=bytes(32)), HELD.researchers[1])
    ),
    "project's cap": lambda: project(cap_nrho=PROJECT.cap_nrho + 1),
    "researcher's cap": lambda: project(researcher_cap_nrho=PROJECT.researcher_cap_nrho + 1),
    "floor": lambda: project(floor_nrho=PROJECT.floor_nrho + 1),
    "fewer operators": lambda: project(min_roster=PROJECT.min_roster - 1),
    "longer": lambda: project(valid_until=PROJECT.valid_until + timedelta(days=1)),
    "sooner": lambda: project(valid_from=PROJECT.valid_from - timedelta(days=1)),
    "another person": lambda: project(people=("ana", "ben")),
    "another project": lambda: replace(HELD, projects=(PROJECT, replace(PROJECT, id="another"))),
}


@pytest.mark.parametrize("what", WIDER)
def test_what_is_wider_is_said_to_be_and_its_contrary_is_not(what: str) -> None:
    other = WIDER[what]()

    there, back = find_study_shifts(HELD, other), find_study_shifts(other, HELD)

    assert there
    assert all(shift.is_wider for shift in there)
    assert back
    assert not any(shift.is_wider for shift in back) or what == "another key"


def test_a_project_that_opens_or_closes_is_said() -> None:
    closed = project(state="closed")

    assert [shift.is_wider for shift in find_study_shifts(closed, HELD)] == [True]
    assert [shift.is_wider for shift in find_study_shifts(HELD, closed)] == [False]
    assert [shift.text for shift in find_study_shifts(HELD, closed)] == [
        "project early-help, state: was open, is now closed"
    ]


def test_research_that_begins_or_ends_is_said_and_what_stays_is_not() -> None:
    assert all(shift.is_wider for shift in find_study_shifts(None, HELD))
    assert not any(shift.is_wider for shift in find_study_shifts(HELD, None))
    assert find_study_shifts(HELD, research(colluding=2, held=TABLES)) == find_study_shifts(None, None) == ()


def test_amounts_are_said_in_rho_and_keys_without_what_is_to_be_heard() -> None:
    dearer = project(cap_nrho=6 * 10**9)
    ana = HELD.researchers[0]
    other = Researcher(ana.id, ana.name, ana.organisation, bytes(32))

    assert [shift.text for shift in find_study_shifts(HELD, dearer)] == [
        "project early-help, all its studies: was rho 2, is now rho 6"
    ]
    (key,) = find_study_shifts(HELD, replace(HELD, researchers=(other, *HELD.researchers[1:])))
    assert ana.key.hex() in key.text
    assert not any(one.fingerprint in key.text for one in (ana, other)), "that is to be heard"
