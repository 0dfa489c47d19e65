"""What a query costs a child, and how exact an opened sum is.

Source:   Bun and Steinke 2016: rho of a Gaussian, rho adds up over queries, and grows with the square of how
          often one child is counted. docs/privacy-proof.md, "What one query costs".
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

NANO = 1_000_000_000
# Of one query: rho 0.0001. What costs less has so much noise that it says nothing, but works every node as
# hard and is kept as long. With it a cap of rho 1 is ten thousand queries at most.
LEAST_NRHO = 100_000


def charge_nrho(rho: float, *, holders: int, most_agencies: int) -> int:
    """What every participating node charges for one query, in nano-rho: ceil(K * k * rho * 1e9) + 1.

    A child whose rows lie at h of the table's holders moves the sum by up to h times the sensitivity, so it
    loses h^2 * rho. Each of those h nodes charges K * k * rho, which comes to K * h * k * rho, and that is at
    least K times the loss where h <= k. The nodes that hold anything of the child are K at most and charge up
    to one cap each: so K times its loss is at most K caps, whichever tables and queries it comes from.

    The one that is added covers what is lost in rounding, and in a sum of shares being only nearly one draw.

    Args:
        rho: of the query's own noise and sensitivity, as OpenDP maps it.
        holders: k, the most nodes that hold rows of one child in this table.
        most_agencies: K, the most nodes that hold anything of one child.
    """
    return math.ceil(most_agencies * holders * Fraction(rho) * NANO) + 1


def total_scale(scales: Iterable[float]) -> float:
    """The standard deviation of an opened sum: of all shares' noise, that of colluding nodes included."""
    return math.sqrt(sum(scale * scale for scale in scales))
