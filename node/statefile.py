"""Reads the small files in which a node keeps where it is; whatever is in them, a stable error tells.

Refuses:  a file that this node cannot have written: cut short, of another shape, or of values out of range.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from node.errors import StateDamaged

MAX_BYTES: Final = 65_536
T = TypeVar("T")


def read_state(path: Path, parse: Callable[[Mapping[str, Any]], T], remedy: str) -> T | None:
    """Give what a file says; None where there is none.

    Args:
        parse: raises KeyError, TypeError, ValueError or OverflowError for a table that is not right.
        remedy: what to do about a file that is not.

    Raises:
        StateDamaged: it is not.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        if len(data) > MAX_BYTES:
            raise ValueError
        found = json.loads(data)
        if not isinstance(found, dict):
            raise TypeError
        return parse(found)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        raise StateDamaged(
            f"expected {path.name} as this node wrote it; it is cut short or changed. {remedy}"
        ) from None


def whole(value: object, least: int, most: int) -> int:
    """Check a whole number; raises ValueError."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError
    return value
