"""Reads TOML that people write and hand to each other: whatever the text, a table or one kind of error, soon.

Refuses:  what is no TOML; lines over MAX_LINE, as Python's reader takes quadratic time over a key of many
          dotted parts; nesting and numbers that Python does not read, which end in errors of other kinds.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

MAX_LINE: Final = 2048  # characters
_LINE = re.compile(r"\(at line (\d+), column \d+\)")


class TomlInvalid(ValueError):
    """A text is no TOML; `line` says where, from 1, if that is known."""

    def __init__(self, reason: str, line: int | None) -> None:
        super().__init__(reason if line is None else f"{reason} (line {line})")
        self.line = line


def parse_toml(text: str) -> dict[str, Any]:
    """Read a document; callers bound its length.

    Raises:
        TomlInvalid: to be told in the caller's own words.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MAX_LINE:
            raise TomlInvalid(f"a line is longer than {MAX_LINE} characters", number)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        found = _LINE.search(str(err))
        raise TomlInvalid(_LINE.sub("", str(err)).strip(), int(found[1]) if found else None) from None
    except (ValueError, RecursionError):  # a number of thousands of digits; tables in tables without end
        raise TomlInvalid("a number or a nesting is larger than anything in use", None) from None
