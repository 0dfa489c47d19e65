"""NHS numbers and unique pupil numbers: written forms to plain ones, and whether they can be right.

Promises: never raises on text. Only a number whose check figure holds identifies anybody.
Source:   NHS Data Dictionary, NHS NUMBER (modulus 11); UK Government Data Standards Catalogue, Unique Pupil
          Number 2.0 of 18 November 2004, validations 1 to 6 (check letter, temporary numbers).
"""

from __future__ import annotations

import re

_SEPARATORS = re.compile(r"[\s\-./]+")
_UPN_PERMANENT = re.compile(r"[A-HJ-NP-RT-Z]\d{12}")
_UPN_TEMPORARY = re.compile(r"[A-HJ-NP-RT-Z]\d{11}[A-HJ-NP-RT-Z]")
# Position is value; I, O and S are left out because they look like digits.
_UPN_LETTERS = "ABCDEFGHJKLMNPQRTUVWXYZ"


def plain_identifier(text: str) -> str:
    """Take out spaces and separators and write letters large."""
    return _SEPARATORS.sub("", text).upper()


def is_nhs_number(text: str) -> bool:
    """Whether ten digits carry a right check digit. One digit ten times over is nobody's number."""
    plain = plain_identifier(text)
    if len(plain) != 10 or not (plain.isascii() and plain.isdigit()) or len(set(plain)) == 1:
        return False
    # Weights 10 down to 2; the check digit is 11 minus the remainder, 11 is written 0 and 10 is never issued.
    total = sum(int(digit) * weight for digit, weight in zip(plain[:9], range(10, 1, -1), strict=True))
    return (11 - total % 11) % 11 == int(plain[9])


def is_upn(text: str) -> bool:
    """Whether this is a permanent unique pupil number with a right check letter."""
    plain = plain_identifier(text)
    return bool(_UPN_PERMANENT.fullmatch(plain)) and plain[0] == _upn_check_letter(plain[1:])


def is_temporary_upn(text: str) -> bool:
    """Whether this has the shape of a temporary UPN (its last place is a letter): it will be replaced."""
    return bool(_UPN_TEMPORARY.fullmatch(plain_identifier(text)))


def _upn_check_letter(digits: str) -> str:
    """Weights 2 to 13 over the twelve places; the remainder of 23 picks the letter."""
    total = sum(int(digit) * weight for weight, digit in enumerate(digits, start=2))
    return _UPN_LETTERS[total % 23]
