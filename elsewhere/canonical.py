"""One byte string for one JSON value: what gets hashed and signed, and nothing else read back.

Refuses:  repeated keys, NaN and infinities, integers beyond 53 bits, lone surrogates, any other spelling.
Source:   RFC 8785 (JSON Canonicalization Scheme), through the `rfc8785` package.
"""

from __future__ import annotations

import json
from typing import NoReturn, TypeAlias

import rfc8785

from elsewhere.errors import NotCanonical

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def canonical_json(value: Json) -> bytes:
    """Write a value in its only canonical form.

    Args:
        value: JSON values; keys are strings, integers fit in 53 bits, floats are finite.

    Returns:
        UTF-8 bytes without insignificant space, keys in the order of their UTF-16 code units.

    Raises:
        NotCanonical: the value has no canonical form. The message never quotes it.

    Source: RFC 8785 §3.2.
    """
    try:
        return _dump(value)
    except (ValueError, RecursionError):
        raise NotCanonical(
            "expected JSON values with a canonical form, RFC 8785; this value has none"
        ) from None


def parse_canonical(data: bytes) -> Json:
    """Read canonical bytes, so that one value can never arrive under two digests.

    Args:
        data: bytes that `canonical_json` could have written.

    Returns:
        The value; writing it again gives `data`.

    Raises:
        NotCanonical: not JSON, a repeated key, or another spelling of the same value.
    """
    try:
        value: Json = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
        again = _dump(value)
    except (ValueError, RecursionError):
        raise NotCanonical("expected canonical JSON, RFC 8785; the bytes are not JSON of that kind") from None
    if again != data:
        raise NotCanonical("expected canonical JSON, RFC 8785; the bytes spell the value differently")
    return value


def _dump(value: Json) -> bytes:
    """Write a value: with Python's own writer where its form is the canonical one, which is nearly always.

    Without fractions, and with keys in ASCII, the two forms differ in nothing: RFC 8785 §3.2.2.2 escapes what
    Python escapes, and code points and UTF-16 code units put ASCII keys in one order.
    """
    if _is_plain(value):
        return _WRITER.encode(value).encode("utf-8")
    return rfc8785.dumps(value)


_WRITER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False)
_LARGEST = 2**53 - 1  # RFC 8785 §3.2.2.3: what a double holds exactly


def _is_plain(value: Json) -> bool:
    """Tell whether a value is made of text, whole numbers, true, false and null, under keys in ASCII."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if isinstance(value, dict):
        return all(type(key) is str and key.isascii() for key in value) and all(
            map(_is_plain, value.values())
        )
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return type(value) is int and -_LARGEST <= value <= _LARGEST


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """Build an object whose keys are all different; two readers could disagree about a repeated one."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("repeated key")
    return found


def _refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and the infinities, which Python reads though JSON has none of them."""
    raise ValueError("not a JSON number")
