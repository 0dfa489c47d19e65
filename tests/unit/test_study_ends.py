"""What a researcher holds in the end: numbers had and drawn by their names, beside what was asked."""

from __future__ import annotations

import pytest

from elsewhere.agreement.studies import Display
from elsewhere.research.builder import Draft
from elsewhere.research.estimate import Estimate, Suppressed, estimates
from elsewhere.research.question import Question
from elsewhere.sdk.researcher.ends import Opened, Price

PRICE = Price(sigma=4.0, interval=7.84, charge_nrho=250_000_000, epsilon=3.5, rho_alone=0.5)
Holding = tuple[tuple[str, ...], tuple[str, ...]]  # who of the holders is in the total, and who is not
BINS = Draft("missing", 2025).group_by("kind").histogram("hours", [0, 6, 720])


def opened(question: Question, values: list[float], holding: Holding = (("police", "social"), ())) -> Opened:
    """A study that opened to these numbers, weighed where they are."""
    cells = estimates(question, [round(16 * value) for value in values], 4.0, Display(5, 10))
    agencies = ("hospital", "police", "social")
    return Opened("0" * 64, question, cells, PRICE, 750_000_000, (), agencies, *holding)


def value(found: Estimate | Suppressed) -> float:
    assert isinstance(found, Estimate)
    return found.value


def test_a_number_is_had_by_the_keys_of_its_group() -> None:
    found = opened(Draft("referral", 2025).group_by("nfa").count(), [100.0, 50.0])

    assert value(found["Y"]) == value(found[("Y",)]) == value(found["Y", "count"]) == 100.0
    assert value(found["N"]) == 50.0


def test_one_of_several_numbers_of_a_group_is_had_by_its_name() -> None:
    whole = opened(Draft("missing", 2025).histogram("hours", [0, 6, 720]), [100.0, 50.0])
    grouped = opened(BINS, [10.0 * number for number in range(1, BINS.width + 1)])
    first, *_, last = [cell.keys for cell in grouped.cells]

    assert [value(whole[name]) for name in ("0-6", "6-720")] == [100.0, 50.0]
    assert value(grouped[*first, "0-6"]) == 10.0
    assert value(grouped[*last, "6-720"]) == 10.0 * BINS.width


@pytest.mark.parametrize(
    ("question", "keys", "said"),
    [
        (BINS, "M", "expected one of its numbers as well: 0-6, 6-720"),
        (BINS, "X", "expected a group by its keys, kind, number; the first is"),
        (Draft("referral", 2025).group_by("nfa").count(), ("Y", "sum"), "expected a group by its keys, nfa;"),
    ],
)
def test_a_number_that_is_not_there_is_told_from_those_that_are(
    question: Question, keys: str | tuple[str, ...], said: str
) -> None:
    found = opened(question, [20.0] * question.width)

    with pytest.raises(KeyError, match=said):
        found[keys]


def test_a_picture_names_every_bar_apart() -> None:
    axes = opened(BINS, [20.0] * BINS.width).plot()

    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert len(set(labels)) == len(labels) == BINS.width
    assert "M 0-6" in labels
    assert axes.get_title().startswith("missing 2025: histogram of hours, by kind")


def test_what_was_asked_stands_with_the_numbers() -> None:
    question = Draft("referral", 2025).where(nfa="Y", age_band=["0", "1-4"]).group_by("need").count()

    assert question.words == "referral 2025: count, age_band=0|1-4, nfa=Y, by need"
    assert Draft("referral", 2025).children().words == "referral 2025: children, each in at most 1 groups"
    assert question.words in opened(question, [20.0] * question.width).caption()


def test_the_exactness_of_a_mean_is_told_of_its_sum_and_its_count() -> None:
    mean, count = Draft("assessment", 2025).mean("days"), Draft("assessment", 2025).count()
    price = Price(sigma=600.0, interval=1200.0, charge_nrho=1, epsilon=0.1, rho_alone=0.1)

    assert price.within(mean) == "±1200.0 of the sum and ±10.0 of the count"
    assert price.within(count) == "±1200.0 a number"


def test_a_suppressed_number_has_the_names_of_an_estimate_and_nothing_in_them() -> None:
    found = opened(Draft("referral", 2025).group_by("nfa").count(), [100.0, 3.0])

    assert [cell.value for cell in found.cells] == [100.0, None]
    assert [(cell.low, cell.high, cell.shown) for cell in found.cells][1] == (None, None, None)
    assert [row["suppressed"] for row in found.rows()] == [False, True]
    assert [row["noised"] for row in found.rows()] == [100.0, None]


@pytest.mark.parametrize(
    ("holding", "said"),
    [
        ((("police", "social"), ()), "3 agencies, with 2 of 2 that hold the table;"),
        ((("police", "social"), ("schools",)), "3 agencies, with 2 of 3 that hold the table;"),
        ((("social",), ()), "with 1 of 1 that hold the table: the total is its own number;"),
    ],
)
def test_how_many_hold_the_table_stands_beside_the_numbers(holding: Holding, said: str) -> None:
    found = opened(Draft("referral", 2025).count(), [100.0], holding)

    assert said in found.caption()
    assert (found.to_json()["holders"], found.to_json()["holders_away"]) == tuple(map(list, holding))
