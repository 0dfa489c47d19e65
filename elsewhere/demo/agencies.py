"""How four made-up agencies come to know children and write them down: shares and rates, as data.

Source:   elsewhere/demo/agencies.toml, which says what each figure is of.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

ERRORS = (
    *("typo_given", "typo_family", "misread", "misheard", "spelling_given", "spelling_family"),
    *("nickname", "nickname_beside", "further_first", "joined_given", "initial_only", "names_swapped"),
    *("accents_dropped", "other_family", "other_family_beside", "half_double", "double_swapped"),
    *("double_spaced", "placeholder", "placeholder_newborn", "given_missing"),
    *("day_month_swapped", "date_digit", "year_off", "first_of_month", "first_of_january", "date_missing"),
    *("postcode_outdated", "postcode_missing", "postcode_pseudo", "postcode_slip"),
    *("nhs_misread", "nhs_of_sibling", "upn_misread", "upn_temporary"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agency:
    """One agency; shares and rates are from 0 to 1, ages whole years."""

    id: str
    services: tuple[str, ...]
    ages: tuple[int, int]
    knows: float
    knows_by_trouble: float
    current: float
    days: int
    holds_nhs_number: float
    holds_upn: float
    further_given: float
    past_postcodes: float
    twice: float
    errors: Mapping[str, float]

    def __post_init__(self) -> None:
        if unknown := set(self.errors) - set(ERRORS):
            raise ValueError(f"expected errors of the list, got {sorted(unknown)}")


@functools.cache
def agencies() -> tuple[Agency, ...]:
    """Police, NHS trust, social care and schools, read once."""
    text = resources.files("elsewhere.demo").joinpath("agencies.toml").read_text("utf-8")
    return tuple(_agency(table) for table in tomllib.loads(text)["agencies"])


def _agency(table: Mapping[str, object]) -> Agency:
    values = {name: value for name, value in table.items() if name != "errors"}
    shares = ("knows", "knows_by_trouble", "current", "holds_nhs_number", "holds_upn")
    for name in (*shares, "further_given", "past_postcodes", "twice"):
        values[name] = float(str(values[name])) / 100
    values["services"], values["ages"] = _tuple(values["services"]), _tuple(values["ages"])
    rates = table["errors"]
    assert isinstance(rates, Mapping)  # noqa: S101 - our own file
    return Agency(**values, errors={name: float(rate) / 100 for name, rate in rates.items()})  # type: ignore[arg-type]


def _tuple(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, list) else ()
