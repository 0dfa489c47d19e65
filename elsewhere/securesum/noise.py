"""Noise, and what it is worth: all of it from OpenDP. The only module that imports it.

Sees:     one node's exact counts, before they are hidden.
Refuses:  values so large that adding them could wrap; a scale so small that the sum of shares would not be
          distributed as one draw to within TAU.
Source:   OpenDP 0.16 (make_gaussian, zCDP conversions, quantiles); Kairouz, Liu and Steinke 2021, "The
          Distributed Discrete Gaussian Mechanism", whose tau bounds how far a sum of discrete Gaussians is
          from one. Noise is drawn on a lattice 16 times finer than counts, so that tau is next to nothing.

OpenDP draws from the operating system; it cannot be handed a source of randomness.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from elsewhere.securesum.errors import NoiseUnfit

LATTICE: Final = 16
TAU: Final = 2.0**-60
MOST: Final = 2**40  # of a count or sum, either sign: 100 nodes on the lattice stay far below 2**63
MOST_NODES: Final = 100
DELTA: Final = 1e-6


def share_scale(
    *, sigma: float, sensitivity_squared: int, operators: int, colluding: int, floor_nrho: int
) -> float:
    """How much noise one node adds, so that what honest nodes add suffices without those that collude.

    Args:
        sigma: of the whole, in counts.
        sensitivity_squared: most by which one child moves the vector, squared.
        operators: how many different ones take part.
        colluding: how many of them may collude.
        floor_nrho: a node's own share costs no more than this, in nano-rho, to all others together.

    Raises:
        NoiseUnfit: nobody would be left.
    """
    if operators - colluding < 1 or sigma <= 0 or floor_nrho < 1:
        raise NoiseUnfit("expected operators that do not collude, and noise")
    alone = math.sqrt(sensitivity_squared / (2 * floor_nrho * 1e-9))
    return max(sigma / math.sqrt(operators - colluding), alone)


def tau(scale: float, nodes: int = MOST_NODES) -> float:
    """How far a sum of so many draws at one scale, on the lattice, is from one draw.

    Source: Kairouz, Liu and Steinke 2021, Theorem 1: 10 * sum of exp(-2 pi^2 s^2 k / (k + 1)).
    """
    square = (LATTICE * scale) ** 2
    return 10 * sum(math.exp(-2 * math.pi**2 * square * k / (k + 1)) for k in range(1, nodes))


def noised(values: Sequence[int], scale: float) -> list[int]:
    """Put values on the lattice and add one node's share of the noise to each.

    Args:
        values: exact counts or sums, each at most MOST either way.
        scale: of the noise, in counts.

    Returns:
        16 * value + noise at scale 16 * `scale`, in the order of `values`.

    Raises:
        NoiseUnfit: nothing was drawn.
    """
    if any(abs(value) > MOST for value in values):
        raise NoiseUnfit(f"expected counts and sums up to {MOST}")
    if not 0 < scale < MOST or tau(scale) > TAU:
        raise NoiseUnfit("expected a scale for which shares add up to one draw")
    drawn = _gaussian(LATTICE * scale)([LATTICE * value for value in values])
    return [int(value) for value in drawn]


@lru_cache(maxsize=256)  # a millisecond; asked for when a query comes, and again when it is charged
def query_rho(sigma: float, sensitivity_squared: int) -> float:
    """What a whole answer costs a child at one node, as zero-concentrated differential privacy (rho)."""
    return float(_gaussian(sigma).map(math.sqrt(sensitivity_squared)))


def epsilon(rho: float, delta: float = DELTA) -> float:
    """The epsilon that a rho amounts to at a delta; 0 for nothing spent."""
    if rho <= 0:
        return 0.0
    dp = _opendp()
    # A fine scale for a coarse distance: what counts is their ratio alone.
    whole = dp.c.make_zCDP_to_approxDP(_gaussian(1024 / math.sqrt(2 * rho)))
    return float(dp.c.make_fix_delta(whole, delta).map(1024.0)[0])


def central(values: Sequence[int], sigma: float) -> list[int]:
    """What one trusted party that held all data would answer: to compare with."""
    return [int(value) for value in _gaussian(sigma)(list(values))]


def quantiles(edges: Sequence[float], alphas: Sequence[float], counts: Sequence[int]) -> list[float]:
    """Quantiles from noised counts between edges. Costs nothing: it looks at noised counts alone.

    Args:
        edges: of the bins, rising; one more than there are counts.
        alphas: which quantiles, each in (0, 1), rising.
        counts: at least 0 each.
    """
    dp = _opendp()
    post = dp.t.make_quantiles_from_counts(
        [float(edge) for edge in edges], [float(a) for a in alphas], TA="f64", F="f64"
    )
    return [float(value) for value in post([float(count) for count in counts])]


def _gaussian(scale: float) -> Any:
    """A discrete Gaussian over vectors of 64-bit integers."""
    dp = _opendp()
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64")
    return dp.m.make_gaussian(*space, scale=float(scale))


def _opendp() -> Any:
    """OpenDP, imported when it is first needed: half a second."""
    import opendp.prelude as dp

    dp.enable_features("contrib")
    return dp
