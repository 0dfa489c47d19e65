"""Each remark of the linter on an agreement that calls for it, with its line; none on one that does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from elsewhere.agreement.document import agreement_from_toml
from elsewhere.agreement.lint import find_warnings
from elsewhere.agreement.template import starting_agreement
from elsewhere.agreement.terms import Party, Validity

START = datetime(2026, 10, 1, tzinfo=UTC)
NOW = START + timedelta(days=10)
VALIDITY = Validity(START, START + timedelta(days=365), START + timedelta(days=300))
PARTIES = [
    Party("social-care", "Social care", "SOCIAL_CARE", "01632 960001", "01632 960002"),
    Party("police", "Police", "POLICE", "01632 960003", "duty@police.example"),
    Party("nhs-trust", "NHS trust", "NHS_TRUST", "01632 960005", "01632 960006"),
    Party("school", "School", "SCHOOL", "01632 960007", "01632 960008"),
]
TEXT = starting_agreement(id="northshire", title="Northshire", validity=VALIDITY, parties=PARTIES)
RULE = """
[[rules]]
id = "{id}"
words = "For this test."
source = "{source}"
dest = "{dest}"
collection = "involvement"
effect = "{effect}"
{more}
purposes = ["{purpose}"]
bases = ["{basis}"]
"""


def rule(**change: str) -> str:
    words = {"id": "9.9", "source": "school", "dest": "police", "effect": "PERMIT", "more": 'tier = "R1"'}
    words |= {"purpose": "MISSING_CHILD", "basis": "A6E_TASK"}
    return RULE.format(**{**words, **change})


def remarks(text: str, now: datetime = NOW) -> dict[str, list[tuple[str, int | None]]]:
    found: dict[str, list[tuple[str, int | None]]] = {}
    for remark in find_warnings(agreement_from_toml(text), now, text):
        found.setdefault(remark.code, []).append((remark.message, remark.line))
    return found


def line_of(text: str, wanted: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if wanted in line)


def test_of_the_starting_agreement_it_says_only_for_which_purpose_nobody_may_ask() -> None:
    found = remarks(TEXT)

    assert list(found) == ["purpose.unreached"]
    assert [message.split(" (")[0] for message, _ in found["purpose.unreached"]] == [
        "nobody may ask for SERVICE_PLANNING"
    ]


@pytest.mark.parametrize(
    ("added", "code", "at"),
    [
        # A school is no body that may assert the purpose of the police.
        (rule(dest="school", source="police"), "rule.never", 'id = "9.9"'),
        (rule(basis="A6EA_SAFEGUARD"), "rule.never", 'id = "9.9"'),
        (rule(basis="A6A_CONSENT"), "rule.never", 'id = "9.9"'),
        # The narrower rule on the same terms as the wider one changes nothing.
        (
            rule(more='tier = "R2"\nobligations = ["NO_ONWARD"]'),
            "rule.shadowed",
            'id = "9.9"',
        ),
        (rule(effect="REVIEW", more='tier = "R3"'), "rule.tier", 'tier = "R3"'),
        (rule(source="nhs-trust"), "rule.condition", "bases ="),
        (
            rule(more='tier = "R1"\nvalid_from = "2027-10-01T00:00:00Z"'),
            "rule.dates",
            'id = "9.9"',
        ),
        ('\n[[collections]]\nid = "concern"\nmax_age_days = 3\n', "collection.unused", 'id = "concern"'),
    ],
)
def test_what_is_added_without_effect_is_named_with_its_line(added: str, code: str, at: str) -> None:
    text = TEXT + added
    found = remarks(text)

    assert code in found
    last = max(number for number, line in enumerate(text.splitlines(), 1) if at in line)
    lines = [line for _, line in found[code] if line is not None]
    header = text.splitlines()[min(lines) - 1]
    assert any(line in (last, last - 1) for line in lines), (lines, last, header)


@pytest.mark.parametrize(
    ("days", "code"),
    [
        (365, "validity.ended"),
        (364, "validity.ends_soon"),
        (305, "validity.ends_soon"),
        (300, "review.overdue"),
    ],
)
def test_dates_that_come_near_or_have_passed_are_named(days: int, code: str) -> None:
    found = remarks(TEXT, START + timedelta(days=days))

    assert code in found
    assert found[code][0][1] == line_of(TEXT, "review_by =" if code == "review.overdue" else "valid_until =")


def test_dates_far_away_are_not() -> None:
    assert not {"validity.ended", "validity.ends_soon", "review.overdue"} & set(remarks(TEXT))


@pytest.mark.parametrize("contact", ["none", "n/a", "tbc", "ask for Jo"])
def test_a_contact_that_nobody_could_call_is_named(contact: str) -> None:
    text = TEXT.replace("duty@police.example", contact)

    ((message, line),) = remarks(text)["party.contact"]
    assert message == "Police has no number or address to call out of hours"
    assert line == line_of(text, f'"{contact}"')


def test_who_may_ask_but_not_on_its_usual_basis_is_named() -> None:
    text = TEXT.replace(
        'bases = ["A6C_DUTY", "A6E_TASK", "A9G_P18", "A10_CRIME", "CL_PUBINT"]', 'bases = ["A6E_TASK"]'
    )
    messages = [message for message, _ in remarks(text)["basis.usual"]]

    assert messages == [
        "Social care may ask for CIN_ASSESSMENT, but not on its usual basis A6C_DUTY; only on A6E_TASK"
    ]


def test_a_hundred_schools_are_tried_as_two_are() -> None:
    schools = [
        Party(f"school-{n}", f"School {n}", "SCHOOL", "01632 960007", "01632 960008") for n in range(100)
    ]
    text = starting_agreement(id="northshire", title="N", validity=VALIDITY, parties=[*PARTIES, *schools])

    assert list(remarks(text)) == ["purpose.unreached"]
