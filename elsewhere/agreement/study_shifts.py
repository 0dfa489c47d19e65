"""What a new agreement lets researchers do that the one before did not: spend more, ask more, protect less.

Sees:     the research parts of two versions.
Promises: whatever weakens the protection of a child, or lets anybody ask or spend more, is said to do so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from elsewhere.agreement.studies import Project, Research
from elsewhere.canonical import Json
from elsewhere.fields import format_instant

NANO: Final = 10**9


@dataclass(frozen=True, slots=True)
class StudyShift:
    """One thing that is otherwise for researchers."""

    text: str
    is_wider: bool
    clause: str = "research"

    def to_json(self) -> dict[str, Json]:
        """Write it for machines."""
        return {"text": self.text, "is_wider": self.is_wider, "clause": self.clause}


def find_study_shifts(old: Research | None, new: Research | None) -> tuple[StudyShift, ...]:
    """Find what researchers may do now, or no longer.

    Args:
        old: of the version before; None: it allowed no research.
        new: of the version after.
    """
    before, after = _said(old), _said(new)
    found = (_shift(key, before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after]))
    return tuple(shift for shift in found if shift is not None)


def _shift(key: str, was: _Said | None, now: _Said | None) -> StudyShift | None:
    """What is otherwise of one value; None if nothing is."""
    if was is not None and now is not None:
        if was.value == now.value:
            return None
        is_more = not isinstance(now.value, int) or not isinstance(was.value, int) or now.value > was.value
        is_wider = is_more is now.more_is_wider or now.more_is_wider is None
        return StudyShift(f"{key}: was {was.text}, is now {now.text}", is_wider, now.clause)
    held = now or was
    if held is None or held.more_is_wider is not True:
        return None  # it goes or comes with what it belongs to
    return StudyShift(f"{key}: {held.text} {'is new' if now else 'is gone'}", now is not None, held.clause)


@dataclass(frozen=True, slots=True)
class _Said:
    """One value, and whether more of it lets researchers do more; None: any other value may."""

    value: int | str
    text: str
    more_is_wider: bool | None
    clause: str


def _said(part: Research | None) -> dict[str, _Said]:
    """Everything that counts, by what it is called."""
    if part is None:
        return {}
    found = dict(_of_all(part))
    for project in part.projects:
        found |= _of_project(project)
    return found


def _of_all(part: Research) -> Iterator[tuple[str, _Said]]:
    """What holds for every project."""
    clause = "research"
    yield "what one agency spends in a period", _rho(part.node_cap_nrho, clause)
    for name, days, is_wider in (
        ("days until that is given back", part.period_days, False),
        ("agencies that may hold anything of one child", part.most_agencies, False),
        ("operators that may collude", -1 if part.colluding is None else part.colluding, False),
    ):
        text = "as many as their number says" if days < 0 else str(days)
        yield name, _Said(days, text, is_wider, clause)
    for table in part.tables:
        clause = f"research table {table.id}"
        for holder in table.holders:
            yield f"table {table.id} of {holder}", _Said(holder, "may be asked: it", True, clause)
        yield f"table {table.id}, holders of one child's rows", _Said(table.k, str(table.k), False, clause)
        # Left out, it follows c; any number written in its place is looked at as if it were less.
        least = table.min_holders
        text = str(least) if least else "two beside those that may collude"
        yield f"table {table.id}, holders that must take part", _Said(least or 101, text, False, clause)
    for one in part.researchers:
        # Never its fingerprint, which stewards are to hear and type.
        key = _Said(one.key.hex(), f"the key {one.key.hex()}", None, f"researcher {one.id}")
        yield f"researcher {one.id}", key


def _of_project(project: Project) -> dict[str, _Said]:
    """What one project may."""
    clause, name = f"research project {project.id}", f"project {project.id}"
    is_open = project.state == "open"
    found = {
        f"{name}, state": _Said(int(is_open), project.state, True, clause),
        f"{name}, all its studies": _rho(project.cap_nrho, clause),
        f"{name}, studies of one researcher": _rho(project.researcher_cap_nrho, clause),
        f"{name}, one share alone": _rho(project.floor_nrho, clause),
        f"{name}, operators that must take part": _Said(
            project.min_roster, str(project.min_roster), False, clause
        ),
        f"{name}, until": _at(project.valid_until, True, clause),
        f"{name}, from": _at(project.valid_from, False, clause),
    }
    for kind, listed in (("person", project.people), ("table", project.tables)):
        found |= {f"{name}, {kind} {one}": _Said(one, "that", True, clause) for one in listed}
    whose = project.participants or ("every party",)
    return found | {f"{name}, data of {one}": _Said(one, "that", True, clause) for one in whose}


def _rho(nrho: int, clause: str) -> _Said:
    return _Said(nrho, f"rho {nrho / NANO:g}", True, clause)


def _at(moment: datetime, is_wider: bool, clause: str) -> _Said:
    return _Said(int(moment.timestamp()), format_instant(moment), is_wider, clause)
