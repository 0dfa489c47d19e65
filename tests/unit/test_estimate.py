"""What an opened sum is told as, and questions as people write them."""

from __future__ import annotations

import random

import pytest

from elsewhere.agreement.studies import Display
from elsewhere.research.builder import Draft
from elsewhere.research.errors import QuestionInvalid
from elsewhere.research.estimate import Estimate, Suppressed, estimates

SHOW = Display(round_to=5, suppress_under=10)


def opened(values: list[float]) -> list[int]:
    """Totals as they are opened."""
    return [round(16 * value) for value in values]


def test_counts_are_rounded_for_show_and_keep_their_interval() -> None:
    question = Draft("referral", 2025).group_by("nfa").count()

    first, second = estimates(question, opened([103.25, 9.5]), 4.0, SHOW)

    assert isinstance(first, Estimate)
    assert (first.keys, first.slot, first.value, first.shown) == (("Y",), "count", 103.25, 105.0)
    assert (round(first.low, 2), round(first.high, 2)) == (95.41, 111.09)
    assert second == Suppressed(("N",), "count")


def test_no_count_is_shown_below_zero() -> None:
    question = Draft("referral", 2025).count()

    (found,) = estimates(question, opened([-3.0]), 4.0, Display(1, 0))
    (small,) = estimates(question, opened([0.25]), 4.0, Display(1, 0))

    assert found == Suppressed((), "count")
    assert isinstance(small, Estimate)
    assert (small.shown, small.low < 0) == (0.0, True)


def test_a_mean_is_suppressed_while_its_count_may_be_small() -> None:
    question = Draft("missing", 2025).mean("hours")

    # The count is weighed by 720, the most hours there are, and its noise with it: 4 * 720 is 4 rows.
    assert estimates(question, opened([500.0, 720 * 17.0]), 4.0 * 720, SHOW) == (Suppressed((), "mean"),)
    (found,) = estimates(question, opened([5000.0, 720 * 100.0]), 4.0 * 720, SHOW)
    assert isinstance(found, Estimate)
    assert found.value == 50.0
    assert found.low < 50.0 < found.high


def test_the_interval_of_a_mean_holds_the_truth_in_ninety_five_of_a_hundred() -> None:
    question, draw = Draft("missing", 2025).mean("hours"), random.Random(7)

    hits = 0
    for _ in range(4000):
        totals = opened([3000 + draw.gauss(0, 4320), 720 * 120 + draw.gauss(0, 4320)])
        (found,) = estimates(question, totals, 4320.0, SHOW)
        assert isinstance(found, Estimate)
        hits += found.low <= 25.0 <= found.high

    assert 0.935 < hits / 4000 < 0.965  # four deviations


def test_a_histogram_and_a_distribution_have_a_number_a_bin() -> None:
    histogram = Draft("missing", 2025).histogram("hours", [0, 6, 24, 720])
    spread = Draft("missing", 2025).distribution(3)

    assert [one.slot for one in estimates(histogram, opened([50, 40, 30]), 1.0, SHOW)] == [
        "0-6",
        "6-24",
        "24-720",
    ]
    assert [one.slot for one in estimates(spread, opened([50, 40, 30]), 1.0, SHOW)] == ["1", "2", "3"]


def test_quantiles_lie_where_the_counts_say() -> None:
    question = Draft("s47", 2025).quantile("days_to_icpc", [0.25, 0.5])
    counts = [0.0] * question.width
    counts[10:30] = [100.0] * 20

    low, middle = estimates(question, opened(counts), 1.0, SHOW)

    assert isinstance(low, Estimate)
    assert isinstance(middle, Estimate)
    assert (low.slot, middle.slot) == ("q0.25", "q0.5")
    assert 14 <= low.value <= 16
    assert 19 <= middle.value <= 21
    assert middle.low < middle.value < middle.high


def test_the_interval_of_a_quantile_holds_the_truth_also_where_most_bins_are_empty() -> None:
    question, draw = Draft("missing", 2025).quantile("hours", [0.9]), random.Random(7)
    counts = [1400, 300, 150, 60, 20, 20, 20, 20] + [1] * 10
    counts += [0] * (question.width - len(counts))  # the truth: two thirds of the third bin, 24 to 36 hours

    hits, values = 0, []
    for _ in range(400):
        (found,) = estimates(question, opened([one + draw.gauss(0, 10) for one in counts]), 10.0, SHOW)
        assert isinstance(found, Estimate)
        hits += found.low <= 32.0 <= found.high
        values.append(found.value)

    assert hits / 400 > 0.93
    assert 28 < sum(values) / 400 < 42  # with noise below 0 cut off it is beyond 100


def test_the_interval_of_a_quantile_is_not_finer_than_its_bin_and_names_edges() -> None:
    question = Draft("s47", 2025).quantile("days_to_icpc", [0.5])
    counts = [0.0] * question.width
    counts[10] = 5000.0

    (found,) = estimates(question, opened(counts), 1.0, SHOW)

    assert isinstance(found, Estimate)
    assert (found.low, found.high) == (10.0, 11.0)
    assert 10 <= found.value <= 11


def test_what_the_dictionary_does_not_have_is_refused_with_the_nearest_word() -> None:
    with pytest.raises(QuestionInvalid, match="did you mean referral"):
        Draft("referal", 2025)
    with pytest.raises(QuestionInvalid, match="did you mean age_band"):
        Draft("referral", 2025).where(ageband="1-4")
    with pytest.raises(QuestionInvalid, match="there are: UNBORN, 0, 1-4"):
        Draft("referral", 2025).where(age_band="1-5")
    with pytest.raises(QuestionInvalid, match="numbers"):
        Draft("missing", 2025).mean("kind")
    with pytest.raises(QuestionInvalid, match="column"):
        Draft("missing", 2025).group_by("hours")


def test_steps_do_not_change_the_draft_they_start_from() -> None:
    base = Draft("referral", 2025)

    narrowed = base.where(nfa="Y").group_by("need")

    assert (base.filters, base.groups) == ({}, ())
    assert narrowed.count().by == ("need",)
    assert narrowed.children(at_most=2).sensitivity_squared == 2
    assert narrowed.count().sensitivity_squared == 16
