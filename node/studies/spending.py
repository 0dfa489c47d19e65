"""What studies have cost this node so far, project by project, beside the caps of the agreement.

Sees:     ids of projects and researchers, and costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from elsewhere.agreement.studies import Research
from elsewhere.agreement.terms import Agreement
from elsewhere.canonical import Json
from elsewhere.clock import to_ms
from node.store.studies import charge
from node.studies.budget import Spender, is_unsettled
from node.studies.errors import SpenderUnknown


@dataclass(frozen=True, slots=True)
class Line:
    """What was spent under one cap, in nano-rho."""

    project: str  # empty: all of them
    researcher: str  # empty: everybody
    spent_nrho: int
    cap_nrho: int

    def to_json(self) -> dict[str, Json]:
        """Write it."""
        return {
            "project": self.project,
            "researcher": self.researcher,
            "spent_nrho": self.spent_nrho,
            "cap_nrho": self.cap_nrho,
        }


@dataclass(frozen=True, slots=True)
class Spending:
    """All of it."""

    node: Line  # within the period
    lines: tuple[Line, ...]  # each project, and under it each of its people
    is_unsettled: bool  # after a restore, until somebody says what is missing

    def to_json(self) -> dict[str, Json]:
        """Write it."""
        return {
            "node": self.node.to_json(),
            "projects": [line.to_json() for line in self.lines],
            "is_unsettled": self.is_unsettled,
        }


def check_known(connection: Connection, agreement: Agreement | None, spenders: Sequence[Spender]) -> None:
    """Return only if agreement or ledger know each project and person: a misspelt one would charge nobody.

    Raises:
        SpenderUnknown: names those that there are.
    """
    research = agreement.research if agreement is not None else None
    projects = research.projects if research is not None else ()
    known = {(project.id, who) for project in projects for who in project.people}
    before = select(charge.c.project, charge.c.researcher).distinct()
    known |= {(project, who) for project, who in connection.execute(before)}
    for one in spenders:
        if (one.project, one.researcher) not in known:
            listed = ", ".join(sorted(f"{project}:{who}" for project, who in known)) or "none"
            raise SpenderUnknown(
                f"expected a project and a person of it ({listed}), got {one.project}:{one.researcher}"
            )


def spending(connection: Connection, research: Research, now: datetime) -> Spending:
    """Add up what was charged."""
    since = charge.c.time_ms > to_ms(now - research.period)
    total = select(func.coalesce(func.sum(charge.c.nrho), 0)).where(since)
    node = Line("", "", int(connection.execute(total).scalar_one()), research.node_cap_nrho)
    by_person = select(charge.c.project, charge.c.researcher, func.sum(charge.c.nrho)).group_by(
        charge.c.project, charge.c.researcher
    )
    spent = {(project, who): int(nrho) for project, who, nrho in connection.execute(by_person)}
    lines = []
    for project in research.projects:
        whole = sum(nrho for (other, _), nrho in spent.items() if other == project.id)
        lines.append(Line(project.id, "", whole, project.cap_nrho))
        for who in project.people:
            lines.append(Line(project.id, who, spent.get((project.id, who), 0), project.researcher_cap_nrho))
    return Spending(node, tuple(lines), is_unsettled(connection))
