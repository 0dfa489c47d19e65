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
        return rfc8785.dumps(value)
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
        again = rfc8785.dumps(value)
    except (ValueError, RecursionError):
        raise NotCanonical("expected canonical JSON, RFC 8785; the bytes are not JSON of that kind") from None
    if again != data:
        raise NotCanonical("expected canonical JSON, RFC 8785; the bytes spell the value differently")
    return value


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """Build an object whose keys are all different; two readers could disagree about a repeated one."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("repeated key")
    return found


def _refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and the infinities, which Python reads though JSON has none of them."""
    raise ValueError("not a JSON number")
