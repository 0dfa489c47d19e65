"""Reads an agreement out of a file that people hand over: their text, or what was signed from it.

Promises: says which of the two it was. Signatures are not checked here: the roster that lists the signers is
          with a node, and `elsewhere agreement show --dir` asks it.
"""

from __future__ import annotations

import base64
import json

from elsewhere.agreement.document import (
    AGREEMENT_TYPE,
    MAX_TOML_CHARACTERS,
    agreement_from_json,
    agreement_from_toml,
    find_faults,
)
from elsewhere.agreement.terms import Agreement
from elsewhere.canonical import parse_canonical
from elsewhere.errors import DocumentInvalid


def read_agreement(data: bytes) -> tuple[Agreement, str]:
    """Read a text, or the envelope of a signed one without looking at its signatures.

    Args:
        data: a TOML text in UTF-8, or a DSSE envelope.

    Returns:
        The agreement, and the text it was read from: empty for an envelope.

    Raises:
        DocumentInvalid: `.key` and `.line` say what to correct.
        NotCanonical: an envelope whose payload is not as it would be signed.
    """
    text = _text(data)
    if not text.lstrip().startswith("{"):
        return agreement_from_toml(text), text
    return agreement_from_json(parse_canonical(_payload(text))), ""


def find_reading_faults(data: bytes) -> tuple[DocumentInvalid, ...]:
    """Find everything that keeps a file from being read, as `read_agreement` would; empty if it reads."""
    try:
        text = _text(data)
        if not text.lstrip().startswith("{"):
            return find_faults(text)
        read_agreement(data)
    except DocumentInvalid as err:
        return (err,)
    return ()


def _text(data: bytes) -> str:
    """The file as text."""
    if len(data) > 4 * MAX_TOML_CHARACTERS:
        raise DocumentInvalid("document", f"expected at most {MAX_TOML_CHARACTERS} characters")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise DocumentInvalid("document", "expected UTF-8") from None


def _payload(text: str) -> bytes:
    """Take the payload out of an envelope of ours."""
    try:
        found = json.loads(text)
        if found["payloadType"] != AGREEMENT_TYPE:
            raise KeyError
        return base64.b64decode(found["payload"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DocumentInvalid("document", "expected a TOML text or a signed agreement") from None
