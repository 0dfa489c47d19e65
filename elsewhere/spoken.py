"""Fingerprints that two people can compare by voice: twenty digits in four groups.

Promises: who wants another key with the same digits tries 2^66 keys, each at the price of 20,000 hashes. No
          two kinds of thing share a fingerprint, so nobody can be made to read out the wrong one.
Source:   PBKDF2 with HMAC-SHA-256 (RFC 8018 §5.2), as a hash that is slow on purpose.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

ROUNDS: Final = 20_000
_DIGITS, _GROUP = 20, 5


def spoken(kind: str, data: bytes) -> str:
    """Name something by digits to be read out.

    Args:
        kind: what it is: `member`, `steward` or `federation`.
        data: a public key, or a digest.

    Returns:
        Such as `48213-90876-11204-55731`.
    """
    slow = hashlib.pbkdf2_hmac("sha256", data, f"elsewhere {kind} v1".encode(), ROUNDS, dklen=32)
    digits = f"{int.from_bytes(slow) % 10**_DIGITS:0{_DIGITS}d}"
    return "-".join(digits[at : at + _GROUP] for at in range(0, _DIGITS, _GROUP))


def is_same_spoken(one: str, other: str) -> bool:
    """Tell whether two fingerprints have the same twenty digits, however they were grouped."""
    digits = [re.sub(r"[\s-]", "", text) for text in (one, other)]
    return digits[0] == digits[1] and re.fullmatch(rf"[0-9]{{{_DIGITS}}}", digits[0]) is not None
