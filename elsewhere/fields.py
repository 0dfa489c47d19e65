"""Strict reading of one table of a document: every key expected, every value of its kind, nothing left over.

Sees:     tables already parsed from JSON or TOML.
Refuses:  unknown or missing keys, values of another type, texts out of pattern, naive or fractional times.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from elsewhere.errors import DocumentInvalid

MAX_TEXT = 4000
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
_HEX = re.compile(r"(?:[0-9a-f]{2})*")


def format_instant(moment: datetime) -> str:
    """Write an aware time as RFC 3339 in UTC with whole seconds, as all our documents do."""
    return as_instant(moment, "time").strftime("%Y-%m-%dT%H:%M:%SZ")


def as_instant(moment: object, at: str) -> datetime:
    """Bring a time, or its RFC 3339 text in UTC, to an aware UTC value of whole seconds.

    Args:
        moment: an aware `datetime`, or text like 2026-09-30T00:00:00Z.
        at: the key it stands under, for the refusal.

    Raises:
        DocumentInvalid: naive, fractional, impossible, before 2000 or of another form.
    """
    refused = DocumentInvalid(at, "expected a time in UTC with whole seconds, like 2026-09-30T00:00:00Z")
    if isinstance(moment, str) and _INSTANT.fullmatch(moment):
        try:
            moment = datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            raise refused from None
    if not isinstance(moment, datetime) or moment.tzinfo is None or moment.microsecond:
        raise refused
    if not 2000 <= moment.year < 9999:  # the ends of the calendar overflow when moved to UTC
        raise refused
    return moment.astimezone(UTC)


def as_text(value: object, at: str, pattern: str | None = None) -> str:
    """Check one line of text: 1..4,000 printable characters, in a pattern if one is given.

    Raises:
        DocumentInvalid: not such a text.
    """
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_TEXT or not value.isprintable():
        raise DocumentInvalid(at, f"expected a line of text of 1..{MAX_TEXT} printable characters")
    if pattern is not None and not re.fullmatch(pattern, value):
        raise DocumentInvalid(at, f"expected text of the form {pattern}")
    return value


class Fields:
    """Reads one table key by key; `done` then refuses whatever was not asked for."""

    def __init__(self, table: object, at: str = "") -> None:
        if not isinstance(table, Mapping):
            raise DocumentInvalid(at or "document", "expected a table of keys and values")
        self._left: dict[str, Any] = dict(table)
        self._at = at

    def path(self, name: str) -> str:
        """Name a key of this table from the document's root, such as `rules[2].purposes`."""
        return f"{self._at}.{name}" if self._at else name

    def has(self, name: str) -> bool:
        """Tell whether an optional key is there and still unread."""
        return name in self._left

    def take(self, name: str) -> Any:
        """Take a required value of any kind; the caller checks it."""
        if name not in self._left:
            raise DocumentInvalid(self.path(name), "expected this key; it is missing")
        return self._left.pop(name)

    def text(self, name: str, pattern: str | None = None) -> str:
        """Take a text of 1..4,000 characters on one line, in a pattern if one is given."""
        return as_text(self.take(name), self.path(name), pattern)

    def texts(self, name: str, pattern: str | None = None) -> tuple[str, ...]:
        """Take a list of different texts, in its order."""
        return tuple(as_text(item, at, pattern) for item, at in self._items(name, unique=True))

    def choice(self, name: str, allowed: Collection[str]) -> str:
        """Take one of the words allowed."""
        return self._choice(self.take(name), self.path(name), allowed)

    def choices(self, name: str, allowed: Collection[str]) -> tuple[str, ...]:
        """Take a list of different words, each of those allowed."""
        return tuple(self._choice(item, at, allowed) for item, at in self._items(name, unique=True))

    def integer(self, name: str, low: int, high: int) -> int:
        """Take a whole number within bounds; true and false are no numbers."""
        return self._integer(self.take(name), self.path(name), low, high)

    def integers(self, name: str, low: int, high: int) -> tuple[int, ...]:
        """Take a list of different whole numbers within bounds."""
        return tuple(self._integer(item, at, low, high) for item, at in self._items(name, unique=True))

    def flag(self, name: str) -> bool:
        """Take true or false."""
        value = self.take(name)
        if not isinstance(value, bool):
            raise DocumentInvalid(self.path(name), "expected true or false")
        return value

    def instant(self, name: str) -> datetime:
        """Take an aware UTC time of whole seconds."""
        return as_instant(self.take(name), self.path(name))

    def octets(self, name: str, size: int) -> bytes:
        """Take bytes of one size, written as lower-case hex."""
        value = self.take(name)
        if not isinstance(value, str) or len(value) != 2 * size or not _HEX.fullmatch(value):
            raise DocumentInvalid(self.path(name), f"expected {size} bytes as lower-case hex")
        return bytes.fromhex(value)

    def table(self, name: str) -> Fields:
        """Take a table, to be read and `done` in turn."""
        return Fields(self.take(name), self.path(name))

    def tables(self, name: str) -> list[Fields]:
        """Take a list of tables, in its order."""
        return [Fields(item, at) for item, at in self._items(name, unique=False)]

    def done(self) -> None:
        """Return only if every key has been read.

        Raises:
            DocumentInvalid: names the first key that nothing expects.
        """
        for name in self._left:
            shown = name if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) else "a key"
            raise DocumentInvalid(self.path(shown), "expected no such key; check its spelling")

    def _items(self, name: str, *, unique: bool) -> list[tuple[Any, str]]:
        """Take a list and pair each item with its place; repeats are refused where asked."""
        items = self.take(name)
        if not isinstance(items, list):
            raise DocumentInvalid(self.path(name), "expected a list")
        if unique and any(item in items[:index] for index, item in enumerate(items)):
            raise DocumentInvalid(self.path(name), "expected different entries; one is repeated")
        return [(item, f"{self.path(name)}[{index}]") for index, item in enumerate(items, 1)]

    @staticmethod
    def _choice(value: object, at: str, allowed: Collection[str]) -> str:
        """Check one word against those allowed, and list them when it is none."""
        if not isinstance(value, str) or value not in allowed:
            raise DocumentInvalid(at, f"expected one of {', '.join(sorted(allowed))}")
        return value

    @staticmethod
    def _integer(value: object, at: str, low: int, high: int) -> int:
        """Check one whole number."""
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise DocumentInvalid(at, f"expected a whole number from {low} to {high}")
        return value
