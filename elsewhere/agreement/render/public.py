"""For the public: the privacy notice for families, in words a child of twelve can read, and a register entry.

Promises: every purpose of the vocabulary has a reason here in plain words; a test holds it to that.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from elsewhere.agreement.render.full import ABOUT, LAWYER
from elsewhere.agreement.render.page import Page
from elsewhere.agreement.render.research import say_register, say_to_families
from elsewhere.agreement.render.words import basis_in_words, purpose_in_words, side_in_words, when
from elsewhere.agreement.terms import Agreement, Effect, Party, Rule, Scope
from elsewhere.agreement.vocabulary import Tier, delete_after_days, vocabulary

REASONS: Final = MappingProxyType(
    {
        "S47_ENQUIRY": "to find out if a child is being badly hurt",
        "STRATEGY_DISCUSSION": "to plan together how to keep a child safe",
        "EMERGENCY_PROTECTION": "to keep a child safe right now",
        "MASH_TRIAGE": "to decide what to do when someone is worried about a child",
        "CIN_ASSESSMENT": "to work out what help a child needs",
        "EARLY_HELP": "to offer help early, before things get worse",
        "UNSCHEDULED_CARE": "to look after a child who comes to hospital or sees a doctor without a plan",
        "SCHOOL_SAFEGUARDING": "to keep a child safe at school",
        "MISSING_CHILD": "to find a child who is missing",
        "PUBLIC_PROTECTION": "to keep a child safe from someone who may hurt them",
        "PRACTICE_REVIEW": "to learn what could have gone better after a child was badly hurt",
        "RESEARCH_AGG": "to count, without names, so that research can learn",
        "SERVICE_PLANNING": "to count, without names, so that services can plan",
        "CONCERN_MATCH": "to see if two people are worried about the same child",
        "OVERSIGHT": "to check that nobody asks without a good reason",
    }
)
LEARN: Final = MappingProxyType(
    {
        Tier.R0: "They learn numbers only, and nothing about you.",
        Tier.R1: "They learn only that the other service knows you.",
        Tier.R2: "They learn if the other service knows you, if it sees you now, and who to call.",
        Tier.R3: "They learn if the other service knows you, if it sees you now, who to call, and"
        " if there is a plan to"
        " keep you safe.",
    }
)
COLLECTIONS: Final = MappingProxyType(
    {
        "shielded": "This rule is about children whose home must stay secret.",
        "concern": "This rule is only about worries that were written down before.",
    }
)
DUTIES: Final = MappingProxyType(
    {
        "LOG": "It is written down who asked and why.",
        "NOTIFY_DESK": "A person at the other service is told at once.",
        "SILENT": "No one is sent a message about it.",
        "NO_ONWARD": "They must not pass it on.",
        "HUMAN_REVIEW": "A person must say yes first.",
        "RECORD_DETRIMENT": "If the answer is held back, it is written down why.",
        "SECOND_PERSON": "A second person checks it within a day.",
    }
)
MANY: Final = 6  # names in one sentence
_PLEDGES: Final = (
    ("Your notes stay with the service that wrote them.", "rules"),
    ("No one puts all children on one big list.", "rules"),
    ("No computer gives you or your family a score.", "rules"),
    ("No one can ask just because they want to know.", "rules"),
    ("Each question is written down, so that people can check who asked and why.", "obligation LOG"),
)
_RIGHTS: Final = (
    "You can ask each service what it knows about you, and who asked about you.",
    "You can ask a service to put right what is wrong.",
    "You can say that you do not want this. The service must listen, and tell you why if it does not stop.",
    "Now and then a service may not tell you everything, if telling could put a child at risk.",
    "If you are not happy, you can tell the Information Commissioner. It is free. See ico.org.uk.",
)


def notice_page(agreement: Agreement) -> Page:
    """Write the privacy notice for families."""
    page = Page("How services ask each other about you")
    page.say(
        "This page is for children, young people and their families. It says which services may ask"
        " each other about"
        " you, why, and what they learn.",
        ABOUT,
    )
    page.heading("Why we do this")
    page.say(
        "Some children see many services. Each one may see a small part of what is wrong. When a"
        " child may be at risk,"
        " a service can ask the others: do you know this child?",
        ABOUT,
    )
    page.heading("Who we are")
    for party in agreement.parties:
        page.item(f"{party.name}.", f"party {party.agency_id}")
    page.heading("Who may ask, and why")
    for rule in agreement.rules:
        if rule.effect is Effect.DENY:
            continue
        _told(page, rule, agreement)
    say_to_families(page, agreement)
    page.heading("What we do not do")
    for sentence, clause in _PLEDGES:
        page.item(sentence, clause)
    page.heading("Why we do not ask for your permission first")
    page.say(
        "The law says that services must or may share to keep children safe. If we asked for a yes,"
        " a no could not"
        " always be kept, and that would not be fair. If it is safe, people should still tell you.",
        "basis A6A_CONSENT",
    )
    page.heading("What you can do")
    for sentence in _RIGHTS:
        page.item(sentence, ABOUT)
    page.heading("How long")
    page.say(
        f"These rules start on {_day(agreement, start=True)} and end on {_day(agreement, start=False)}.",
        "valid_until",
    )
    page.heading("About this page")
    page.say("A computer wrote this page from the rules. A lawyer must check it before it is used.", ABOUT)
    return page


def register_page(agreement: Agreement) -> Page:
    """Write the entry for a public register of sharing agreements."""
    page = Page(f"Register entry: {agreement.title}")
    page.say(LAWYER, ABOUT)
    page.item(f"Agreement {agreement.id}, version {agreement.version}.", "version")
    page.item(f"SHA-256 of the signed text: {agreement.digest.hex()}.", "version")
    page.item(
        f"In force from {when(agreement.validity.valid_from)} until {when(agreement.validity.valid_until)};"
        f" looked at again by {when(agreement.validity.review_by)}.",
        "valid_from",
    )
    page.heading("Parties")
    for party in agreement.parties:
        page.item(f"{party.name}, {vocabulary().sectors[party.sector].name}.", f"party {party.agency_id}")
    page.heading("What is shared, who with, and why")
    for rule in agreement.rules:
        clause = f"rule {rule.id}"
        page.item(f"{rule.words} ({rule.effect.value.lower()})", clause)
        page.item(
            f"{side_in_words(rule.dest, agreement)} from {side_in_words(rule.source, agreement)}:"
            f" {vocabulary().collections[rule.collection].name}.",
            clause,
        )
        for purpose in rule.purposes or vocabulary().purposes:
            page.item(f"Purpose: {purpose_in_words(vocabulary().purposes[purpose])}.", clause)
        for basis in rule.bases or vocabulary().bases:
            page.item(f"Legal gateway: {basis_in_words(vocabulary().bases[basis])}.", clause)
    say_register(page, agreement)
    page.heading("Contact")
    page.item("To fill in: whom the public can ask about this.", ABOUT)
    return page


def _told(page: Page, rule: Rule, agreement: Agreement) -> None:
    """What a family reads of one rule: who asks whom, why, and what becomes of the answer."""
    clause = f"rule {rule.id}"
    for purpose in rule.purposes or REASONS:
        may_ask = vocabulary().purposes[purpose].askers
        askers = [p for p in _on(rule.dest, agreement) if p.sector in may_ask]
        if askers:
            asked = "the others" if rule.source.width == 2 else _any_of(_on(rule.source, agreement))
            reason = f"{REASONS[purpose][:1].upper()}{REASONS[purpose][1:]}"
            page.item(f"{reason}, {_any_of(askers)} may ask {asked}.", clause)
    page.item(LEARN[rule.tier], clause)
    if rule.collection in COLLECTIONS:
        page.item(COLLECTIONS[rule.collection], clause)
    if rule.effect is Effect.REVIEW and "HUMAN_REVIEW" not in rule.obligations:
        page.item(DUTIES["HUMAN_REVIEW"], clause)
    for word in rule.obligations:
        days = delete_after_days(word)
        page.item(f"They delete it after {days} days." if days else DUTIES[word], clause)


def _on(scope: Scope, agreement: Agreement) -> list[Party]:
    """The parties on one side of a rule."""
    return [party for party in agreement.parties if scope.covers(party.agency_id, party.sector)]


def _any_of(parties: list[Party]) -> str:
    """Name a few parties; of many, their kinds."""
    said = [party.name for party in parties]
    if len(said) > MANY:
        said = [*dict.fromkeys(f"any {vocabulary().sectors[party.sector].name} here" for party in parties)]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} or {said[-1]}" if said else "no one"


def _day(agreement: Agreement, *, start: bool) -> str:
    """The first or last day on which the rules hold."""
    moment = agreement.validity.valid_from if start else agreement.validity.valid_until
    return f"{moment.day} {moment:%B %Y}"
