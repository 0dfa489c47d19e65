"""Questions: their cells and widths, what one child can move, and what is not asked at all."""

from __future__ import annotations

from typing import Any

import pytest

from elsewhere.research.builder import Draft
from elsewhere.research.errors import QuestionInvalid
from elsewhere.research.question import MAX_CELLS, Metric, Question, ask


def draft(table: str = "referral") -> Draft:
    return Draft(table, 2025)


SENSITIVITY: list[tuple[Question, int]] = [
    (draft().count(), 4**2),
    (draft().group_by("need", "age_band").count(), 4**2),
    (draft("missing").sum("hours"), (12 * 720) ** 2),
    (draft("missing").mean("hours"), 2 * (12 * 720) ** 2),
    (draft("missing").histogram("hours", [0, 24, 720]), 12**2),
    (draft("missing").quantile("hours", [0.5]), 12**2),
    (draft("assessment").group_by("factors").count(), 3**2 * 10),
    (draft("assessment").group_by("factors").sum("days"), 3**2 * 10 * 120**2),
    (draft("assessment").where(factors=["3A"]).count(), 3**2),
    (draft("referral").distribution(4), 1),
    (draft().group_by("need").children(at_most=1), 1),
    (draft().group_by("need").children(at_most=3), 3),
    (draft("person").count(), 1),
]


@pytest.mark.parametrize(("question", "expected"), SENSITIVITY)
def test_what_one_child_can_move_is_clamp_times_the_norm_of_a_row(question: Question, expected: int) -> None:
    assert question.sensitivity_squared == expected


def test_cells_are_every_combination_in_the_order_of_the_dictionary() -> None:
    question = draft().where(need="N1").group_by("nfa", "sex").count()

    assert question.cells() == (("Y", "M"), ("Y", "F"), ("Y", "U"), ("N", "M"), ("N", "F"), ("N", "U"))
    assert question.width == 6


@pytest.mark.parametrize(
    ("question", "slots"),
    [
        (draft().count(), ("count",)),
        (draft("missing").mean("hours"), ("sum", "count")),
        (draft("missing").histogram("hours", [0, 6, 720]), ("0-6", "6-720")),
        (draft().distribution(3), ("1", "2", "3")),
    ],
)
def test_every_group_has_the_slots_of_its_metric(question: Question, slots: tuple[str, ...]) -> None:
    assert question.slots == slots
    assert question.width == question.bins * len(slots)


def test_without_groups_there_is_one_cell() -> None:
    assert draft().count().cells() == ((),)


def test_quantiles_are_read_off_bins_that_span_the_bounds() -> None:
    edges = draft("missing").quantile("hours", [0.5]).edges

    assert (edges[0], edges[-1]) == (0, 720)
    assert len(edges) <= 65


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("table", {"table": "referrals"}),
    ("year", {"year": 1999}),
    ("column", {"by": ["postcode"]}),
    ("where", {"where": {"need": ["N10"]}}),
    ("where", {"where": {"need": []}}),
    ("where", {"where": {"need": ["N1", "N1"]}}),
    ("where", {"table": "missing", "where": {"hours": ["1"]}}),
    ("by", {"by": ["need", "need"]}),
    ("by", {"by": ["need", "nfa", "sex", "imd"]}),
    ("by", {"table": "missing", "by": ["hours"]}),
    ("metric", {"metric": Metric("sum")}),
    ("metric", {"metric": Metric("count", "need")}),
    ("metric", {"metric": Metric("sum", "need")}),
    ("metric", {"table": "missing", "metric": Metric("histogram", "hours")}),
    ("metric", {"table": "missing", "metric": Metric("histogram", "hours", edges=(0,))}),
    ("metric", {"table": "missing", "metric": Metric("histogram", "hours", edges=(5, 0))}),
    ("metric", {"table": "missing", "metric": Metric("sum", "hours", edges=(0, 5))}),
    ("metric", {"table": "missing", "metric": Metric("quantile", "hours")}),
    ("metric", {"table": "missing", "metric": Metric("quantile", "hours", quantiles=(500, 250))}),
    ("metric", {"table": "missing", "metric": Metric("quantile", "hours", quantiles=(500, 1000))}),
    ("metric", {"table": "missing", "metric": Metric("quantile", "hours", quantiles=(0, 500))}),
    ("metric", {"table": "missing", "metric": Metric("histogram", "hours", edges=(0, 6.5))}),  # type: ignore[arg-type]
    ("metric", {"metric": Metric("distribution", most=51)}),
    ("metric", {"metric": Metric("distribution")}),
    ("metric", {"by": ["need"], "metric": Metric("distribution", most=3)}),
    ("unit", {"unit": "families"}),
    ("unit", {"unit": "children"}),
    ("unit", {"at_most": 2}),
    ("unit", {"unit": "children", "at_most": 11, "by": ["need"]}),
    ("unit", {"unit": "children", "at_most": 1, "table": "missing", "metric": Metric("sum", "hours")}),
    ("unit", {"unit": "children", "at_most": 1, "table": "assessment", "by": ["factors"]}),
]


@pytest.mark.parametrize(("key", "changes"), REFUSED)
def test_a_question_that_the_dictionary_does_not_offer_cannot_be_made(
    key: str, changes: dict[str, Any]
) -> None:
    asked: dict[str, Any] = {"table": "referral", "year": 2025, "where": {}, "by": [], **changes}

    with pytest.raises(QuestionInvalid) as refused:
        ask(**asked)

    assert refused.value.key == key


def test_more_numbers_than_are_answered_are_refused_before_anybody_is_asked() -> None:
    grouped = Draft("contact", 2025).group_by("source", "month", "outcome")

    assert grouped.count().width == 2640
    with pytest.raises(QuestionInvalid, match=str(MAX_CELLS)):
        Draft("assessment", 2025).group_by("factors", "eth7", "age_band").histogram("days", range(0, 20))


def test_a_key_that_is_no_text_is_refused_and_the_key_named() -> None:
    for department in (1, [1], None, {"1": 2}):
        with pytest.raises(QuestionInvalid, match="department"):
            Draft("ed_attendance", 2025).where(department=department)  # type: ignore[arg-type]
