"""What every document says of research: projects, people, tables, and what may be spent.

Promises: a changed field of the research part changes the text of the whole agreement; an agreement without
          that part says that there is none.
"""

from __future__ import annotations

from elsewhere.agreement.render.page import Page
from elsewhere.agreement.render.words import basis_in_words, purpose_in_words, when
from elsewhere.agreement.studies import HeldTable, Project, Research
from elsewhere.agreement.terms import Agreement
from elsewhere.agreement.vocabulary import vocabulary
from elsewhere.research.dictionary import dictionary

_NANO = 1_000_000_000


def say_whole(page: Page, agreement: Agreement) -> None:
    """All of it, for the agreement in plain English."""
    page.heading("Research")
    research = agreement.research
    if research is None:
        page.say("No research is agreed: no totals are answered.", "research")
        return
    page.say(
        "Researchers of the projects below get totals over all agencies with noise in them, and nothing of"
        " any child. Which agency's own number can show in one is said with each table.",
        "research",
    )
    for sentence in _protection(research):
        page.item(sentence, "research")
    for table in research.tables:
        holders = ", ".join(_name(agreement, one) for one in table.holders)
        page.item(
            f"{dictionary().tables[table.id].words.capitalize()} ({table.id}) are held by {holders};"
            f" one child has rows at {table.k} of them at most. {_together(table)}{_because(table.why)}",
            f"research table {table.id}",
        )
    for person in research.researchers:
        page.item(
            f"{person.name} ({person.id}) of {person.organisation} signs with the key {person.key.hex()}.",
            f"researcher {person.id}",
        )
    for project in research.projects:
        _project(page, project, agreement, research)


def say_register(page: Page, agreement: Agreement) -> None:
    """Projects and people, for the public register and the record of processing."""
    if agreement.research is None:
        return
    page.heading("Research on totals")
    for project in agreement.research.projects:
        clause = f"research project {project.id}"
        page.item(
            f"{project.title} ({project.state}); asked by {_people(agreement.research, project)}.", clause
        )
        page.item(f"Purpose: {purpose_in_words(vocabulary().purposes[project.purpose])}.", clause)
        for basis in project.bases:
            page.item(f"Legal gateway: {basis_in_words(vocabulary().bases[basis])}.", clause)
        tables = ", ".join(dictionary().tables[table].words for table in project.tables)
        page.item(f"Data: noisy totals of {tables}. {project.data}", clause)
        page.item(f"What becomes of the results: {project.output}", clause)
        page.item(f"From {when(project.valid_from)} until {when(project.valid_until)}.", clause)


def say_risks(page: Page, agreement: Agreement) -> None:
    """Risks of totals and what is done about them, for the impact assessment."""
    research = agreement.research
    if research is None:
        return
    page.heading("Research on totals: risks, and what is done about them")
    page.item(
        "Risk: a total tells something of one child. Measure: every total has noise in it, what it can tell"
        " is charged to a budget, and beyond the budget nothing is answered.",
        "research",
    )
    page.item(
        "Risk: one agency's own total is taken out of the whole. Measure: shares are masked so that only"
        f" their sum opens, and noise suffices though {_collusion(research)}.",
        "research",
    )
    for table in research.tables:
        if table.min_holders == 1:
            words = dictionary().tables[table.id].words
            page.item(
                f"Risk that is accepted: a total of {words} may be one agency's own number."
                f" Measure: noise alone.{_because(table.why)}",
                f"research table {table.id}",
            )
    for project in research.projects:
        clause = f"research project {project.id}"
        page.item(f"To fill in: why {project.title} needs these tables and this budget.", clause)


def say_to_families(page: Page, agreement: Agreement) -> None:
    """A few plain sentences, for the notice."""
    if agreement.research is None:
        return
    page.heading("Research")
    page.item("Some people count how many children need help, so that help gets better.", "research")
    page.item("They see numbers only. They never see a name or a story.", "research")
    page.item("Each number is made a little wrong on purpose, so that no one can find you in it.", "research")


def _project(page: Page, project: Project, agreement: Agreement, research: Research) -> None:
    """One project, a sentence for each thing it says."""
    clause = f"research project {project.id}"
    page.heading(f"Project {project.id}: {project.title}", 3)
    page.item(f"It is {project.state}.", clause)
    page.item(f"Purpose: {purpose_in_words(vocabulary().purposes[project.purpose])}.", clause)
    for basis in project.bases:
        page.item(f"Lawful basis: {basis_in_words(vocabulary().bases[basis])}.", clause)
    page.item(f"People: {_people(research, project)}.", clause)
    page.item(f"Tables: {', '.join(project.tables)}. Why these: {project.data}", clause)
    page.item(f"Setting: {project.setting}", clause)
    page.item(f"What becomes of the results: {project.output}", clause)
    who = ", ".join(_name(agreement, one) for one in project.participants) or "every party"
    page.item(f"Takes part: {who}; at least {project.min_roster} operators must.", clause)
    page.item(
        f"It may spend rho {_rho(project.cap_nrho)}, and one person rho {_rho(project.researcher_cap_nrho)}.",
        clause,
    )
    page.item(
        f"One agency's share alone never tells more than rho {_rho(project.floor_nrho)} an answer.", clause
    )
    display = project.display
    page.item(
        f"Numbers are shown rounded to {display.round_to}, and not at all under {display.suppress_under}.",
        clause,
    )
    page.item(f"It runs from {when(project.valid_from)} until {when(project.valid_until)}.", clause)


def _protection(research: Research) -> tuple[str, ...]:
    """What holds for all projects."""
    return (
        f"One agency's node answers for rho {_rho(research.node_cap_nrho)} at most in {research.period_days}"
        " days, over all projects.",
        f"A child is taken to be on record at {research.most_agencies} agencies at most.",
        f"The noise suffices though {_collusion(research)}.{_because(research.why)}",
    )


def _together(table: HeldTable) -> str:
    """How many holders are in a total at least."""
    if table.min_holders == 1:
        return (
            "A total may be of one of them alone: it is that agency's own number then, and has noise alone."
        )
    if table.min_holders:
        return f"A total is of {table.min_holders} of them at least, each run by another operator."
    return "A total is of two of them at least beside those that may work together with the researcher."


def _because(why: str) -> str:
    return f" Why: {why}" if why else ""


def _collusion(research: Research) -> str:
    """Who may work together."""
    if research.colluding is None:
        return "one operator, or with more than five a third of them, works together with the researcher"
    return f"{research.colluding} of the operators work together with the researcher"


def _people(research: Research, project: Project) -> str:
    """The people of a project, with their organisations."""
    found = [research.researcher(one) for one in project.people]
    return ", ".join(f"{one.name} of {one.organisation}" for one in found if one is not None)


def _name(agreement: Agreement, agency: str) -> str:
    party = agreement.party(agency)
    return party.name if party is not None else agency


def _rho(nrho: int) -> str:
    return f"{nrho / _NANO:.12g}"
