"""What a query costs a child, and how exact an opened sum is.

Source:   Bun and Steinke 2016: rho of a Gaussian, rho adds up over queries, and grows with the square of how
          often one child is counted. docs/privacy-proof.md, "What one query costs".
"""

from __future__ import annotations

import math
from collections.abc import Iterable

NANO = 1_000_000_000


def charge_nrho(rho: float, *, holders: int, most_agencies: int) -> int:
    """What every participating node charges for one query, in nano-rho.

    A child whose rows lie at h of the table's holders moves the sum by up to h times the sensitivity, so it
    loses h^2 * rho. Each of those h nodes charges K * k * rho, with h <= k and h <= K: together at least what
    is lost. So no child loses more than one node's cap, whichever nodes and tables it is in.

    Args:
        rho: of the query's own noise and sensitivity, as OpenDP maps it.
        holders: k, the most nodes that hold rows of one child in this table.
        most_agencies: K, the most nodes that hold anything of one child.
    """
    return math.ceil(most_agencies * holders * rho * NANO) + 1


def total_scale(scales: Iterable[float]) -> float:
    """The standard deviation of an opened sum: of all shares' noise, that of colluding nodes included."""
    return math.sqrt(sum(scale * scale for scale in scales))
