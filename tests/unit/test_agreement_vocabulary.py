"""The vocabulary ships as the design's table has it, and refuses words it does not define."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest

from elsewhere.agreement.bases import default_basis, possible_bases
from elsewhere.agreement.vocabulary import (
    Tier,
    delete_after_days,
    vocabulary,
    vocabulary_from_toml,
)
from elsewhere.asking import URGENCIES
from elsewhere.errors import DocumentInvalid, UnknownWord

DUTY = datetime(2026, 9, 30, tzinfo=UTC)
BEFORE = DUTY - timedelta(seconds=1)
TEXT = files("elsewhere.agreement").joinpath("vocabulary.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("purpose", "tier", "sectors"),
    [
        ("S47_ENQUIRY", "R3", {"SOCIAL_CARE"}),
        ("STRATEGY_DISCUSSION", "R3", {"SOCIAL_CARE", "POLICE", "NHS_TRUST", "GP"}),
        ("EMERGENCY_PROTECTION", "R3", {"SOCIAL_CARE", "POLICE"}),
        ("CIN_ASSESSMENT", "R2", {"SOCIAL_CARE"}),
        ("SCHOOL_SAFEGUARDING", "R2", {"SCHOOL"}),
        ("MISSING_CHILD", "R2", {"SOCIAL_CARE", "POLICE"}),
        ("PUBLIC_PROTECTION", "R2", {"POLICE", "PROBATION", "YOUTH_JUSTICE"}),
        ("PRACTICE_REVIEW", "R2", {"SOCIAL_CARE", "POLICE", "NHS_TRUST"}),
        ("UNSCHEDULED_CARE", "R2", {"NHS_TRUST", "GP"}),
        ("RESEARCH_AGG", "R0", {"RESEARCH"}),
    ],
)
def test_each_purpose_has_its_askers_and_its_most(purpose: str, tier: str, sectors: set[str]) -> None:
    row = vocabulary().purposes[purpose]

    assert row.max_tier is Tier[tier]
    assert set(row.askers) == sectors


def test_the_exceptions_of_the_table_hold() -> None:
    purposes = vocabulary().purposes

    assert purposes["UNSCHEDULED_CARE"].ceiling("SOCIAL_CARE", alone=False) is Tier.R3
    assert purposes["SCHOOL_SAFEGUARDING"].ceiling("POLICE", alone=False) is Tier.R1
    assert purposes["PRACTICE_REVIEW"].ceiling("POLICE", alone=False) is Tier.R2
    assert purposes["PRACTICE_REVIEW"].ceiling("POLICE", alone=True) is Tier.R3
    assert set(purposes["SCHOOL_SAFEGUARDING"].askers["SCHOOL"]) == {"safeguarding_lead"}


def test_only_three_purposes_may_ask_about_shielded_children() -> None:
    shielded = vocabulary().collections["shielded"]

    assert set(shielded.purposes) == {"EMERGENCY_PROTECTION", "STRATEGY_DISCUSSION", "S47_ENQUIRY"}


@pytest.mark.parametrize(
    ("sector", "purpose", "now", "basis"),
    [
        ("SOCIAL_CARE", "S47_ENQUIRY", BEFORE, "A6E_TASK"),
        ("SOCIAL_CARE", "S47_ENQUIRY", DUTY, "A6C_DUTY"),
        ("GP", "MASH_TRIAGE", DUTY, "A6E_TASK"),
        ("VOLUNTARY", "MASH_TRIAGE", DUTY, "A6EA_SAFEGUARD"),
        ("EARLY_YEARS", "MASH_TRIAGE", BEFORE, "A6EA_SAFEGUARD"),
        ("POLICE", "PUBLIC_PROTECTION", DUTY, "LE_S8P4"),
        ("SOCIAL_CARE", "PRACTICE_REVIEW", DUTY, "A6E_TASK"),
    ],
)
def test_sector_purpose_and_day_give_the_usual_basis(
    sector: str, purpose: str, now: datetime, basis: str
) -> None:
    assert default_basis(sector, purpose, now) == basis


def test_an_agency_chooses_among_three_bases_at_most_and_never_consent() -> None:
    words = vocabulary()
    for sector in words.sectors:
        for purpose in words.purposes:
            found = possible_bases(sector, purpose, DUTY)
            assert 1 <= len(found) <= 3
            assert "A6A_CONSENT" not in found
            assert all(words.bases[basis].carries_a_question for basis in found)


def test_a_party_and_an_agreement_may_differ_from_the_usual() -> None:
    assert default_basis("SCHOOL", "MASH_TRIAGE", BEFORE, public_authority=False) == "A6EA_SAFEGUARD"
    later = DUTY + timedelta(days=30)
    assert default_basis("SCHOOL", "MASH_TRIAGE", DUTY, duty_from=later) == "A6E_TASK"


@pytest.mark.parametrize(("sector", "purpose"), [("BAKERY", "S47_ENQUIRY"), ("POLICE", "CURIOSITY")])
def test_an_unknown_word_is_refused_with_those_that_exist(sector: str, purpose: str) -> None:
    with pytest.raises(UnknownWord) as refusal:
        default_basis(sector, purpose, DUTY)

    assert refusal.value.allowed
    assert "BAKERY" not in str(refusal.value)


@pytest.mark.parametrize(
    ("obligation", "days"),
    [
        ("DELETE_AFTER_30", 30),
        ("DELETE_AFTER_3650", 3650),
        ("DELETE_AFTER_3651", None),
        ("DELETE_AFTER_0", None),
        ("DELETE_AFTER_030", None),
        ("DELETE_AFTER_d", None),
        ("LOG", None),
    ],
)
def test_delete_after_carries_its_days(obligation: str, days: int | None) -> None:
    assert delete_after_days(obligation) == days


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('id = "POLICE", name', 'id = "SOCIAL_CARE", name'),
        ('askers = { SCHOOL = ["safeguarding_lead"] }', 'askers = { SCHOOL = ["headteacher"] }'),
        ('askers = { SCHOOL = ["safeguarding_lead"] }', "askers = { BAKERY = [] }"),
        ('max_tier_from = { POLICE = "R1" }', 'max_tier_from = { BAKERY = "R1" }'),
        ('purposes = ["CONCERN_MATCH"]', 'purposes = ["CURIOSITY"]'),
        ('who = "nobody"', 'who = "everybody"'),
        ('urgencies = ["RED"]', 'urgencies = ["PURPLE"]'),
        ('alone_tier = "R3"', 'alone_tier = "R5"'),
        ("hours = 72", "hours = 0"),
        ('"R3", "R4"]', '"R4", "R3"]'),
        ('version = "2026.1"', 'version = "2026.1"\nsurprise = 1'),
    ],
)
def test_a_vocabulary_that_contradicts_itself_is_refused(old: str, new: str) -> None:
    assert old in TEXT

    with pytest.raises(DocumentInvalid):
        vocabulary_from_toml(TEXT.replace(old, new, 1))


def test_the_urgencies_a_person_may_type_are_those_of_the_vocabulary() -> None:
    assert tuple(vocabulary().urgencies) == URGENCIES
