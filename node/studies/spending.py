"""What studies have cost this node so far, project by project, beside the caps of the agreement.

Sees:     ids of projects and researchers, and costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from elsewhere.agreement.studies import Research
from elsewhere.canonical import Json
from elsewhere.clock import to_ms
from node.store.studies import charge
from node.studies.budget import is_unsettled


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
