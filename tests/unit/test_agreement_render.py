"""Documents for people: each clause is said with its name, nothing typed becomes mark-up, pages are sound."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest

from elsewhere.agreement.document import agreement_from_json
from elsewhere.agreement.render import processing, public, words
from elsewhere.agreement.render.documents import render
from elsewhere.agreement.render.full import agreement_page
from elsewhere.agreement.render.page import Page, escape
from elsewhere.agreement.render.public import notice_page
from elsewhere.agreement.terms import Agreement, Effect, Party, Rule, Scope
from elsewhere.agreement.vocabulary import Tier, vocabulary
from tests.unit.test_agreement_decide import NOW, RULE, START

WORDS = vocabulary()
EVERY_OBLIGATION = tuple(o for o in WORDS.obligations if o != "SILENT")
RICH = replace(
    START,
    parties=(*START.parties, Party("hall", "Hall", "VOLUNTARY", "1", "2", True, b"\x05" * 32)),
    rules=(
        *START.rules,
        replace(RULE, id="8.1", obligations=(*EVERY_OBLIGATION, "DELETE_AFTER_30"), valid_from=NOW),
        replace(RULE, id="8.2", obligations=("SILENT",), valid_until=NOW + timedelta(days=1)),
        replace(RULE, id="8.3", effect=Effect.DENY, tier=Tier.R0, purposes=(), bases=(), record_types=()),
        replace(RULE, id="8.4", source=Scope(agency="school"), dest=Scope(agency="police"), tier=Tier.R1),
        replace(RULE, id="8.5", purposes=("SERVICE_PLANNING", "RESEARCH_AGG"), tier=Tier.R0),
    ),
    duty_from=datetime(2026, 9, 30, 1, 2, 3, tzinfo=UTC),
)
PAGES = {**render(RICH, START, NOW), "first": render(RICH, None, NOW)["changes"]}
CLAUSE = re.compile(
    r".+ \*\((rule [\w.-]+|party [\w-]+|collection \w+|basis \w+|purpose \w+|urgency \w+|obligation \w+"
    r"|limits|rules|parties|collections|version|valid_from|valid_until|review_by|duty_from"
    r"|duty_sets_confidence_aside|agreement|about this text|research|research (table|project) [\w-]+"
    r"|researcher [\w-]+)\)\*"
)


@pytest.mark.parametrize("name", PAGES)
def test_every_sentence_names_its_clause(name: str) -> None:
    lines = [line for line in PAGES[name].markdown().splitlines() if line and not line.startswith("#")]

    assert len(lines) > 1
    assert [line for line in lines if not CLAUSE.fullmatch(line)] == []


@pytest.mark.parametrize("name", PAGES)
def test_every_sentence_ends_before_its_clause(name: str) -> None:
    lines = [line for line in PAGES[name].markdown().splitlines() if "*(" in line]

    assert [line for line in lines if not re.search(r"[.!?:)] \*\([^*]+\)\*$", line)] == []


def said_of(agreement: Agreement, clause: str) -> str:
    """All that the agreement's text says under one clause."""
    lines = agreement_page(agreement).markdown().splitlines()
    return "\n".join(line for line in lines if line.endswith(f"*({clause})*"))


def test_every_word_of_every_rule_is_in_the_text_under_its_clause() -> None:
    for rule in RICH.rules:
        said = said_of(RICH, f"rule {rule.id}")
        wanted = [escape(rule.words), rule.effect.value, rule.collection, *rule.record_types]
        wanted += [*rule.purposes, *rule.bases, *rule.obligations]
        wanted += [rule.tier.name] if rule.effect is not Effect.DENY else []
        for scope in (rule.source, rule.dest):
            wanted.append(scope.agency or scope.sector or "every party")
        assert [word for word in wanted if word not in said] == [], rule.id


