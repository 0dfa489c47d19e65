"""For data protection officers: the record of processing activities, and an annex to the impact assessment.

Promises: says what agreement and software give, and marks with "To fill in" what only a controller can.
Source:   UK GDPR Art 30(1) (contents of the record), Art 35(7) (contents of an assessment).
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from elsewhere.agreement.render.full import ABOUT, LAWYER
from elsewhere.agreement.render.page import Page
from elsewhere.agreement.render.research import say_register, say_risks
from elsewhere.agreement.render.words import (
    TIERS,
    basis_in_words,
    obligation_in_words,
    purpose_in_words,
    side_in_words,
    when,
)
from elsewhere.agreement.terms import Agreement, Effect, Rule
from elsewhere.agreement.vocabulary import delete_after_days, vocabulary


def processing_page(agreement: Agreement) -> Page:
    """Write the record of processing activities: one activity for each rule that gives an answer."""
    page = Page(f"{agreement.title}: record of processing activities")
    page.say(LAWYER, ABOUT)
    page.say(
        f"It follows Article 30(1) of the UK GDPR, for version {agreement.version} of the agreement"
        f" {agreement.id}.",
        "version",
    )
    page.heading("Controllers")
    for party in agreement.parties:
        clause = f"party {party.agency_id}"
        page.item(
            f"{party.name} ({vocabulary().sectors[party.sector].name}) is controller of its own"
            f" records and of the"
            f" questions that it asks; call {party.duty_contact_in_hours}.",
            clause,
        )
        page.item(f"To fill in: the data protection officer of {party.name}, and how to reach them.", clause)
    page.heading("People and data")
    page.item("Children whom a party works with, or worked with, or is asked about.", "collections")
    page.item("Practitioners who ask; other parties see them under a pseudonym.", "collections")
    for entry in agreement.collections:
        page.item(f"Data: {vocabulary().collections[entry.id].name}.", f"collection {entry.id}")
    page.heading("Activities")
    for rule in _giving(agreement):
        _activity(page, rule, agreement)
    say_register(page, agreement)
    page.heading("Transfers, erasure, security")
    page.item("This agreement names no party outside the United Kingdom by itself.", "parties")
    page.item(
        "To fill in: where each party keeps its node, if that is outside the United Kingdom.", "parties"
    )
    page.item(
        f"Nothing is answered from {when(agreement.validity.valid_until)} on; each party keeps or"
        f" erases its own"
        " records by its own schedule.",
        "valid_until",
    )
    for sentence in _MEASURES:
        page.item(sentence, "rules")
    return page


_WITHOUT_CONSENT = MappingProxyType(
    {
        "CANNOT_GIVE": "the person cannot give consent",
        "CANNOT_REASONABLY_OBTAIN": "consent cannot reasonably be obtained",
        "WOULD_PREJUDICE": "asking for consent would work against the protection",
    }
)
_MEASURES = (
    "Records stay with the agency that holds them; a question travels encrypted from end to end,"
    " and the child in"
    " it is blinded.",
    "Whoever carries the questions can neither read them nor tell whether anything was found.",
    "Each agency writes every question into a log before it answers; receipts prove what was asked"
    " and given.",
)


def assessment_page(agreement: Agreement) -> Page:
    """Write the annex to a data protection impact assessment."""
    page = Page(f"{agreement.title}: annex to the impact assessment")
    page.say(LAWYER, ABOUT)
    page.say(
        "It gives what Article 35(7) of the UK GDPR asks for as far as the agreement says it."
        " Judging need, risk and"
        " balance is for people; their part is marked.",
        ABOUT,
    )
    page.heading("What is done")
    page.item(
        f"{len(agreement.parties)} agencies ask each other whether their services know a child.", "parties"
    )
    for rule in _giving(agreement):
        page.item(
            f"{rule.words} Asks: {side_in_words(rule.dest, agreement)}; answers:"
            f" {side_in_words(rule.source, agreement)}.",
            f"rule {rule.id}",
        )
    page.heading("Why it is needed, and that it is no more than needed")
    for rule in _giving(agreement):
        clause = f"rule {rule.id}"
        for purpose in rule.purposes or vocabulary().purposes:
            page.item(f"Purpose: {purpose_in_words(vocabulary().purposes[purpose])}.", clause)
        page.item(f"The most that is told: {TIERS[rule.tier]}.", clause)
        page.item("To fill in: why less would not do.", clause)
    page.heading("Risks, and what is done about them")
    limits = agreement.limits
    for risk, measure, clause in (
        (
            "Somebody asks about a child without need",
            f"each question states purpose, basis and person; one person may ask"
            f" {limits.per_person_per_day} a day"
            f" and {limits.burst} a minute at one agency, one agency {limits.per_agency_per_day} a day",
            "limits",
        ),
        (
            "An answer shows where a child in hiding is",
            "children whose whereabouts are protected are in a collection of their own",
            "collections",
        ),
        (
            "An old answer is taken for a new one",
            "an answer from records older than agreed says so: "
            + ", ".join(f"{entry.id} {entry.max_age_days} days" for entry in agreement.collections),
            "collections",
        ),
        (
            "Nothing is found and a child is taken to be safe",
            "every screen and print says that nothing returned does not mean not known",
            "rules",
        ),
        (
            "The rules are widened without anybody seeing",
            "the agreement is signed, versions are compared by what they do, and no agency can"
            " widen it alone",
            "version",
        ),
        (
            "An emergency finds the limit reached",
            f"{limits.red_reserve} more questions are answered when a child is at risk today",
            "limits",
        ),
    ):
        page.item(f"Risk: {risk}. Measure: {measure}.", clause)
    say_risks(page, agreement)
    page.item("To fill in: how likely and how bad each risk is for children and families here.", "rules")
    page.heading("Who was asked")
    page.item(
        "To fill in: what children, families, practitioners and the officers for data protection said.", ABOUT
    )
    page.item(f"The parties look at this again by {when(agreement.validity.review_by)}.", "review_by")
    return page


def _giving(agreement: Agreement) -> Iterable[Rule]:
    """Rules under which anything is told."""
    return [rule for rule in agreement.rules if rule.effect is not Effect.DENY]


def _activity(page: Page, rule: Rule, agreement: Agreement) -> None:
    """One activity of the record."""
    words, clause = vocabulary(), f"rule {rule.id}"
    page.heading(f"Rule {rule.id}: {rule.words}", 3)
    for purpose in rule.purposes or words.purposes:
        page.item(f"Purpose: {purpose_in_words(words.purposes[purpose])}.", clause)
    for basis in rule.bases or words.bases:
        page.item(f"Rests on: {basis_in_words(words.bases[basis])}.", clause)
        for reason in words.bases[basis].reasons:
            page.item(f"To fill in: whether {_WITHOUT_CONSENT[reason]}.", clause)
    page.item(
        f"Data: {words.collections[rule.collection].name}; the answer says at most {TIERS[rule.tier]}.",
        clause,
    )
    page.item(f"Given by: {side_in_words(rule.source, agreement)}.", clause)
    page.item(f"Recipients: {side_in_words(rule.dest, agreement)}.", clause)
    days = [found for word in rule.obligations if (found := delete_after_days(word)) is not None]
    if not days:
        page.item("Erasure: no time is agreed; the recipient's own schedule applies.", clause)
    for obligation in rule.obligations:
        page.item(f"With it, {obligation_in_words(obligation)}.", clause)
