"""The minimum answer: what each tier says, and what is never said."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from elsewhere.lookup import Answer, AnswerState, Contact, Flag
from elsewhere.matching import Verdict, VerdictKind
from elsewhere.matchkeys import Strength
from node.answering.answer import compose
from node.caseload.child import Child
from node.caseload.index import SourceState

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
MATCH = Verdict(VerdictKind.MATCH, (7,), Strength.STRONG, "strong")
NONE: Verdict[int] = Verdict(VerdictKind.NONE, (), None, "none")
POSSIBLE = Verdict(VerdictKind.POSSIBLE, (7,), Strength.WEAK, "weak")
PLAN = Flag("CP_PLAN", "2026-01-05")
OLD_PLAN = Flag("CIN_PLAN", "2024-01-05", "2024-06-05")


def _sources(**age_days: int) -> dict[str, SourceState]:
    def state(name: str, days: int) -> SourceState:
        read = int((NOW - timedelta(days=days)).timestamp())
        return SourceState(name, read, read, max_age_days=7, rows=1, refused=0)

    return {name: state(name, days) for name, days in age_days.items()}


def _child(**changes: Any) -> Child:
    given: dict[str, Any] = {
        "is_current": True,
        "is_shielded": False,
        "service": "Front door",
        "in_hours": "0000 000 001",
        "out_of_hours": "0000 000 002",
        "last_contact": date(2026, 8, 30),
        "flags": (OLD_PLAN, PLAN),
        "sources": _sources(cases=2),
    }
    return Child(**given | changes)


def _answer(tier: str = "R3", verdict: Verdict[int] = MATCH, child: Child | None = None) -> Answer:
    return compose(verdict, child or _child(), _sources(cases=2), tier, NOW)


def test_r3_gives_contact_band_and_flags_those_still_running_first() -> None:
    answer = _answer()

    assert answer.state is AnswerState.KNOWN_CURRENT
    assert answer.contact == Contact("Front door", "0000 000 001", "0000 000 002")
    assert (answer.last_contact_band, answer.flags) == ("<7d", (PLAN, OLD_PLAN))


@pytest.mark.parametrize(("end", "is_running"), [(0, True), (30, True), (-1, False)])
def test_a_flag_runs_until_its_end_has_passed(end: int, is_running: bool) -> None:
    ending = Flag("LAC", "2026-01-05", (NOW.date() + timedelta(days=end)).isoformat())
    open_ended = Flag("UNBORN_PLAN", "2026-01-05")

    flags = _answer(child=_child(flags=(open_ended, ending))).flags

    assert flags == ((ending, open_ended) if is_running else (open_ended, ending))


def test_r2_gives_no_flags() -> None:
    assert _answer("R2").flags == ()
    assert _answer("R2").contact.service == "Front door"


def test_r1_says_that_the_child_is_known_and_nothing_else() -> None:
    answer = _answer("R1")

    assert answer == Answer(AnswerState.KNOWN, strength="STRONG", tier="R1", source_age_days=2)


@pytest.mark.parametrize("tier", ["", "R0", "R4"])
def test_any_other_tier_releases_nothing(tier: str) -> None:
    assert _answer(tier) == Answer(AnswerState.NOTHING_RETURNED)


def test_a_possible_match_says_call_and_nothing_of_the_record() -> None:
    expected = Answer(AnswerState.POSSIBLE, strength="WEAK", tier="R3", source_age_days=2)

    assert _answer(verdict=POSSIBLE) == expected


def test_a_location_shield_says_call_back_alone() -> None:
    expected = Answer(AnswerState.CALL_BACK, tier="R3", source_age_days=2)

    assert _answer(child=_child(is_shielded=True)) == expected


def test_a_child_no_longer_worked_with_is_known_in_the_past() -> None:
    assert _answer(child=_child(is_current=False)).state is AnswerState.KNOWN_PAST


@pytest.mark.parametrize(
    ("days", "band"),
    [
        (0, "<7d"),
        (6, "<7d"),
        (7, "<30d"),
        (29, "<30d"),
        (30, "<6m"),
        (182, "<6m"),
        (364, "<12m"),
        (365, ">12m"),
    ],
)
def test_the_last_contact_is_told_in_bands(days: int, band: str) -> None:
    child = _child(last_contact=NOW.date() - timedelta(days=days))

    assert _answer(child=child).last_contact_band == band


def test_no_recorded_contact_has_no_band() -> None:
    assert _answer(child=_child(last_contact=None)).last_contact_band == ""


@pytest.mark.parametrize("verdict", [NONE, POSSIBLE])
def test_every_answer_shows_the_oldest_source_also_one_with_nothing(verdict: Verdict[int]) -> None:
    answer = compose(verdict, None, _sources(cases=2, visits=9), "R3", NOW)

    assert (answer.source_age_days, answer.source_stale) == (9, True)


def test_an_answer_about_a_child_shows_the_sources_it_rests_on() -> None:
    answer = compose(MATCH, _child(), _sources(cases=2, visits=9), "R3", NOW)

    assert (answer.source_age_days, answer.source_stale) == (2, False)


def test_long_contacts_are_cut_to_what_a_reply_has_room_for() -> None:
    answer = _answer(child=_child(service="é" * 200, in_hours="é" * 200, out_of_hours="é" * 200))

    contact = answer.contact
    assert [len(x.encode()) for x in (contact.service, contact.in_hours)] <= [200, 100]
