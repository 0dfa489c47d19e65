"""How long a record may be kept, by what its source says.

Source:   docs/caseload.md, "How long records are kept".
"""

from __future__ import annotations

import contextlib
import datetime

from elsewhere.person.dates import PartialDate
from node.caseload.mapping import Keep


def kept_until(
    keep: Keep, birth_date: PartialDate | None, last_contact: datetime.date | None, *, is_current: bool
) -> datetime.date | None:
    """The first day on which a record may no longer be kept; None: none is known."""
    days = list[datetime.date]()
    if keep.days_after_contact and last_contact is not None and not is_current:
        with contextlib.suppress(OverflowError):
            days.append(last_contact + datetime.timedelta(days=keep.days_after_contact))
    if keep.until_age and birth_date is not None and birth_date.date is not None:
        born = birth_date.date
        # Where day or month is a guess, the child may be as young as one born at the year's end.
        years = keep.until_age if birth_date.is_exact else keep.until_age + 1
        month, day = (born.month, born.day) if birth_date.is_exact else (1, 1)
        with contextlib.suppress(ValueError):
            leap = (month, day) == (2, 29)
            days.append(datetime.date(born.year + years, *((3, 1) if leap else (month, day))))
    return min(days, default=None)
