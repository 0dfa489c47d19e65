"""Finds the line of a TOML file on which a key stands, so that a refusal can point at it.

Source:   TOML 1.0; the standard parser gives no positions. A key inside an inline table or a list gets the
          line of what holds it.
"""

from __future__ import annotations

import re
from collections import Counter

_HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.-]+)\s*\]\]?\s*(?:#.*)?")
_ENTRY = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")
_QUOTES = re.compile(r'"""|\'\'\'')


def line_of(text: str, key: str) -> int | None:
    """Find the line, counted from 1, of a key such as `rules[2].purposes[1]`; None if it stands nowhere.

    Args:
        text: the TOML text.
        key: a path as `Fields.path` writes it; entries of a list count from 1.
    """
    places = _places(text)
    while key:
        if key in places:
            return places[key]
        # A missing key is shown at the table that should hold it.
        key = re.sub(r"(\.[^.\[\]]+|\[\d+\]|^[^.\[\]]+)$", "", key)
    return None


def _places(text: str) -> dict[str, int]:
    """Index every table and key of a TOML text by its path."""
    places: dict[str, int] = {}
    seen: Counter[str] = Counter()
    table, in_text = "", False
    for number, line in enumerate(text.splitlines(), 1):
        was_in_text = in_text
        if len(_QUOTES.findall(line)) % 2:
            in_text = not in_text
        if was_in_text:
            continue
        header, entry = _HEADER.fullmatch(line), _ENTRY.match(line)
        if header:
            table = header.group(2)
            if header.group(1) == "[[":
                seen[table] += 1
                table = f"{table}[{seen[table]}]"
            places.setdefault(table, number)
        elif entry:
            places.setdefault(f"{table}.{entry.group(1)}" if table else entry.group(1), number)
    return places
