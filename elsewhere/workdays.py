"""Working days in England and Wales: no weekend, no bank holiday. Worked out, so that no year is missing.

A holiday proclaimed for one year alone is not known here: that day counts as a working day.

Source:   Banking and Financial Dealings Act 1971, Sch 1; Easter by the anonymous Gregorian computus.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

_DAY: Final = timedelta(days=1)
_SATURDAY: Final = 5


def is_working_day(day: date) -> bool:
    """Whether offices are open on a day."""
    return day.weekday() < _SATURDAY and day not in bank_holidays(day.year)


def end_of_next_working_day(moment: datetime) -> datetime:
    """The end, in UTC, of the first working day after the day that a moment is on."""
    day = moment.astimezone(UTC).date() + _DAY
    while not is_working_day(day):
        day += _DAY
    return datetime.combine(day + _DAY, time(), UTC)


def bank_holidays(year: int) -> frozenset[date]:
    """The eight of a year, moved to the next weekday where they fall on a weekend."""
    easter = _easter(year)
    fixed: list[date] = []
    for day in (date(year, 1, 1), date(year, 12, 25), date(year, 12, 26)):
        while day.weekday() >= _SATURDAY or day in fixed:
            day += _DAY
        fixed.append(day)
    mondays = (_first_monday(year, 5), _last_monday(year, 5), _last_monday(year, 8))
    return frozenset((*fixed, easter - 2 * _DAY, easter + _DAY, *mondays))


def _first_monday(year: int, month: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=-first.weekday() % 7)


def _last_monday(year: int, month: int) -> date:
    last = date(year, month, 31)
    return last - timedelta(days=last.weekday())


def _easter(year: int) -> date:
    """Easter Sunday."""
    golden, century, rest = year % 19, year // 100, year % 100
    epact = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)
