"""What of the research part is lawful TOML but probably not what its writers meant.

Sees:     an agreement that reads. Who operates a node stands in the roster: each party counts as an operator.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from elsewhere.agreement.studies import HeldTable, Project, Research, usual_colluding
from elsewhere.agreement.terms import Agreement

MUCH_NRHO = 1_000_000_000  # rho 1: an epsilon of about 8 at a delta of a millionth
TELLING_NRHO = 500_000_000  # rho 0.5: an epsilon of about 5
Found = tuple[str, str, str]  # code, key, message


def find_of_research(agreement: Agreement, now: datetime) -> Iterator[Found]:
    """Find what a careful reader would ask about: code, key, message."""
    research = agreement.research
    if research is None:
        return
    for code, key, message in _whole(research, len(agreement.parties)):
        yield code, f"research.{key}", message
    colluding = _colluding(agreement, research)
    for index, table in enumerate(research.tables, 1):
        for code, message in _table(research, table, colluding):
            yield code, f"research.tables[{index}]", f"table {table.id}: {message}"
    people = {one for project in research.projects for one in project.people}
    for index, person in enumerate(research.researchers, 1):
        if person.id not in people:
            yield "research.idle", f"research.researchers[{index}]", f"{person.id} is of no project"
    for index, project in enumerate(research.projects, 1):
        at = f"research.projects[{index}]"
        for code, message in _project(agreement, research, project, now):
            yield code, at, f"project {project.id}: {message}"


def _colluding(agreement: Agreement, research: Research) -> int:
    """c, as it is with every party run by an operator of its own."""
    return research.colluding or usual_colluding(len(agreement.parties))


def _whole(research: Research, parties: int) -> Iterator[Found]:
    """What is odd about what holds for every project."""
    if research.node_cap_nrho > MUCH_NRHO:
        message = "one agency's node may spend more than rho 1: much can be learned of one child then"
        yield "research.much", "node_cap_nrho", message
    usual = usual_colluding(parties)
    if research.colluding is not None and research.colluding < usual:
        message = f"{research.colluding} may collude; of {parties} parties {usual} is usual"
        yield "research.colluding", "colluding", message
    holding = len({holder for table in research.tables for holder in table.holders})
    is_less = research.most_agencies < holding
    if not research.why and (is_less or research.colluding is not None):
        yield "research.why", "most_agencies", "it does not say why one child is at no more, or c is right"


def _table(research: Research, table: HeldTable, colluding: int) -> Iterator[tuple[str, str]]:
    """What is odd about one table."""
    if table.k > research.most_agencies:
        yield "research.holders", f"one child's rows at {table.k} holders, anything of it at fewer agencies"
    safe = colluding + 2
    if not table.min_holders and len(table.holders) < safe:
        message = (
            f"{len(table.holders)} hold it and {safe} must: nothing is answered; min_holders allows less"
        )
        yield "research.unanswered", message
    elif 0 < table.min_holders < safe:
        message = f"with {table.min_holders} of its holders in a total, and {colluding} in collusion, one"
        yield "research.alone", f"{message} agency's own number shows, with noise alone before it"
    if not table.why and (table.k < len(table.holders) or 0 < table.min_holders < safe):
        yield "research.why", "it does not say why so few hold rows of one child, or may be in a total"


def _project(
    agreement: Agreement, research: Research, project: Project, now: datetime
) -> Iterator[tuple[str, str]]:
    """What is odd about one project."""
    parties = project.participants or tuple(party.agency_id for party in agreement.parties)
    colluding = _colluding(agreement, research)
    needed = max(project.min_roster, colluding + 2)
    if len(parties) < needed:
        yield "research.few", f"{len(parties)} agencies can take part, and {needed} must: nothing is answered"
    asked = [table for table in research.tables if table.id in project.tables]
    missing = {holder for table in asked for holder in table.holders if holder not in parties}
    if missing:
        yield "research.absent", f"holds a table but takes no part: {', '.join(sorted(missing))}"
    for table in asked:
        least, holding = table.min_holders or colluding + 2, len(set(table.holders) & set(parties))
        if holding < least <= len(table.holders):
            message = f"{holding} holders of {table.id} can take part, and {least} must: nothing is answered"
            yield "research.unanswered", message
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
