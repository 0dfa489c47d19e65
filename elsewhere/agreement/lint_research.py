"""What of the research part is lawful TOML but probably not what its writers meant.

Sees:     an agreement that reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from elsewhere.agreement.studies import Project, Research
from elsewhere.agreement.terms import Agreement

MUCH_NRHO = 1_000_000_000  # rho 1: an epsilon of about 8 at a delta of a millionth
TELLING_NRHO = 500_000_000  # rho 0.5: an epsilon of about 5
Found = tuple[str, str, str]  # code, key, message


def find_of_research(agreement: Agreement, now: datetime) -> Iterator[Found]:
    """Find what a careful reader would ask about: code, key, message."""
    research = agreement.research
    if research is None:
        return
    if research.node_cap_nrho > MUCH_NRHO:
        message = "one agency's node may spend more than rho 1: much can be learned of one child then"
        yield "research.much", "research.node_cap_nrho", message
    for index, table in enumerate(research.tables, 1):
        if table.k > research.most_agencies:
            message = f"rows of one child at {table.k} holders, but anything of it at fewer agencies"
            yield "research.holders", f"research.tables[{index}]", message
    people = {one for project in research.projects for one in project.people}
    for index, person in enumerate(research.researchers, 1):
        if person.id not in people:
            yield "research.idle", f"research.researchers[{index}]", f"{person.id} is of no project"
    for index, project in enumerate(research.projects, 1):
        at = f"research.projects[{index}]"
        for code, message in _project(agreement, research, project, now):
            yield code, at, f"project {project.id}: {message}"


def _project(
    agreement: Agreement, research: Research, project: Project, now: datetime
) -> Iterator[tuple[str, str]]:
    """What is odd about one project."""
    parties = project.participants or tuple(party.agency_id for party in agreement.parties)
    least = (research.colluding or 1) + 2
    if len(parties) < max(project.min_roster, least):
        needed = max(project.min_roster, least)
        yield "research.few", f"{len(parties)} agencies can take part, and {needed} must: nothing is answered"
    missing = {
        holder
        for table in research.tables
        if table.id in project.tables
        for holder in table.holders
        if holder not in parties
    }
    if missing:
        yield "research.absent", f"holds a table but takes no part: {', '.join(sorted(missing))}"
    if project.state == "open" and now >= project.valid_until:
        yield "research.ended", "it is open, and its time is over"
    if project.valid_until > agreement.validity.valid_until:
        yield "research.dates", "it goes on after the agreement has ended"
    if project.floor_nrho > TELLING_NRHO:
        yield (
            "research.floor",
            f"its floor of rho {project.floor_nrho / 1e9:g} is what one query may cost a child if all other "
            "agencies pooled their shares: much for one query",
        )
    if project.cap_nrho > research.node_cap_nrho:
        yield "research.caps", "it may spend more than one agency's node answers for"
