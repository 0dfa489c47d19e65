"""How a written name, date or postcode goes wrong: errors of the hand, the ear, the eye and the form.

Promises: nothing here knows the match keys' tables or rules. Each function returns another text, or the
          same where such an error cannot happen.
"""

from __future__ import annotations

import datetime
import random

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
# What scanners and hasty readers confuse.
_LOOKS = (
    ("rn", "m"),
    ("cl", "d"),
    ("vv", "w"),
    ("h", "b"),
    ("l", "i"),
    ("e", "c"),
    ("u", "v"),
    ("o", "a"),
    ("t", "f"),
)
# What is heard alike by somebody who does not know the name.
_SOUNDS = (
    *(("ph", "f"), ("f", "ph"), ("c", "k"), ("k", "c"), ("ck", "k"), ("y", "i"), ("i", "y"), ("ie", "y")),
    *(("ee", "i"), ("i", "ee"), ("oo", "u"), ("u", "oo"), ("ou", "u"), ("s", "z"), ("z", "s"), ("j", "y")),
    *(("sh", "s"), ("w", "v"), ("v", "w"), ("kh", "h"), ("q", "k"), ("x", "ks"), ("ch", "c"), ("th", "t")),
    *(("dh", "d"), ("ai", "ay"), ("ey", "y"), ("a", "e"), ("e", "a"), ("o", "u"), ("ah", "a"), ("h", "")),
    *(("ll", "l"), ("l", "ll"), ("nn", "n"), ("n", "nn"), ("mm", "m"), ("m", "mm"), ("ss", "s"), ("tt", "t")),
    *(
        ("s", "ss"),
        ("dj", "j"),
        ("cz", "ch"),
        ("sz", "sh"),
        ("gh", "g"),
        ("au", "o"),
        ("ae", "e"),
        ("b", "p"),
    ),
)


def mistyped(draw: random.Random, text: str) -> str:
    """One slip of the hand: a letter left out, doubled, swapped with the next, or its neighbour."""
    if len(text) < 2:
        return text
    place = draw.randrange(len(text))
    kind = draw.randrange(4)
    if kind == 0:
        return text[:place] + text[place + 1 :]
    if kind == 1:
        return text[:place] + text[place] + text[place:]
    if kind == 2:
        place = min(place, len(text) - 2)
        return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    return text[:place] + _neighbour(draw, text[place]) + text[place + 1 :]


def _neighbour(draw: random.Random, letter: str) -> str:
    for row in _ROWS:
        at = row.find(letter.lower())
        if at >= 0:
            return row[max(0, at - 1)] if draw.random() < 0.5 and at > 0 else row[min(len(row) - 1, at + 1)]
    return draw.choice("aeinrst")


def misheard(draw: random.Random, text: str) -> str:
    """One sound written in another way, wherever in the name it stands."""
    return _rewrite(draw, text, _SOUNDS)


def misread(draw: random.Random, text: str) -> str:
    """One shape taken for another."""
    return _rewrite(draw, text, _LOOKS)


def _rewrite(draw: random.Random, text: str, pairs: tuple[tuple[str, str], ...]) -> str:
    lower = text.lower()
    places = [(at, old, new) for old, new in pairs for at in range(len(lower)) if lower.startswith(old, at)]
    if not places:
        return text
    at, old, new = draw.choice(places)
    return lower[:at] + new + lower[at + len(old) :] or text


def cut(draw: random.Random, text: str) -> str:
    """Only the beginning: a short form, or a field too narrow."""
    return text[: draw.randint(3, max(3, len(text) - 1))] if len(text) > 4 else text


def any_edit(draw: random.Random, text: str) -> str:
    """Any letter put in, left out or replaced anywhere, or a space put in."""
    place = draw.randrange(len(text) + 1)
    letter = draw.choice("abcdefghijklmnopqrstuvwxyz")
    return draw.choice(
        (
            text[:place] + letter + text[place:],
            text[:place] + text[place + 1 :] or text,
            text[:place] + letter + text[place + 1 :],
            text[:place] + " " + text[place:],
            text[: max(0, place - 1)]
            + text[place : place + 1]
            + text[max(0, place - 1) : place]
            + text[place + 1 :],
        )
    )


def misdated(draw: random.Random, born: datetime.date, kind: str) -> datetime.date:
    """A birth date written down wrongly: "swapped", "digit", "year" or "january"."""
    if kind == "swapped":
        return born.replace(month=born.day, day=born.month) if born.day <= 12 else born
    if kind == "year":
        return _date(born.year + draw.choice((-1, 1)), born.month, born.day) or born
    if kind == "january":
        return born.replace(month=1, day=1)
    digits = f"{born:%Y%m%d}"
    for _ in range(20):
        at = draw.randrange(2, 8)
        text = digits[:at] + draw.choice("0123456789") + digits[at + 1 :]
        changed = _date(int(text[:4]), int(text[4:6]), int(text[6:]))
        if changed and changed != born and changed.year < 2027:
            return changed
    return born


def _date(year: int, month: int, day: int) -> datetime.date | None:
    try:
        return datetime.date(year, month, day)
    except ValueError:
        return None
