"""What a header is like that lacks the mapped columns: which it has instead, and what may be wrong.

Sees:     the first row of an export, which is a child's if the export has no header.
Promises: a row that looks like data is counted and never quoted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

MAX_NAMED: Final = 8
MAX_NAME: Final = 60  # characters
_MARKS: Final = ("\ufeff", "\u00ef\u00bb\u00bf", "\u00ff\u00fe", "\u00fe\u00ff")  # also if read as cp1252
# Dates, numbers and ids. The names of columns have a digit or two at their end.
_DATA: Final = re.compile(r"^\W*\d|\d{3}|\d\W\d")


def describe_header(header: Sequence[str], wanted: Sequence[str]) -> str:
    """Say which columns of a header no mapping names, and what may be wrong with it; "" for nothing."""
    others = [name for name in header if name and name not in wanted]
    if not others:
        return ""
    first, is_alone = header[0], len(header) == 1
    if first.casefold().startswith("sep="):
        return "; the first line is one for Excel, 'sep=': delete it, and see that delimiter says the same"
    if any(map(_DATA.search, others)):
        said = f"; not mapped: {len(others)}, not shown as they look like data: is the first row a header?"
    else:
        names = [repr(name[:MAX_NAME]) for name in others[:MAX_NAMED]]
        more = f" and {len(others) - MAX_NAMED} more" if len(others) > MAX_NAMED else ""
        said = f"; not mapped: {', '.join(names)}{more}"
    if first.startswith(_MARKS):
        said += "; it begins with a byte order mark: is encoding utf-8, or utf-16?"
    return said + ("; it is one column: is delimiter another one?" if is_alone and len(wanted) > 1 else "")
