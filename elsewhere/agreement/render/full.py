"""The agreement in plain English, all of it: whoever has read this has read what machines enforce.

Promises: every field of the agreement is in the text, with its clause; a changed field changes the text.
"""

from __future__ import annotations

from elsewhere.agreement.render.page import Page
from elsewhere.agreement.render.research import say_whole
from elsewhere.agreement.render.words import (
    TIERS,
    basis_in_words,
    obligation_in_words,
    purpose_in_words,
    side_in_words,
    status_in_words,
    when,
)
from elsewhere.agreement.terms import Agreement, Effect, Party, Rule
from elsewhere.agreement.vocabulary import vocabulary

ABOUT = "about this text"
LAWYER = (
    "A lawyer, and where health is a party a Caldicott Guardian, checks every row of this before it is used"
    " for real people; it was written by a program and is not legal advice."
)


def agreement_page(agreement: Agreement) -> Page:
    """Write the whole agreement."""
    page = Page(agreement.title)
    page.say(LAWYER, ABOUT)
    page.say(
        f"This is version {agreement.version} of the agreement {agreement.id}; its words are of vocabulary"
        f" {vocabulary().version}.",
        "version",
    )
    page.heading("What it is for")
    page.say(
        "The parties ask each other one question about a child: does your service know this child? No party"
        " hands its records to another or to anybody in the middle.",
        ABOUT,
    )
    page.say(
        "What no rule below allows is not answered. A rule that says no beats one that lets a person decide,"
        " and that beats one that says yes; among those of one kind the narrower rule beats the wider.",
        "rules",
    )
    page.say(
        "Each party may answer less than this allows, by a policy of its own, and never more.", "rules"
    )  # fmt: skip
    _dates(page, agreement)
    page.heading("Who is bound, and whom to call")
    for party in agreement.parties:
        _party(page, party)
    page.heading("What may be asked about")
    for entry in agreement.collections:
        collection = vocabulary().collections[entry.id]
        days = f"{entry.max_age_days} day{'s' if entry.max_age_days > 1 else ''}"
        page.item(
            f"{collection.name[:1].upper()}{collection.name[1:]} ({entry.id}); an answer from records"
            f" older than {days} says so.",
            f"collection {entry.id}",
        )
    page.heading("Who may ask what")
    for rule in agreement.rules:
        _rule(page, rule, agreement)
    _limits(page, agreement)
    say_whole(page, agreement)
    return page


def _dates(page: Page, agreement: Agreement) -> None:
    """When it is in force, and two switches that depend on the law."""
    validity = agreement.validity
    page.heading("When it is in force")
    page.item(f"It begins on {when(validity.valid_from)}.", "valid_from")
    page.item(f"It ends on {when(validity.valid_until)}: from then on nothing is answered.", "valid_until")
    page.item(f"The parties look at it again by {when(validity.review_by)}.", "review_by")
    duty = vocabulary().bases["A6C_DUTY"]
    if agreement.duty_from is None:
        page.item(
            f"The duty to share ({duty.statute}) counts from {when(vocabulary().duty_from)}, as the"
            " vocabulary has it; before, bodies that it binds ask as a public task.",
            "duty_from",
        )
    else:
        page.item(
            f"The duty to share ({duty.statute}) counts from {when(agreement.duty_from)}, as the parties"
            " state here; before, bodies that it binds ask as a public task.",
            "duty_from",
        )
    on = agreement.duty_sets_confidence_aside
    page.item(
        f"The duty to share {'sets' if on else 'does not set'} the common law of confidence aside (CL_DUTY).",
        "duty_sets_confidence_aside",
    )


def _party(page: Page, party: Party) -> None:
    """One party."""
    sector, clause = vocabulary().sectors[party.sector], f"party {party.agency_id}"
    page.item(
        f"{party.name} ({party.agency_id}), {sector.name} ({party.sector}), {status_in_words(party)}.", clause
    )
    page.item(
        f"Call {party.name} at {party.duty_contact_in_hours};"
        f" out of hours at {party.duty_contact_out_of_hours}.",
        clause,
    )
    if party.steward_key is not None:
        page.item(f"Its steward signs with the key {party.steward_key.hex()}.", clause)


def _rule(page: Page, rule: Rule, agreement: Agreement) -> None:
    """One rule, a sentence for each thing it says."""
    words, clause = vocabulary(), f"rule {rule.id}"
    page.heading(f"Rule {rule.id}", 3)
    page.item(rule.words, clause)
    page.item(f"May ask: {side_in_words(rule.dest, agreement)}.", clause)
    page.item(f"Answers: {side_in_words(rule.source, agreement)}.", clause)
    page.item(f"It is about {words.collections[rule.collection].name} ({rule.collection}).", clause)
    page.item(f"Kinds of record: {', '.join(rule.record_types) or 'all'}.", clause)
    for name in rule.purposes:
        page.item(f"Purpose: {purpose_in_words(words.purposes[name])}.", clause)
    if not rule.purposes:
        page.item("Purpose: any.", clause)
    for name in rule.bases:
        kind = "Lawful basis" if words.bases[name].carries_a_question else "Further condition"
        page.item(f"{kind}: {basis_in_words(words.bases[name])}.", clause)
    if not rule.bases:
        page.item("Lawful basis: any.", clause)
    if rule.effect is Effect.DENY:
        page.item("Such a question is not answered (DENY).", clause)
    else:
        decides = "A machine may answer at once (PERMIT)"
        if rule.effect is Effect.REVIEW:
            decides = "A person at the agency that answers decides (REVIEW)"
        page.item(f"{decides}; the answer says at most {TIERS[rule.tier]} ({rule.tier.name}).", clause)
    for word in rule.obligations:
        page.item(f"With it, {obligation_in_words(word)} ({word}).", clause)
    if rule.valid_from is not None:
        page.item(f"It applies from {when(rule.valid_from)}.", clause)
    if rule.valid_until is not None:
        page.item(f"It ends on {when(rule.valid_until)}.", clause)


def _limits(page: Page, agreement: Agreement) -> None:
    """How much may be asked, how soon a person decides, and what is always done."""
    limits = agreement.limits
    page.heading("How much may be asked, and how soon a person decides")
    page.item(
        f"A party answers at most {limits.per_agency_per_day} questions of one agency in a day, and at most"
        f" {limits.per_person_per_day} of one person.",
        "limits",
    )
    page.item(f"It answers at most {limits.burst} questions of one person in a minute.", "limits")
    page.item(
        f"When a day's limit is reached, {limits.red_reserve} more are answered if a child is at risk today;"
        " each is reviewed afterwards.",
        "limits",
    )
    for urgency in vocabulary().urgencies.values():
        page.item(
            f"Where a person has to decide: {urgency.name} ({urgency.id}), within {urgency.hours} hours.",
            f"urgency {urgency.id}",
        )
    page.item(f"Always, {obligation_in_words('LOG')} (LOG).", "obligation LOG")
