"""From an opened sum to what is told: estimates with their intervals, rounded and suppressed as agreed.

Sees:     noised totals, which the researcher has anyway: rounding and suppression are presentation alone.
Source:   normal intervals for counts and sums; Fieller 1954 for the ratio of two noised totals; for a
          quantile the edges that the same test does not rule out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar, Final

from elsewhere.agreement.studies import Display
from elsewhere.research.question import Question
from elsewhere.securesum.noise import LATTICE, quantiles

LEVEL: Final = 0.95
Z: Final = NormalDist().inv_cdf((1 + LEVEL) / 2)


@dataclass(frozen=True, slots=True)
class Estimate:
    """One number with its 95 % interval."""

    keys: tuple[str, ...]  # of its group, in the order of the question's columns
    slot: str  # what it is: count, sum, mean, a bin, a quantile
    value: float  # as opened; of a count it may be below 0
    low: float
    high: float
    shown: float  # rounded as agreed, and never below 0 where what is counted cannot be


@dataclass(frozen=True, slots=True)
class Suppressed:
    """One number that is too small to be shown, by the agreement's rule of presentation.

    It has every name that an estimate has, so that both can be gone through alike: None, as in a table.
    """

    keys: tuple[str, ...]
    slot: str
    value: ClassVar[None] = None
    low: ClassVar[None] = None
    high: ClassVar[None] = None
    shown: ClassVar[None] = None


def estimates(
    question: Question, totals: Sequence[int], scale: float, display: Display
) -> tuple[Estimate | Suppressed, ...]:
    """Tell what an opened sum says.

    Args:
        question: what was asked.
        totals: as opened, on the noise's lattice; `question.width` of them.
        scale: standard deviation of each total's noise, in counts: of all shares together.
        display: how the agreement has answers shown.

    Returns: for each group its numbers, in the question's order.
    """
    values, slots = [total / LATTICE for total in totals], len(question.slots)
    found: list[Estimate | Suppressed] = []
    for place, keys in enumerate(question.cells()):
        group = values[place * slots : (place + 1) * slots]
        if question.metric.kind == "mean":
            group[1] /= question.count_weight
        if question.metric.kind == "mean":
            found.append(_mean(keys, group, (scale, scale / question.count_weight), display))
        elif question.metric.kind == "quantile":
            found += _quantiles(keys, question, group, scale, display)
        else:
            found += [
                _total(keys, slot, value, scale, display)
                for slot, value in zip(question.slots, group, strict=True)
            ]
    return tuple(found)


def _total(
    keys: tuple[str, ...], slot: str, value: float, scale: float, display: Display
) -> Estimate | Suppressed:
    """A count or a sum."""
    if value < display.suppress_under:
        return Suppressed(keys, slot)
    shown = max(0.0, float(display.round_to * round(value / display.round_to)))
    return Estimate(keys, slot, value, value - Z * scale, value + Z * scale, shown)


def _mean(
    keys: tuple[str, ...], group: Sequence[float], scales: tuple[float, float], display: Display
) -> Estimate | Suppressed:
    """The ratio of a sum and a count, each with noise of its own scale, drawn apart (Fieller 1954)."""
    (total, count), (of_total, of_count) = group, scales
    if count - Z * of_count < max(display.suppress_under, 1):
        return Suppressed(keys, "mean")
    value = total / count
    g = (Z * of_count / count) ** 2  # below 1, as the count's interval stays above 0
    middle = value / (1 - g)
    half = Z / count / (1 - g) * math.sqrt((1 - g) * of_total**2 + (value * of_count) ** 2)
    return Estimate(keys, "mean", value, middle - half, middle + half, max(0.0, round(value, 1)))


def _quantiles(
    keys: tuple[str, ...], question: Question, group: Sequence[float], scale: float, display: Display
) -> list[Estimate | Suppressed]:
    """Quantiles of the noised bins, while how many rows there are in all is known well enough."""
    names = [f"q{rank / 1000:g}" for rank in question.metric.quantiles]
    if sum(group) - Z * scale * math.sqrt(len(group)) < max(display.suppress_under, 1):
        return [Suppressed(keys, name) for name in names]
    counts = [round(LATTICE * count) for count in _not_below_zero(group)]
    found: list[Estimate | Suppressed] = []
    for name, thousandths in zip(names, question.metric.quantiles, strict=True):
        rank = thousandths / 1000
        low, high = _between(question.edges, group, rank, scale)
        value = min(max(quantiles(question.edges, [rank], counts)[0], low), high)
        found.append(Estimate(keys, name, value, low, high, max(0.0, round(value, 1))))
    return found


def _not_below_zero(group: Sequence[float]) -> list[float]:
    """The nearest counts that are not below 0 and add up to the same.

    Counts below 0 cannot just become 0: over many empty bins only the noise upwards would stay, and pull
    every quantile there. So all bins give up as much as makes up for it.
    """
    falling, so_far, less = sorted(group, reverse=True), 0.0, 0.0
    for place, count in enumerate(falling, 1):
        so_far += count
        if count - (so_far - sum(group)) / place <= 0:
            break
        less = (so_far - sum(group)) / place
    return [max(0.0, count - less) for count in group]


def _between(edges: Sequence[int], group: Sequence[float], rank: float, scale: float) -> tuple[float, float]:
    """The edges that the noise does not rule out, and the bins that end there.

    At an edge, rows below it less `rank` of all rows are 0 where the quantile is. An edge is ruled out where
    that is further from 0 than the noise of the bins on both sides goes. Nothing is assumed within a bin.
    """
    whole, below = sum(group), 0.0
    is_low, is_high = [], []
    for place in range(len(edges)):
        below += group[place - 1] if place else 0.0
        reach = Z * scale * math.sqrt(place * (1 - rank) ** 2 + (len(group) - place) * rank**2)
        is_low.append(below - rank * whole < -reach)
        is_high.append(below - rank * whole > reach)
    first, last = is_low.index(False), len(edges) - 1 - is_high[::-1].index(False)
    return float(edges[max(first - 1, 0)]), float(edges[min(last + 1, len(edges) - 1)])
