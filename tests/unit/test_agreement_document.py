"""The agreement's file: what people write is what is signed, and a slip is shown with its line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elsewhere.agreement.document import (
    AGREEMENT_TYPE,
    agreement_from_json,
    agreement_from_toml,
    join_signatures,
    open_agreement,
    sign_agreement,
)
from elsewhere.agreement.lines import line_of
from elsewhere.agreement.template import party_entry, starting_agreement
from elsewhere.agreement.terms import Effect, Party, Validity
from elsewhere.agreement.vocabulary import Tier
from elsewhere.errors import DocumentInvalid, SignatureInvalid
from elsewhere.signing import SigningKey, sign_document
from tests.partnership import KEYS, first_roster

START = datetime(2026, 10, 1, tzinfo=UTC)
VALIDITY = Validity(START, START + timedelta(days=365), START + timedelta(days=300))
NOBODY = SigningKey.from_seed(b"\x01" * 32)
ROSTER = first_roster(issued=START, until=START + timedelta(days=90))  # three of four stewards must sign
PARTIES = [
    Party("social-care", "Children’s social care", "SOCIAL_CARE", "01632 960001", "01632 960002"),
    Party("police", "Northshire Police", "POLICE", "01632 960003", "01632 960004"),
    Party("nhs-trust", "Northshire NHS Trust", "NHS_TRUST", "01632 960005", "01632 960006"),
    Party("school", 'The "Hill" School', "SCHOOL", "01632 960007", "01632 960008", public_authority=False),
]
TEXT = starting_agreement(id="northshire", title="Northshire", validity=VALIDITY, parties=PARTIES)
AGREEMENT = agreement_from_toml(TEXT)


def line_with(text: str) -> int:
    return next(number for number, line in enumerate(TEXT.splitlines(), 1) if text in line)


def test_the_starting_agreement_reads_back_with_its_parties_and_limits() -> None:
    assert AGREEMENT.parties == tuple(PARTIES)
    assert AGREEMENT.validity == VALIDITY
    assert [entry.id for entry in AGREEMENT.collections] == ["involvement", "shielded"]
    limits = AGREEMENT.limits
    assert (limits.per_agency_per_day, limits.per_person_per_day, limits.burst) == (2000, 60, 20)


def test_a_fifth_agency_needs_its_own_entry_and_nothing_else() -> None:
    fifth = Party("charity", "Northshire Charity", "VOLUNTARY", "01632 960009", "01632 960010")

    extended = agreement_from_toml(TEXT + "\n" + party_entry(fifth))

    assert extended.parties == (*PARTIES, fifth)
    assert extended.rules == AGREEMENT.rules


def test_an_agreement_comes_back_as_it_was_signed() -> None:
    opened = open_agreement(sign_agreement(KEYS, AGREEMENT), ROSTER)

    assert replace(opened, signed_by=frozenset()) == AGREEMENT
    assert opened.digest == AGREEMENT.digest


def test_an_agreement_binds_the_agencies_whose_stewards_signed_it() -> None:
    opened = open_agreement(sign_agreement([NOBODY, *KEYS[1:]], AGREEMENT), ROSTER)

    assert opened.signed_by == {"police", "schools", "social"}


@pytest.mark.parametrize("keys", [KEYS[:2], [*KEYS[:2], NOBODY], [NOBODY]], ids=len)
def test_an_agreement_that_no_quorum_of_stewards_signed_is_refused(keys: Sequence[SigningKey]) -> None:
    with pytest.raises(SignatureInvalid):
        open_agreement(sign_agreement(keys, AGREEMENT), ROSTER)


def test_a_party_is_bound_by_the_key_that_the_agreement_names_for_it_only() -> None:
    named = [replace(party, steward_key=NOBODY.public) if party is PARTIES[1] else party for party in PARTIES]
    other = replace(AGREEMENT, parties=tuple(named))

    assert "police" not in open_agreement(sign_agreement(KEYS, other), ROSTER).signed_by


def test_signatures_of_one_agreement_are_joined_and_those_of_another_are_not() -> None:
    other = replace(AGREEMENT, title="Another")
    envelopes = [sign_agreement(KEYS[:2], AGREEMENT), sign_agreement([KEYS[3], NOBODY, KEYS[1]], AGREEMENT)]

    joined = join_signatures(AGREEMENT, [*envelopes, sign_agreement(KEYS, other)], ROSTER)

    assert joined == sign_agreement([KEYS[0], KEYS[1], KEYS[3]], AGREEMENT)
    assert joined == join_signatures(AGREEMENT, [joined, *envelopes[::-1]], ROSTER)


def test_a_payload_that_leaves_out_a_default_is_refused() -> None:
    payload: dict[str, Any] = AGREEMENT.to_json()
    del payload["duty_sets_confidence_aside"]

    with pytest.raises(DocumentInvalid):
        open_agreement(sign_document(KEYS, AGREEMENT_TYPE, payload), ROSTER)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('tier = "R1"', 'tier = "R9"', "rules[6].tier"),
        ('tier = "R1"', 'tier = "R4"', "rules[6].tier"),
        ('purposes = ["EARLY_HELP"]', 'purposes = ["CURIOSITY"]', "rules[6].purposes[1]"),
        ('purposes = ["EARLY_HELP"]', 'purposes = ["CONCERN_MATCH"]', "rules[6].purposes"),
        ('purposes = ["EARLY_HELP"]', 'purposes = ["*"]', "rules[6].purposes"),
        ('purposes = ["EARLY_HELP"]', 'purposes = ["*", "EARLY_HELP"]', "rules[6].purposes"),
        ('purposes = ["EARLY_HELP"]', "purposes = []", "rules[6].purposes"),
        ('purposes = ["EARLY_HELP"]', 'purpose = ["EARLY_HELP"]', "rules[6].purposes"),
        ('effect = "REVIEW"', 'effect = "MAYBE"', "rules[11].effect"),
        ('effect = "REVIEW"', 'effect = "DENY"', "rules[11].tier"),
        ('id = "6.1"', 'id = "6.1"\nwhim = 1', "rules[11].whim"),
        ('id = "6.1"', 'id = "6.1"\nvalid_from = 2026-11-01', "rules[11].valid_from"),
        ('id = "6.1"', 'id = "6.1"\nsource_sector = "POLICE"', "rules[11].source"),
        ("burst = 20", "burst = 0", "limits.burst"),
        ("max_age_days = 7", "max_age_days = true", "collections[1].max_age_days"),
        ('sector = "POLICE"', 'sector = "BAKERY"', "parties[2].sector"),
        ('agency_id = "police"', 'agency_id = "Police"', "parties[2].agency_id"),
        ("review_by = 2027", "review_by = 2028", "review_by"),
        ('vocabulary = "2026.1"', 'vocabulary = "1999.1"', "vocabulary"),
    ],
)
def test_a_slip_is_refused_with_its_key_and_line(old: str, new: str, key: str) -> None:
    number = line_with(old)

    with pytest.raises(DocumentInvalid) as refusal:
        agreement_from_toml(TEXT.replace(old, new, 1))

    assert refusal.value.key == key
    assert refusal.value.line is not None
    # A key that is missing or was added is shown within the table that holds it.
    assert abs(refusal.value.line - number) <= 12
    if new.partition("=")[0] == old.partition("=")[0] and "\n" not in new and key != "rules[11].tier":
        assert refusal.value.line == number


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('id = "1.2"', 'id = "1.1"'),
        ('agency_id = "police"', 'agency_id = "school"'),
        ('source = "*"', 'source = "unknown-agency"'),
        ('id = "shielded"\nmax', 'id = "involvement"\nmax'),
        ('id = "shielded"\nmax', 'id = "concern"\nmax'),
        ('obligations = ["NO_ONWARD"]', 'obligations = ["SILENT", "NOTIFY_DESK"]'),
        ('obligations = ["NO_ONWARD"]', 'obligations = ["DELETE_AFTER_d"]'),
        ('words = "', f'words = "{"é" * 60}'),
        ("[limits]", "[[limits]]"),
        ("version = 1", "version = 0"),
        ("version = 1", "version = 1\nduty_from = 2026-09-30T00:00:00"),
    ],
)
def test_terms_that_contradict_each_other_are_refused(old: str, new: str) -> None:
    assert old in TEXT

    with pytest.raises(DocumentInvalid):
        agreement_from_toml(TEXT.replace(old, new, 1))


@pytest.mark.parametrize("text", ["", "a = ", "= 1", "[" * 3000, "a = " + "[" * 3000, " " * 1_000_001])
def test_text_that_is_no_agreement_is_refused_with_our_own_error(text: str) -> None:
    with pytest.raises(DocumentInvalid):
        agreement_from_toml(text)


def test_broken_toml_is_refused_with_its_line() -> None:
    with pytest.raises(DocumentInvalid) as refusal:
        agreement_from_toml("a = 1\nb = \n")

    assert refusal.value.line == 2


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_our_own_error(text: str) -> None:
    with pytest.raises(DocumentInvalid):
        agreement_from_toml(text)


def test_a_rule_that_denies_may_speak_of_everything() -> None:
    rule = """
[[rules]]
id = "9.1"
words = "The school is not asked."
source = "school"
dest = "*"
collection = "involvement"
effect = "DENY"
purposes = ["*"]
bases = ["*"]
valid_from = 2026-11-01T00:00:00Z
valid_until = 2026-12-01T00:00:00Z
"""
    found = agreement_from_toml(TEXT + rule)

    assert found.rules[-1].effect is Effect.DENY
    assert found.rules[-1].purposes == ()
    assert agreement_from_json(found.to_json()) == found


def test_keys_are_found_by_line_past_comments_lists_and_long_texts() -> None:
    text = (
        'a = """\nb = 1\n"""\n# b = 2\nb = [\n  "x = 1",\n]\n[t]\nc = 1\n[[l]]\nd = 1\n[[l]]  # two\nd = 2\n'
    )

    assert line_of(text, "b") == 5
    assert line_of(text, "b[1]") == 5
    assert line_of(text, "t.c") == 9
    assert line_of(text, "l[2].d") == 13
    assert line_of(text, "l[2].missing") == 12
    assert line_of(text, "nowhere") is None


def test_a_rule_reaches_no_content() -> None:
    with pytest.raises(DocumentInvalid):
        replace(AGREEMENT.rules[0], tier=Tier.R4)
