"""What goes wrong when a name, date or number is written down: one small function a slip.

Promises: pure; what cannot happen to a text leaves it as it is. No table here is used to match records.
"""

from __future__ import annotations

import datetime
import unicodedata

from elsewhere.demo.draw import Draw

_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_VOWELS = "aeiou"
# What a scanner or a tired eye takes for one another in forms that were filled in by hand.
_LOOK_ALIKE = ("rn=m", "cl=d", "vv=w", "ii=u", "l=i", "u=v", "n=h", "e=c", "a=o", "g=q", "t=f", "h=b", "nn=m")
# What an English ear takes for one another.
_SOUND_ALIKE = (
    *("ph=f", "ck=k", "c=k", "s=c", "z=s", "j=g", "ea=ee", "ie=y", "ei=ay", "oo=u", "th=f", "v=f", "d=t"),
    *("b=p", "m=n", "ou=ow", "er=a", "ee=y", "igh=y", "x=cks", "qu=kw", "wh=w", "kn=n", "tt=t", "ll=l"),
)
_DIGITS_ALIKE = ("68", "74", "73", "85", "19", "63", "58", "12", "36", "49")  # what 0, 1, ... are taken for
_FLAT = str.maketrans("łŁøØđĐıəƏ", "lLoOdDieE")  # letters that do not come apart


def typo(draw: Draw, name: str) -> str:
    """One slip of a finger: a letter left out, doubled, swapped with the next, or a neighbouring key."""
    places = [at for at, letter in enumerate(name) if letter.isalpha()]
    if len(places) < 3:
        return name
    at = draw.pick(places if draw.chance(0.12) else places[1:])
    kind = draw.below(4)
    if kind == 0:
        return _same_case(name[:at] + name[at + 1 :], name)
    if kind == 1:
        return name[: at + 1] + name[at].lower() + name[at + 1 :]
    if kind == 2 and at + 1 < len(name) and name[at + 1].isalpha() and name[at + 1] != name[at]:
        return _same_case(name[:at] + name[at + 1] + name[at] + name[at + 2 :], name)
    return name[:at] + _as(name[at], _neighbour(draw, name[at].lower())) + name[at + 1 :]


def misread(draw: Draw, name: str) -> str:
    """One group of letters taken for another that looks like it."""
    return swap_letters(draw, name, _LOOK_ALIKE)


def misheard(draw: Draw, name: str) -> str:
    """One group of letters taken for another that sounds like it."""
    return swap_letters(draw, name, _SOUND_ALIKE)


def swap_letters(draw: Draw, name: str, pairs: tuple[str, ...] | tuple[tuple[str, str], ...]) -> str:
    """One place where one of the pairs stands, written the other way; the name itself if there is none."""
    low = name.lower()
    found: list[tuple[int, str, str]] = []
    for pair in pairs:
        one, other = pair.split("=") if isinstance(pair, str) else pair
        for old, new in ((one, other), (other, one)):
            at = low.find(old) if old else -1
            while at >= 0:
                found.append((at, old, new))
                at = low.find(old, at + 1)
    if not found:
        return name
    at, old, new = draw.pick(found)
    return _same_case(name[:at] + new + name[at + len(old) :], name)


def without_accents(name: str) -> str:
    """The name in plain letters, as a system writes it that has no others."""
    if name.isascii():
        return name
    apart = unicodedata.normalize("NFKD", name.translate(_FLAT))
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def wrong_digit(draw: Draw, digits: str) -> str:
    """One digit misread, or two neighbours swapped."""
    places = [at for at, digit in enumerate(digits) if digit.isdigit()]
    if not places:
        return digits
    at = draw.pick(places)
    if draw.chance(0.4) and digits[at + 1 : at + 2].isdigit() and digits[at] != digits[at + 1]:
        return digits[:at] + digits[at + 1] + digits[at] + digits[at + 2 :]
    return digits[:at] + draw.pick(_DIGITS_ALIKE[int(digits[at])]) + digits[at + 1 :]


def postcode_slip(draw: Draw, code: str) -> str:
    """The inward half with another last letter or digit, still a postcode."""
    if draw.chance(0.5):
        return code[:-1] + draw.pick([letter for letter in "ABDEFGHJLNPQRSTUWXYZ" if letter != code[-1]])
    return code[:-3] + draw.pick([digit for digit in "123456789" if digit != code[-3]]) + code[-2:]


def wrong_date(draw: Draw, born: datetime.date) -> datetime.date:
    """The date with its day or its month misread; the date itself if that makes none."""
    for _ in range(8):
        text = wrong_digit(draw, f"{born:%m%d}")
        try:
            found = born.replace(month=int(text[:2]), day=int(text[2:]))
        except ValueError:
            continue
        if found != born:
            return found
    return born


def swapped_date(born: datetime.date) -> datetime.date:
    """Day and month exchanged, where that is a date."""
    return born.replace(day=born.month, month=born.day) if born.day <= 12 else born


def _neighbour(draw: Draw, letter: str) -> str:
    """A key beside this one; another vowel for a letter that is on no key."""
    for row in _KEYS:
        at = row.find(letter)
        if at >= 0:
            return draw.pick([key for key in (row[at - 1 : at], row[at + 1 : at + 2]) if key])
    return draw.pick(_VOWELS)


def _as(pattern: str, letter: str) -> str:
    return letter.upper() if pattern.isupper() else letter


def _same_case(text: str, pattern: str) -> str:
    """A capital first letter where the pattern has one, and no capital where two letters changed places."""
    if not pattern[:1].isupper() or not text:
        return text
    if pattern[:2].istitle() and text[1:2].isupper() and pattern[1:2].islower():
        return text[0].upper() + text[1].lower() + text[2:]
    return text[0].upper() + text[1:]
