"""The dictionary is what the design lists: clamps, keys and bounds, held here a second time."""

from __future__ import annotations

from datetime import date

import pytest

from elsewhere.research.dictionary import Kind, dictionary
from elsewhere.research.errors import QuestionInvalid

CLAMPS = {
    "person": 1,
    "contact": 12,
    "referral": 4,
    "assessment": 3,
    "s47": 3,
    "cp_plan": 2,
    "cla_episode": 6,
    "missing": 12,
    "attendance": 1,
    "ed_attendance": 8,
    "missed_appt": 8,
    "police_event": 8,
    "youth_justice": 4,
    "housing": 3,
    "engagement": 12,
}
KEYS = {
    ("contact", "month"): 12,
    ("contact", "source"): 22,
    ("contact", "outcome"): 10,
    ("referral", "source"): 22,
    ("referral", "need"): 10,
    ("referral", "closure"): 10,
    ("assessment", "factors"): 42,
    ("cla_episode", "legal"): 13,
    ("cla_episode", "placement"): 8,
    ("police_event", "risk"): 6,
    ("person", "age_band"): 7,
    ("person", "eth7"): 7,
    ("person", "imd"): 6,
}
BOUNDS = {
    ("assessment", "days"): (0, 120),
    ("s47", "days_to_icpc"): (0, 60),
    ("cp_plan", "previous"): (0, 5),
    ("cp_plan", "days"): (0, 1095),
    ("cla_episode", "days"): (0, 365),
    ("missing", "hours"): (0, 720),
    ("attendance", "sessions"): (0, 400),
    ("attendance", "absence_pct"): (0, 100),
    ("attendance", "suspensions"): (0, 20),
    ("attendance", "moves"): (0, 5),
}


def test_every_table_has_its_clamp() -> None:
    assert {name: table.clamp for name, table in dictionary().tables.items()} == CLAMPS


def test_keys_are_as_many_as_listed_and_different() -> None:
    found = {place: dictionary().tables[place[0]].columns[place[1]].keys for place in KEYS}

    assert {place: len(keys) for place, keys in found.items()} == KEYS
    for table in dictionary().tables.values():
        for column in table.columns.values():
            assert len(set(column.keys)) == len(column.keys), (table.id, column.id)


def test_numbers_have_the_bounds_listed_and_no_others_are_numbers() -> None:
    found = {
        (table.id, column.id): (column.low, column.high)
        for table in dictionary().tables.values()
        for column in table.columns.values()
        if column.kind is Kind.NUMBER
    }

    assert found == BOUNDS


def test_columns_of_the_child_are_columns_of_every_table() -> None:
    person = dictionary().person

    assert person == ("age_band", "sex", "eth7", "imd", "disability", "send")
    assert all(set(person) <= set(table.columns) for table in dictionary().tables.values())


def test_only_factors_have_several_keys_and_ten_of_them_count() -> None:
    several = [
        (table.id, column.id, column.most)
        for table in dictionary().tables.values()
        for column in table.columns.values()
        if column.kind is Kind.MULTI
    ]

    assert several == [("assessment", "factors", 10)]


def test_small_areas_schools_practices_and_dates_are_no_columns() -> None:
    named = {name for table in dictionary().tables.values() for name in table.columns}

    assert not named & {"lsoa", "school", "gp", "practice", "date", "day", "agency", "postcode"}


def test_a_year_has_its_first_day_and_ends_before_the_next() -> None:
    tables = dictionary().tables

    assert tables["referral"].year(2025) == (date(2025, 1, 1), date(2026, 1, 1))
    assert tables["attendance"].year(2025) == (date(2025, 9, 1), date(2026, 9, 1))


def test_what_is_not_in_it_is_refused_with_what_is() -> None:
    with pytest.raises(QuestionInvalid, match="referral"):
        dictionary().table("referrals")
    with pytest.raises(QuestionInvalid, match="rereferral_12m"):
        dictionary().table("referral").column("postcode")
