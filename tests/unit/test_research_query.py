"""Every term of a query is made again by whoever checks it; one that differs is refused by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from elsewhere.clock import CLOCK_TOLERANCE
from elsewhere.errors import DocumentInvalid, ElsewhereError, SignatureInvalid
from elsewhere.fields import Fields
from elsewhere.research.builder import Draft
from elsewhere.research.errors import TermsRefused
from elsewhere.research.query import (
    MAX_LIFE,
    MAX_SIGMA_MICRO,
    Asking,
    Query,
    check_terms,
    make_query,
    open_query,
    query_id,
    sign_query,
)
from elsewhere.roster import Member, Roster
from elsewhere.signing import SigningKey
from tests.partnership import first_roster
from tests.unit.node import study_world as world

NOW = world.NOW
QUESTION = Draft("referral", 2025).where(nfa="N").group_by("need").count()


def member(name: str, *, operator: str = "", state: str = "active") -> Member:
    return Member(
        name,
        name.title(),
        "POLICE",
        operator or name,
        state,
        SigningKey(name.encode().ljust(32, b".")).public,
    )


def roster_of(*members: Member) -> Roster:
    return first_roster(*members, issued=NOW - timedelta(days=1), until=NOW + timedelta(days=90))


AGREEMENT = world.agreement_of(world.research())
ROSTER = roster_of(*(member(name) for name in world.NAMES))


def query(**changes: Any) -> Query:
    asking = Asking("early-help", "ana", 12_000_000, b"n" * 16, NOW + timedelta(minutes=30))
    return replace(make_query(QUESTION, asking, AGREEMENT, ROSTER), **changes)


def code_of(asked: Query, **changes: Any) -> str:
    """What checking it says; empty if it may be asked."""
    terms = {"agreement": AGREEMENT, "roster": ROSTER, "now": NOW, **changes}
    try:
        check_terms(asked, terms["agreement"], terms["roster"], now=terms["now"])
    except ElsewhereError as error:
        return error.code
    return ""


# Each term, a lie in it, and what is said; terms that a researcher is free in are named below.
LIES: dict[str, tuple[Any, str]] = {
    "question": (Draft("referral", 2025).group_by("source").count(), "width"),
    "dictionary": ("0", "dictionary"),
    "participants": (("hospital", "police", "social"), "participants"),
    "width": (11, "width"),
    "clamp": (1, "clamp"),
    "sensitivity_squared": (1, "sensitivity_squared"),
    "holders": (1, "holders"),
    "most_agencies": (1, "most_agencies"),
    "colluding": (2, "colluding"),
    "floor_nrho": (1, "floor_nrho"),
    "min_roster": (2, "min_roster"),
}
DOCUMENTS: dict[str, tuple[Any, str]] = {
    "roster": (bytes(32), "refused.roster_version"),
    "agreement": (bytes(32), "refused.agreement"),
    "project": ("another", "refused.project"),
}
# `researcher` decides which key must have signed; `expires_utc` is held by the clock, `version` on reading.
FREE = {"version", "researcher", "sigma_micro", "nonce", "expires_utc"}


def test_an_honest_query_may_be_asked() -> None:
    assert code_of(query()) == ""


def test_every_term_that_is_signed_is_tried_here() -> None:
    assert set(query().to_json()) == LIES.keys() | DOCUMENTS.keys() | FREE


@pytest.mark.parametrize("term", LIES)
def test_a_lie_in_a_term_is_refused_and_the_term_named(term: str) -> None:
    value, said = LIES[term]

    with pytest.raises(TermsRefused) as refused:
        check_terms(query(**{term: value}), AGREEMENT, ROSTER, now=NOW)

    assert refused.value.term == said


@pytest.mark.parametrize("term", DOCUMENTS)
def test_another_document_or_project_is_refused(term: str) -> None:
    value, code = DOCUMENTS[term]

    assert code_of(query(**{term: value})) == code


@pytest.mark.parametrize("sigma", [0, -1, MAX_SIGMA_MICRO + 1])
def test_noise_out_of_bounds_is_no_query(sigma: int) -> None:
    with pytest.raises(DocumentInvalid, match="sigma_micro"):
        query(sigma_micro=sigma)
    with pytest.raises(DocumentInvalid, match="sigma_micro"):
        Query.from_fields(Fields({**query().to_json(), "sigma_micro": sigma}))


def test_another_version_of_the_protocol_is_no_query() -> None:
    with pytest.raises(DocumentInvalid, match="version"):
        Query.from_fields(Fields({**query().to_json(), "version": 2}))


@pytest.mark.parametrize(
    ("left", "code"),
    [
        (timedelta(seconds=-1), "refused.expired"),
        (timedelta(), "refused.expired"),
        (timedelta(seconds=1), ""),
        (MAX_LIFE + CLOCK_TOLERANCE, ""),
        (MAX_LIFE + CLOCK_TOLERANCE + timedelta(seconds=1), "refused.expired"),
    ],
)
def test_a_query_lives_until_it_runs_out_and_for_an_hour_at_most(left: timedelta, code: str) -> None:
    assert code_of(query(expires_utc=NOW + left)) == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"state": "closed"}, "refused.project"),
        ({"valid_from": NOW + timedelta(seconds=1)}, "refused.project"),
        ({"valid_until": NOW}, "refused.project"),
        ({"tables": ("contact",)}, "refused.table"),
    ],
)
def test_a_project_that_may_not_ask_now_is_refused(changes: dict[str, Any], code: str) -> None:
    part = world.research()
    project = replace(part.projects[0], **changes)
    other = world.agreement_of(replace(part, projects=(project,)))

    assert code_of(query(agreement=other.digest), agreement=other) == code


def test_an_agreement_without_research_or_out_of_force_is_refused() -> None:
    none = world.agreement_of(None)

    assert code_of(query(agreement=none.digest), agreement=none) == "refused.agreement"
    assert code_of(query(), now=AGREEMENT.validity.valid_until) == "refused.agreement"
    assert code_of(query(), now=AGREEMENT.validity.valid_from - timedelta(seconds=1)) == "refused.agreement"


def test_a_member_that_has_left_takes_no_part() -> None:
    fewer = roster_of(*(member(n, state="suspended" if n == "police" else "active") for n in world.NAMES))

    asking = Asking("early-help", "ana", 12_000_000, b"n" * 16, NOW + timedelta(minutes=30))

    assert make_query(QUESTION, asking, AGREEMENT, fewer).participants == ("hospital", "schools", "social")


@pytest.mark.parametrize(("operators", "expected"), [(2, 1), (5, 1), (6, 2), (8, 2), (9, 3), (12, 4)])
def test_who_may_collude_follows_from_the_operators_and_not_from_their_nodes(
    operators: int, expected: int
) -> None:
    nodes = [member(f"node-{n}", operator=f"operator-{n % operators}") for n in range(12)]

    assert world.research().collude(roster_of(*nodes)) == expected
    assert world.research(colluding=5).collude(roster_of(*nodes)) == 5


def test_a_query_that_is_signed_and_opened_is_the_same_and_has_one_id() -> None:
    envelope = sign_query(world.RESEARCHER, query())

    found, qid = open_query(envelope, AGREEMENT)

    assert found == query()
    assert qid == query_id(envelope)
    assert query_id(sign_query(world.RESEARCHER, query(nonce=b"m" * 16))) != qid


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"researcher": "ben"}, "refused.researcher"),  # listed, but not of the project
        ({"researcher": "cleo"}, "refused.researcher"),
        ({"project": "another"}, "refused.project"),
    ],
)
def test_who_is_not_of_the_project_opens_nothing(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(ElsewhereError) as refused:
        open_query(sign_query(world.RESEARCHER, query(**changes)), AGREEMENT)

    assert refused.value.code == code


def test_a_query_that_another_has_signed_opens_nothing() -> None:
    with pytest.raises(SignatureInvalid):
        open_query(sign_query(SigningKey(b"b" * 32), query()), AGREEMENT)
