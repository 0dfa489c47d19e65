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
from elsewhere.agreement.document import agreement_from_json, agreement_from_toml, find_faults
from elsewhere.agreement.lint import find_warnings
from elsewhere.agreement.render.documents import render
from elsewhere.agreement.render.full import agreement_page
from elsewhere.agreement.studies import Display, HeldTable, Research
from elsewhere.agreement.template import starting_agreement
from elsewhere.agreement.terms import Agreement, Party, Validity
from elsewhere.errors import DocumentInvalid
from tests.unit.node.study_world import NOW, research

VALIDITY = Validity(NOW - timedelta(days=1), NOW + timedelta(days=400), NOW + timedelta(days=300))
PARTIES = [
    Party("social", "Northshire Council", "SOCIAL_CARE", "01632 960001", "01632 960002"),
    Party("schools", "Northshire Schools", "SCHOOL", "01632 960003", "01632 960004"),
    Party("police", "Northshire Police", "POLICE", "01632 960005", "01632 960006"),
    Party("hospital", "Northshire Hospitals", "NHS_TRUST", "01632 960007", "01632 960008"),
]
BASE = starting_agreement(id="northshire", title="Sharing", validity=VALIDITY, parties=PARTIES)


def text_of(part: Research) -> str:
    """An agreement as people write it, with this part."""
    return BASE + "\n" + tomli_w.dumps({"research": part.to_json()})


def agreed(**changes: Any) -> Agreement:
    return agreement_from_toml(text_of(research(**changes)))


def test_it_is_read_as_it_was_written_and_signed_as_it_is_read() -> None:
    found = agreed()

    assert found.research == research()
    assert agreement_from_json(found.to_json()).digest == found.digest


def test_an_agreement_without_it_is_signed_as_it_ever_was() -> None:
    bare = agreement_from_toml(BASE)

    assert bare.research is None
    assert "research" not in bare.to_json()
    assert bare.digest != agreed().digest


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"people": ("zoe",)}, "people"),
        ({"researcher_cap_nrho": 3_000_000_000}, "researcher_cap_nrho"),
        ({"min_roster": 1}, "min_roster"),
        ({"bases": ("A6Z",)}, "bases"),
        ({"purpose": "S47_ENQUIRY"}, "purpose"),
        ({"state": "paused"}, "state"),
        ({"most_agencies": 0}, "most_agencies"),
        ({"period_days": 0}, "period_days"),
        ({"colluding": 0}, "colluding"),
    ],
)
def test_what_does_not_hold_is_refused_by_its_key(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(DocumentInvalid, match=key):
        agreed(**changes)


def test_a_holder_that_is_no_party_is_refused() -> None:
    part = replace(research(), tables=(HeldTable("referral", ("nobody",)), research().tables[1]))

    with pytest.raises(DocumentInvalid, match=r"research\.tables\[1\]\.holders"):
        agreement_from_toml(text_of(part))


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
