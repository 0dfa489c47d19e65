"""Birth and due dates: read by an explicit format, kept with how exactly each part is known.

Promises: a date that cannot be read is kept as written and used for nothing; it never stops a question.
Source:   MAIS PartialDate: accuracy is three letters for day, month, year: Accurate, Estimated, Unknown.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from elsewhere.errors import PersonMalformed

WRITTEN_LIMIT = 64
_ACCURACY = re.compile(r"[AEU]{3}")
_YEAR = re.compile(r"\d{4}")
_YEAR_MONTH = re.compile(r"(\d{4})-(\d{1,2})")
# Day before month, as in Britain. Two-digit years are not read: 01/02/13 has too many meanings.
COMMON_FORMATS = (
    "%Y-%m-%d",
    "%d/%m/%Y",
    "%d-%m-%Y",
    "%d.%m.%Y",
    "%d %m %Y",
    "%d %b %Y",
    "%d %B %Y",
    "%d-%b-%Y",
    "%Y%m%d",
)


@dataclass(frozen=True, slots=True)
class PartialDate:
    """A date and how well its day, month and year are known ('AAA', 'UAA', ...).

    `date` is None when what was `written` is no date; then nothing else can be told from it.
    """

    date: datetime.date | None
    accuracy: str = "AAA"
    written: str = ""

    def __post_init__(self) -> None:
        if not _ACCURACY.fullmatch(self.accuracy):
            raise PersonMalformed("birth_date", "expected an accuracy of three letters out of A, E and U")
        if len(self.written) > WRITTEN_LIMIT:
            raise PersonMalformed("birth_date", f"expected at most {WRITTEN_LIMIT} characters")
        if self.date is not None and (type(self.date) is not datetime.date or self.written):
            raise PersonMalformed(
                "birth_date", "expected a calendar date without time, or what was written, not both"
            )

    @property
    def is_exact(self) -> bool:
        """Whether day, month and year are all known."""
        return self.date is not None and self.accuracy == "AAA"

    @property
    def has_month(self) -> bool:
        """Whether month and year are known, whatever is known of the day."""
        return self.date is not None and self.accuracy[1:] == "AA"

    @property
    def has_year(self) -> bool:
        """Whether the year is known."""
        return self.date is not None and self.accuracy[2] == "A"


def parse_date(text: str, formats: tuple[str, ...] = COMMON_FORMATS) -> PartialDate | None:
    """Read a date written in one of `formats` (strptime), or as "2019-03" or "2019".

    Returns: None for blank text; a PartialDate without a date for text that is none ("31/02/2019").
    """
    trimmed = " ".join(text.split())
    if not trimmed:
        return None
    for form in formats:
        try:
            moment = datetime.datetime.strptime(trimmed, form)
        except ValueError:
            continue
        return PartialDate(moment.date())
    if _YEAR.fullmatch(trimmed) and int(trimmed) > 0:
        return PartialDate(datetime.date(int(trimmed), 1, 1), "UUA")
    month = _YEAR_MONTH.fullmatch(trimmed)
    if month and int(month[1]) > 0 and 1 <= int(month[2]) <= 12:
        return PartialDate(datetime.date(int(month[1]), int(month[2]), 1), "UAA")
    return PartialDate(None, "UUU", trimmed[:WRITTEN_LIMIT])
