"""Numbers and places of made-up people: valid in form, and outside every range that is in use.

Promises: NHS numbers lie in the range kept for tests, pupil numbers under an authority that is none,
          postcodes in an area that does not exist.
Source:   NHS Data Dictionary, NHS NUMBER; DfE "Unique pupil numbers: guidance" (check letter).
"""

from __future__ import annotations

from elsewhere.demo.draw import Draw

_UPN_LETTERS = "ABCDEFGHJKLMNPQRTUVWXYZ"
_INWARD = "ABDEFGHJLNPQRSTUWXYZ"  # letters that end a postcode
_UNITS = len(_INWARD) ** 2
CHILDREN_SERIALS = (
    980_000  # of a million; the rest are for mothers and for the children placed in every population
)


def nhs_number(serial: int) -> str:
    """Return the number of the range for tests whose first nine digits end in this serial, 0 to 999,999.

    Empty where the check digit would be 10: one serial in eleven has no number.
    """
    digits = f"999{serial:06d}"
    check = closing_digit(digits)
    return f"{digits}{check}" if check < 10 else ""


def closing_digit(digits: str) -> int:
    """Return the check digit of nine digits, 10 where there is none."""
    total = sum(int(digit) * weight for digit, weight in zip(digits, range(10, 1, -1), strict=True))
    return (11 - total % 11) % 11


def scattered(place: int) -> int:
    """Return a serial for a place below CHILDREN_SERIALS: each once, brothers and sisters far apart."""
    return place * 387_421 % CHILDREN_SERIALS


def upn(school: int, year: int, serial: int) -> str:
    """Return a pupil number: check letter, authority 999, school (4 digits), year (2), serial (3)."""
    digits = f"999{school:04d}{year % 100:02d}{serial:03d}"
    return opening_letter(digits) + digits


def opening_letter(digits: str) -> str:
    """Return the check letter of the twelve digits of a pupil number."""
    total = sum(int(digit) * weight for weight, digit in enumerate(digits, start=2))
    return _UPN_LETTERS[total % 23]


def postcodes_for(children: int) -> int:
    """Return how many postcodes an area of so many children has: about eight to each, as in towns."""
    return min(max(children // 8, 400), 99 * 9 * _UNITS)


def postcode(draw: Draw, postcodes: int) -> str:
    """Return a postcode of area NX, which does not exist; neighbours differ in the last letters."""
    number = draw.below(postcodes)
    district, rest = divmod(number, 9 * _UNITS)
    sector, unit = divmod(rest, _UNITS)
    return f"NX{district + 1} {sector + 1}{_INWARD[unit // 20]}{_INWARD[unit % 20]}"
