"""Working days of England and Wales, against the dates that the government published."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from elsewhere.workdays import bank_holidays, end_of_next_working_day, is_working_day

# Source: gov.uk/bank-holidays, England and Wales.
PUBLISHED = {
    2024: ["01-01", "03-29", "04-01", "05-06", "05-27", "08-26", "12-25", "12-26"],
    2025: ["01-01", "04-18", "04-21", "05-05", "05-26", "08-25", "12-25", "12-26"],
    2026: ["01-01", "04-03", "04-06", "05-04", "05-25", "08-31", "12-25", "12-28"],
    2027: ["01-01", "03-26", "03-29", "05-03", "05-31", "08-30", "12-27", "12-28"],
    2028: ["01-03", "04-14", "04-17", "05-01", "05-29", "08-28", "12-25", "12-26"],
}


@pytest.mark.parametrize("year", PUBLISHED)
def test_bank_holidays_are_those_published(year: int) -> None:
    assert bank_holidays(year) == {date.fromisoformat(f"{year}-{day}") for day in PUBLISHED[year]}


@pytest.mark.parametrize(
    ("asked", "ends"),
    [
        ("2026-11-23T09:00", "2026-11-25"),  # Monday: Tuesday's end
        ("2026-11-27T23:59", "2026-12-01"),  # Friday: Monday's
        ("2026-11-28T00:00", "2026-12-01"),  # Saturday
        ("2026-04-02T12:00", "2026-04-08"),  # before Easter: Tuesday's
        ("2026-12-24T12:00", "2026-12-30"),  # before Christmas, of which a day falls on a Saturday
    ],
)
def test_the_next_working_day_ends_at_midnight(asked: str, ends: str) -> None:
    moment = datetime.fromisoformat(asked).replace(tzinfo=UTC)

    assert end_of_next_working_day(moment) == datetime.fromisoformat(ends).replace(tzinfo=UTC)


def test_there_are_eight_holidays_every_year_and_all_on_weekdays() -> None:
    for year in range(2000, 2200):
        found = bank_holidays(year)
        assert len(found) == 8
        assert not any(is_working_day(day) or day.weekday() > 4 for day in found)
