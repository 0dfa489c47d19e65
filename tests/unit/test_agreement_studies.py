"""What an agreement says of research: read as TOML and as signed, refused where it contradicts itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import tomli_w

from elsewhere.agreement.document import agreement_from_toml, open_agreement, sign_agreement
from elsewhere.agreement.studies import HeldTable, Research
from elsewhere.agreement.terms import Agreement
from elsewhere.errors import DocumentInvalid
from elsewhere.fields import Fields
from tests.partnership import first_roster, keys_of
from tests.unit.node import study_world as world

PART = world.research()
ROSTER = first_roster(issued=world.NOW - timedelta(days=1), until=world.NOW + timedelta(days=90))


def reread(part: Research) -> Research:
    return Research.from_fields(Fields(part.to_json(), "research"))


def test_it_is_the_same_after_writing_and_reading_it_as_toml_and_as_signed() -> None:
    agreement = world.agreement_of(PART)

    by_hand = agreement_from_toml(tomli_w.dumps(agreement.to_json()))
    signed = open_agreement(sign_agreement(keys_of(ROSTER), agreement), ROSTER)

    assert by_hand.research == signed.research == PART
    assert by_hand.digest == signed.digest == agreement.digest


def test_what_is_usual_need_not_be_written() -> None:
    entry: Any = PART.projects[0].to_json()
    for name in ("round_to", "suppress_under", "state"):
        del entry[name]
    whole: Any = {**PART.to_json(), "projects": [entry]}

    found = Research.from_fields(Fields(whole, "research"))

    assert found == PART
    assert (found.projects[0].display.round_to, found.projects[0].display.suppress_under) == (5, 10)


@pytest.mark.parametrize(
    "change",
    [
        lambda part: replace(part, colluding=3),
        lambda part: replace(part, tables=(HeldTable("referral", ("social", "schools"), 1), part.tables[1])),
        lambda part: replace(part, projects=(replace(part.projects[0], participants=("police", "social")),)),
        lambda part: replace(part, projects=(replace(part.projects[0], state="closed"),)),
        lambda part: replace(part, projects=()),
    ],
)
def test_whatever_is_agreed_is_read_back(change: Callable[[Research], Research]) -> None:
    part = change(PART)

    assert reread(part) == part
    assert part != PART


def test_k_is_every_holder_unless_less_is_agreed() -> None:
    assert HeldTable("referral", ("a", "b", "c")).k == 3
    assert HeldTable("referral", ("a", "b", "c"), of_one_child=2).k == 2


def project(part: Research, **changes: Any) -> Research:
    return replace(part, projects=(replace(part.projects[0], **changes),))


REFUSED: dict[str, tuple[str, Callable[[Research], Agreement | Research]]] = {
    "a table of no dictionary": ("id", lambda p: replace(p, tables=(HeldTable("postcodes", ("social",)),))),
    "a table nobody holds": ("holders", lambda p: replace(p, tables=(HeldTable("referral", ()),))),
    "k beyond holders": (
        "of_one_child",
        lambda p: replace(p, tables=(HeldTable("referral", ("social",), 2),)),
    ),
    "a holder who is no party": (
        "research.tables[1].holders",
        lambda p: world.agreement_of(replace(p, tables=(HeldTable("referral", ("stranger",)), p.tables[1]))),
    ),
    "a participant who is no party": (
        "research.projects[1].participants",
        lambda p: world.agreement_of(project(p, participants=("stranger",))),
    ),
    "a project of nobody": ("people", lambda p: project(p, people=())),
    "a project of a stranger": ("projects[1].people", lambda p: project(p, people=("cleo",))),
    "a table that is not listed": ("projects[1].tables", lambda p: project(p, tables=("housing",))),
    "more for one than for all": (
        "projects[1].researcher_cap_nrho",
        lambda p: project(p, researcher_cap_nrho=p.projects[0].cap_nrho + 1),
    ),
    "a purpose about children": ("purpose", lambda p: project(p, purpose="S47_ENQUIRY")),
    "no basis": ("bases", lambda p: project(p, bases=())),
    "a basis of no vocabulary": ("bases", lambda p: project(p, bases=("A6X_BECAUSE",))),
    "an end before the start": ("valid_until", lambda p: project(p, valid_until=p.projects[0].valid_from)),
    "a roster of one": ("min_roster", lambda p: project(p, min_roster=1)),
    "no budget": ("cap_nrho", lambda p: project(p, cap_nrho=0, researcher_cap_nrho=0)),
    "a share that may say all": ("floor_nrho", lambda p: project(p, floor_nrho=10**13)),
    "a state that is none": ("state", lambda p: project(p, state="paused")),
    "two projects of one id": ("projects", lambda p: replace(p, projects=p.projects * 2)),
    "two people of one id": ("researchers", lambda p: replace(p, researchers=(p.researchers[0],) * 2)),
    "two people of one key": (
        "researchers",
        lambda p: replace(
            p, researchers=(p.researchers[0], replace(p.researchers[1], key=p.researchers[0].key))
        ),
    ),
    "nobody who colludes": ("colluding", lambda p: replace(p, colluding=0)),
    "no period": ("period_days", lambda p: replace(p, period_days=0)),
    "no agency": ("most_agencies", lambda p: replace(p, most_agencies=0)),
    "no cap": ("node_cap_nrho", lambda p: replace(p, node_cap_nrho=0)),
}


@pytest.mark.parametrize("claim", REFUSED)
def test_what_contradicts_itself_is_refused_with_its_key(claim: str) -> None:
    key, change = REFUSED[claim]

    with pytest.raises(DocumentInvalid) as refused:
        change(PART)

    assert refused.value.key == key


def test_a_key_that_nobody_knows_is_refused() -> None:
    with pytest.raises(DocumentInvalid, match="epsilon"):
        Research.from_fields(Fields({**PART.to_json(), "epsilon": 1}, "research"))