def test_every_party_collection_and_limit_is_in_the_text_under_its_clause() -> None:
    for party in RICH.parties:
        said = said_of(RICH, f"party {party.agency_id}")
        for value in (party.name, party.sector, party.duty_contact_in_hours, party.duty_contact_out_of_hours):
            assert value in said
    for entry in RICH.collections:
        assert f"{entry.max_age_days} days" in said_of(RICH, f"collection {entry.id}")
    assert all(str(value) in said_of(RICH, "limits") for value in RICH.limits.to_json().values())


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The place of every single value in a document."""
    if isinstance(value, dict):
        return [at for key, inner in value.items() for at in leaves(inner, (*path, key))]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [at for index, inner in enumerate(value) for at in leaves(inner, (*path, index))]
    return [path]


OTHER: dict[str, Any] = {
    "id": "other", "version": 7, "title": "Other", "agency_id": "other", "name": "Other",
    "sector": "HOUSING", "duty_contact_in_hours": "9", "duty_contact_out_of_hours": "9", "max_age_days": 3,
    "valid_from": "2026-07-20T00:00:07Z", "valid_until": "2027-01-10T00:00:00Z",
    "review_by": "2026-12-13T00:00:00Z", "duty_from": "2026-11-01T00:00:00Z", "words": "Other.",
    "source": "nhs-trust", "dest": "nhs-trust", "source_sector": "GP", "dest_sector": "GP",
    "purposes": ["CIN_ASSESSMENT"], "bases": ["A6C_OTHER"], "record_types": ["S47"],
    "obligations": ["DELETE_AFTER_7"], "steward_key": "06" * 32, "public_authority": False,
    "duty_sets_confidence_aside": True, "per_agency_per_day": 7, "per_person_per_day": 7, "burst": 7,
    "red_reserve": 7,
}  # fmt: skip


def changed(path: tuple[Any, ...]) -> Agreement | None:
    """The agreement with one value changed; None where no other value stands there alone."""
    document: Any = RICH.to_json()
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    name = path[-1]
    if name == "vocabulary" or (name == "effect" and inner[name] == "DENY"):
        return None
    if name == "effect":
        inner[name] = "REVIEW" if inner[name] == "PERMIT" else "PERMIT"
    elif name == "tier":
        inner[name] = "R1" if inner[name] != "R1" else "R2"
    elif name == "collection":
        inner[name] = "involvement" if inner[name] != "involvement" else "shielded"
        inner["purposes"] = ["S47_ENQUIRY"]
    elif name == "purposes" and inner["collection"] == "shielded":
        inner[name] = ["S47_ENQUIRY"]
    elif path[0] == "collections" and name == "id":
        inner[name] = "concern"
        document["rules"] = [rule for rule in document["rules"] if rule["collection"] == "involvement"]
    elif name == "agency_id":
        document["rules"] = [
            rule for rule in document["rules"] if inner[name] not in (rule.get("source"), rule.get("dest"))
        ]
        inner[name] = OTHER[name]
    else:
        inner[name] = OTHER[name] if inner[name] != OTHER[name] else ["MASH_TRIAGE"]
    if path[0] == "collections" and path[1] == 0 and name == "id":
        document["rules"] = []
    return agreement_from_json(document)


@pytest.mark.parametrize("path", leaves(RICH.to_json()), ids=lambda path: ".".join(map(str, path)))
def test_changing_any_field_changes_the_text(path: tuple[Any, ...]) -> None:
    other = changed(path)

    if other is not None:
        assert other.digest != RICH.digest
        assert agreement_page(other).markdown() != agreement_page(RICH).markdown()


def test_every_word_of_the_vocabulary_can_be_said_to_people() -> None:
    assert set(words.TIERS) == set(Tier)
    assert set(words.OBLIGATIONS) == set(public.DUTIES) == set(WORDS.obligations)
    assert set(public.REASONS) == set(WORDS.purposes)
    assert {tier for tier in Tier if tier <= Tier.R3} == set(public.LEARN)
    assert set(public.COLLECTIONS) == set(WORDS.collections) - {"involvement"}
    reasons = {reason for basis in WORDS.bases.values() for reason in basis.reasons}
    assert set(processing._WITHOUT_CONSENT) == reasons


def test_a_lawyer_checks_is_said_in_every_document() -> None:
    assert [name for name, page in PAGES.items() if "lawyer" not in page.markdown().lower()] == []


class Outline(HTMLParser):
    """Opens and closes tags as a browser reads them, and keeps what matters."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_sound_html_that_loads_nothing(name: str) -> None:
    text = PAGES[name].html()
    outline = Outline()
    outline.feed(text)

    assert text.startswith("<!DOCTYPE html>\n")
    assert outline.open == []
    assert {"title", "main", "h1"} <= set(outline.tags)
    assert outline.tags.count("h1") == 1
    levels = [int(tag[1]) for tag in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert ("lang", "en-GB") in outline.attributes
    assert {key for key, _ in outline.attributes} <= {"lang", "charset", "name", "content"}
    assert not re.search(r"url\(|@import|https?:|<script", text)
    assert "@media print" in text
    assert "width=device-width" in text


@pytest.mark.parametrize(
    "typed",
    [
        "<script>alert(1)</script>",
        "[click](http://example.org)",
        "![x](http://example.org/x.png)",
        "*loud* _quiet_ `code` ~~gone~~",
        "# heading",
        "1. first",
        "- one",
        "+ one",
        "=== ",
        "&lt; \\ |",
        "<http://example.org>",
    ],
)
def test_what_people_type_is_shown_and_is_no_markup(typed: str) -> None:
    page = Page(typed)
    page.say(typed, "rule 1")
    page.item(typed, "rule 1")
    page.heading(typed)
    outline = Outline()
    outline.feed(page.html())

    assert outline.open == []
    tags = [
        "html",
        "head",
        "meta",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "h1",
        "p",
        "em",
        "ul",
        "li",
        "em",
        "h2",
    ]
    assert outline.tags == tags
    assert "".join(outline.texts).count(typed.strip()) == 5


VOWELS = re.compile(r"[aeiouy]+")


def test_the_notice_for_families_can_be_read_at_twelve() -> None:
    """Flesch-Kincaid grade, syllables as groups of vowels; names of agencies are not ours to choose."""
    text = notice_page(START).markdown()
    for party in START.parties:
        text = text.replace(party.name, "they")
    sentences = [re.sub(r"\*\(.*?\)\*", "", line) for line in text.splitlines()]
    sentences = [
        one for line in sentences for one in re.split(r"[.!?:]\s", f"{line} ") if re.search("[a-z]", one)
    ]
    found = [re.findall(r"[a-z']+", sentence.lower()) for sentence in sentences]
    count = sum(map(len, found))
    syllables = sum(max(1, len(VOWELS.findall(re.sub("e$", "", word)))) for one in found for word in one)
    grade = 0.39 * count / len(found) + 11.8 * syllables / count - 15.59

    assert max(map(len, found)) <= 32
    assert grade <= 7  # school year 8: twelve years old


def test_the_notice_names_only_agencies_that_may_ask_for_the_purpose() -> None:
    lines = [line for line in notice_page(START).markdown().splitlines() if "*(rule 5.1)*" in line]

    assert (
        lines[0] == "- To find a child who is missing, Social care or Police may ask the others. *(rule 5.1)*"
    )
    assert "charity" not in "".join(lines).lower()


def test_of_many_agencies_the_notice_names_the_kinds() -> None:
    schools = tuple(Party(f"school-{n}", f"School {n}", "SCHOOL", "1", "2") for n in range(9))
    rule: Rule = replace(RULE, id="9", dest=Scope(sector="SCHOOL"), purposes=("SCHOOL_SAFEGUARDING",))
    text = notice_page(replace(START, parties=(*START.parties, *schools), rules=(rule,))).markdown()

    assert "To keep a child safe at school, any school or college here may ask the others." in text
