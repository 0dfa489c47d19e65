"""A child from a file or standard input, so that nothing of it stands in the list of processes.

Sees:     the child; nothing of it reaches an error message, which names lines and fields.
Refuses:  what is not a JSON object of known fields, or a MAIS Person; more than 64 KiB.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import cast

from elsewhere.errors import PersonMalformed
from elsewhere.person.identity import Person, Written

MAX_BYTES = 64 * 1024
_MAIS = ("identifier", "name", "dateOfBirth", "address")
_TEXTS = (
    "family",
    "dob",
    "postcode",
    "nhs_number",
    "upn",
    "mother_family",
    "mother_dob",
    "mother_nhs_number",
)
_DATES = ("due_date",)
_LISTS = ("past_postcodes", "aliases")
_EITHER = ("given", "mother_given")


def read_person_file(path: str) -> Person:
    """Read a person.

    Args:
        path: of a JSON file; "-" is standard input.

    Raises:
        PersonMalformed: unreadable, too large, not JSON, or a field of another type; `.field` says which.
    """
    try:
        data = sys.stdin.buffer.read(MAX_BYTES + 1) if path == "-" else _read(Path(path))
    except OSError:
        raise PersonMalformed("--person", "expected a readable file; it cannot be read") from None
    if len(data) > MAX_BYTES:
        raise PersonMalformed("--person", f"expected at most {MAX_BYTES} bytes")
    return parse_person(data)


def parse_person(data: bytes) -> Person:
    """Read a person from JSON: plain (the option names with _ for -), or a MAIS Person.

    Raises:
        PersonMalformed: as `read_person_file`.
    """
    try:
        document = json.loads(data.decode("utf-8"))
    except json.JSONDecodeError as err:
        # Its own text says where, not what.
        raise PersonMalformed(
            "--person", f"expected JSON; line {err.lineno}, column {err.colno} is none"
        ) from None
    except (ValueError, RecursionError):  # also a number of thousands of digits
        raise PersonMalformed("--person", "expected JSON in UTF-8") from None
    if not isinstance(document, dict):
        raise PersonMalformed("--person", "expected one JSON object")
    if any(key in document for key in _MAIS):
        return Person.from_mais(document)
    return Person.of(**_written(document))


def _written(document: dict[str, object]) -> Written:
    """Check the plain form; null is a field left out."""
    known = (*_EITHER, *_TEXTS, *_DATES, *_LISTS)
    if not document.keys() <= set(known):
        # The unknown key is not quoted: it could be a value in the wrong place.
        raise PersonMalformed("--person", "expected no fields but " + ", ".join(known))
    found = {name: value for name, value in document.items() if value is not None}
    for name, value in found.items():
        is_list = isinstance(value, list) and all(isinstance(item, str) for item in value)
        fits = is_list if name in _LISTS else isinstance(value, str) or (name in _EITHER and is_list)
        if not fits:
            raise PersonMalformed(name, "expected text" if name not in _LISTS else "expected a list of texts")
    return cast(Written, found)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)
