"""The components of match keys: what a question asks for each of them.

Source:   docs/protocol.md "Components".
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from searcher.documents import canonical
from searcher.names import Names, Reading, shortened, skeleton

_UK = re.compile(
    "(GIR|[A-PR-UWYZ](?:[0-9][0-9A-HJKPSTUW]?|[A-HK-Y][0-9][0-9ABEHMNPRVWXY]?))([0-9][ABD-HJLNP-UW-Z]{2})"
)
# The plain values of a component, then those with a letter left out.
Values = tuple[list[str], list[str]]


@dataclass(frozen=True, slots=True)
class Child:
    """As the asker wrote it; empty where not known."""

    given: str = ""
    family: str = ""
    birth_date: str = ""
    postcode: str = ""
    past_postcodes: tuple[str, ...] = ()
    nhs_number: str = ""

    def canonical(self) -> bytes:
        date = {"date": self.birth_date, "accuracy": "AAA", "written": ""}
        name = {"given": self.given.split(), "family": self.family, "use": "usual"}
        return canonical(
            {
                "form": 1,
                "names": [name] if self.given or self.family else [],
                "birth_date": date if self.birth_date else None,
                "postcodes": [code for code in (self.postcode, *self.past_postcodes) if code],
                "nhs_number": self.nhs_number or None,
                "upn": None,
                "unborn": None,
            }
        )


def of_numbers(child: Child) -> dict[str, Values]:
    digits = re.sub(r"[\s./-]", "", child.nhs_number)
    if not re.fullmatch(r"[0-9]{10}", digits) or len(set(digits)) == 1:
        return {}
    total = sum(weight * int(digit) for weight, digit in zip(range(10, 1, -1), digits, strict=False))
    is_right = (11 - total % 11) % 11 == int(digits[9])
    return {"nhs": ([digits], [])} if is_right else {}


def of_date(child: Child) -> dict[str, Values]:
    if not child.birth_date:
        return {}
    year, month, day = child.birth_date.split("-")
    low, high = sorted((month, day))
    made = {"dob": child.birth_date, "dq": f"{year}-{low}-{high}"}
    made |= {"ym": f"{year}-{month}", "yd": f"{year}-{day}", "md": f"{month}-{day}"}
    return {name: ([value], []) for name, value in made.items()}


def of_place(postcode: str, names: Names) -> dict[str, Values]:
    code = "".join(names.fold(postcode)).upper()
    if not code or code.startswith("ZZ99") or code in names.lists["pseudo_postcodes"]:
        return {}
    mended = code
    if 5 <= len(code) <= 7 and not code[0].isdigit():
        third, last = code[-3].translate(str.maketrans("OIL", "011")), code[-2:]
        mended = code[:-3] + third + last.translate(str.maketrans("01", "OI"))
    if _UK.fullmatch(mended):
        made = {"p": mended, "p3": mended[:-1], "po": mended[:-3]}
    elif 3 <= len(code) <= 12 and re.search("[0-9]", code):
        made = dict.fromkeys(("p", "p3", "po"), code)
    else:
        made = {}
    return {name: ([value], []) for name, value in made.items()}


def of_name(reading: Reading, names: Names) -> dict[str, Values]:
    first, last, second = reading
    made: dict[str, Values] = {}
    if first:
        code = names.codes(first)[0]
        made |= {"f": ([code], []), "fk": ([skeleton(first)], [])}
        made["f~"] = (_unique(code, first), shortened(first))
        made |= {f"f{n}": ([first[:n]], []) for n in range(1, 6)}
    if last:
        made |= {"l": ([last], []), "lk": ([skeleton(last)], [])}
        made |= {f"l{n}": ([last[:n]], []) for n in range(1, 6)}
    if first and second:
        made["fm"] = ([_pair(first, second)], [])
    if first and last:
        both = _pair(first, last)
        without_first = [_pair(short, last) for short in shortened(first)]
        without_last = [_pair(first, short) for short in shortened(last)]
        turns = itertools.zip_longest(without_first, without_last)
        made["fl"] = ([_pair(names.codes(first)[0], names.codes(last)[0])], [])
        made["fl~"] = ([both], [value for turn in turns for value in turn if value is not None])
        made["fkl"] = ([_pair(skeleton(first), skeleton(last))], [])
        is_turned = len(last) == 1 < len(first)
        made["fl1"] = ([f"{last}|{first}" if is_turned else f"{first[0]}|{last}"], [])
        made["fl2"] = ([f"{both}|{second}", f"{both}|-"] if second else [f"{both}|*"], [])
    return made


def _unique(*values: str) -> list[str]:
    return list(dict.fromkeys(values))


def _pair(left: str, right: str) -> str:
    return "|".join(sorted((left, right), key=str.encode))
