"""The research part of an agreement: read as written, said to people whole, looked at by the linter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import tomli_w

from elsewhere.agreement.diff import find_changes
from elsewhere.agreement.document import (
    agreement_from_toml,
    find_faults,
    open_agreement,
    sign_agreement,
)
from elsewhere.agreement.lint import find_warnings
from elsewhere.agreement.render.documents import render
from elsewhere.agreement.render.full import agreement_page
from elsewhere.agreement.studies import Display, HeldTable, Research
from elsewhere.agreement.template import starting_agreement
from elsewhere.agreement.terms import Agreement, Party, Validity
from elsewhere.errors import DocumentInvalid
from elsewhere.fields import Fields
from tests.partnership import first_roster, keys_of
from tests.unit.node import study_world as world
from tests.unit.node.study_world import NOW, research

VALIDITY = Validity(NOW - timedelta(days=1), NOW + timedelta(days=400), NOW + timedelta(days=300))
PARTIES = [
    Party("social", "Northshire Council", "SOCIAL_CARE", "01632 960001", "01632 960002"),
    Party("schools", "Northshire Schools", "SCHOOL", "01632 960003", "01632 960004"),
    Party("police", "Northshire Police", "POLICE", "01632 960005", "01632 960006"),
    Party("hospital", "Northshire Hospitals", "NHS_TRUST", "01632 960007", "01632 960008"),
]
PART = world.research()
ROSTER = first_roster(issued=NOW - timedelta(days=1), until=NOW + timedelta(days=90))
ALL, SOME = ("hospital", "police", "schools", "social"), ("hospital", "schools", "social")
CONTACT = HeldTable("contact", ALL)
BASE = starting_agreement(id="northshire", title="Sharing", validity=VALIDITY, parties=PARTIES)


def text_of(part: Research) -> str:
    """An agreement as people write it, with this part."""
    return BASE + "\n" + tomli_w.dumps({"research": part.to_json()})


def agreed(**changes: Any) -> Agreement:
    return agreement_from_toml(text_of(research(**changes)))


def test_it_is_the_same_after_writing_and_reading_it_as_toml_and_as_signed() -> None:
    agreement = world.agreement_of(PART)

    by_hand = agreement_from_toml(tomli_w.dumps(agreement.to_json()))
    signed = open_agreement(sign_agreement(keys_of(ROSTER), agreement), ROSTER)

    assert by_hand.research == signed.research == PART
    assert by_hand.digest == signed.digest == agreement.digest


def test_an_agreement_without_it_is_signed_as_it_ever_was() -> None:
    bare = agreement_from_toml(BASE)

    assert bare.research is None
    assert "research" not in bare.to_json()
    assert bare.digest != agreed().digest


def reread(part: Research) -> Research:
    return Research.from_fields(Fields(part.to_json(), "research"))


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
        lambda part: replace(part, why="few move"),
        lambda part: replace(
            part, tables=(HeldTable("referral", ("social", "schools"), 1, 2, "few move"), part.tables[1])
        ),
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
    "more than hold it": (
        "min_holders",
        lambda p: replace(p, tables=(HeldTable("referral", ("social",), min_holders=2),)),
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
    "a period that gives back what was spent each month": (
        "period_days",
        lambda p: replace(p, period_days=29),
    ),
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


def test_every_fault_of_it_is_found_at_once_with_its_line() -> None:
    text = text_of(research()).replace('id = "referral"', 'id = "referal"').replace('id = "ben"', 'id = "B"')

    faults = find_faults(text)

    assert {fault.key for fault in faults} == {"research.tables[1].id", "research.researchers[2].id"}
    assert all(fault.line for fault in faults)


FIELDS: dict[str, Callable[[Research], Research]] = {
    "K": lambda r: replace(r, most_agencies=3),
    "c": lambda r: replace(r, colluding=2),
    "node cap": lambda r: replace(r, node_cap_nrho=5),
    "period": lambda r: replace(r, period_days=30),
    "why": lambda r: replace(r, why="a register of all members says so"),
    "holders in a total": lambda r: replace(
        r, tables=(HeldTable("referral", ("social", "schools"), min_holders=2), *r.tables[1:])
    ),
    "why so few": lambda r: replace(
        r, tables=(replace(r.tables[0], why="nobody moves between them"), *r.tables[1:])
    ),
    "holders": lambda r: replace(r, tables=(HeldTable("referral", ("police",)), *r.tables[1:])),
    "k": lambda r: replace(r, tables=(HeldTable("referral", ("social", "schools"), 1), *r.tables[1:])),
    "key": lambda r: replace(r, researchers=(replace(r.researchers[0], key=b"k" * 32), *r.researchers[1:])),
    "organisation": lambda r: replace(
        r, researchers=(replace(r.researchers[0], organisation="Elsewhere"), *r.researchers[1:])
    ),
}
OF_PROJECT: dict[str, Any] = {
    "title": "Another",
    "purpose": "SERVICE_PLANNING",
    "bases": ("A6E_TASK",),
    "people": ("ben",),
    "tables": ("contact",),
    "setting": "elsewhere",
    "data": "less",
    "output": "none",
    "cap_nrho": 1_999_999_999,
    "researcher_cap_nrho": 5,
    "floor_nrho": 5,
    "min_roster": 4,
    "valid_from": NOW,
    "valid_until": NOW + timedelta(days=5),
    "participants": ("social", "schools", "police"),
    "display": Display(1, 1),
    "state": "closed",
}


def of_project(part: Research, name: str) -> Research:
    """The part with another value in one field of its project."""
    return replace(part, projects=(replace(part.projects[0], **{name: OF_PROJECT[name]}),))


FIELDS |= {name: partial(of_project, name=name) for name in OF_PROJECT}


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_is_signed_said_and_compared(name: str) -> None:
    old = agreed()

    new = replace(old, research=FIELDS[name](research()))

    assert new.digest != old.digest
    assert agreement_page(new).markdown() != agreement_page(old).markdown()
    assert any("research" in one.clause for one in find_changes(old, new))


def test_every_document_speaks_of_it_and_names_its_clause() -> None:
    said, bare = (render(one, None, NOW) for one in (agreed(), agreement_from_toml(BASE)))

    for name in said.keys() - {"changes"}:
        assert len(said[name].markdown()) > len(bare[name].markdown()), name
        assert "(research" in said[name].markdown(), name


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"min_roster": 5}, "research.few"),
        ({"colluding": 3}, "research.few"),
        ({"most_agencies": 1}, "research.holders"),
        ({"valid_until": NOW + timedelta(days=900)}, "research.dates"),
        ({"node_cap_nrho": 1_000_000_001}, "research.much"),
        ({"floor_nrho": 500_000_001}, "research.floor"),
        ({"people": ("ana",)}, "research.idle"),
        ({"node_cap_nrho": 5}, "research.caps"),
        ({"held": (HeldTable("referral", ("social", "schools")), CONTACT)}, "research.unanswered"),
        (
            {"held": (HeldTable("referral", ("social", "schools", "police")), CONTACT), "participants": SOME},
            "research.unanswered",
        ),
        ({}, "research.alone"),
        ({"held": (HeldTable("referral", ("social", "schools", "police"), 0, 2), CONTACT)}, "research.alone"),
        ({}, "research.why"),
        ({"held": (HeldTable("referral", ALL, 2), CONTACT)}, "research.why"),
        ({"colluding": 1, "held": (HeldTable("referral", ALL), CONTACT)}, "research.why"),
    ],
)
def test_what_its_writers_may_not_have_meant_is_named(changes: dict[str, Any], code: str) -> None:
    text = text_of(research(**changes))

    found = {one.code: one.line for one in find_warnings(agreement_from_toml(text), NOW, text)}

    assert found[code]


def test_a_project_that_is_over_or_leaves_out_a_holder_is_named() -> None:
    over = replace(research().projects[0], participants=("police", "social", "hospital"))
    found = replace(agreed(), research=replace(research(), projects=(over,)))

    codes = {one.code for one in find_warnings(found, NOW + timedelta(days=301))}

    assert {"research.absent", "research.ended"} <= codes


def test_numbers_that_are_safe_and_reasoned_are_not_named() -> None:
    tables = (HeldTable("referral", ALL, 2, why="no child is moved twice in a year"), CONTACT)
    part = research(
        held=tables, most_agencies=4, colluding=2, why="two share a county", people=("ana", "ben")
    )
    part = replace(part, node_cap_nrho=10**9, projects=(replace(part.projects[0], cap_nrho=10**9),))

    assert [
        one for one in find_warnings(agreement_from_toml(text_of(part)), NOW) if "research" in one.code
    ] == []


def test_fewer_colluding_than_is_usual_for_so_many_parties_is_named() -> None:
    found = replace(
        agreed(colluding=1),
        parties=(*PARTIES, *(replace(PARTIES[0], agency_id=f"more-{n}") for n in range(2))),
    )

    for colluding, is_named in ((1, True), (2, False)):
        said = replace(found, research=research(colluding=colluding))
        assert ("research.colluding" in {one.code for one in find_warnings(said, NOW)}) is is_named
