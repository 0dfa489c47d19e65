"""What a query costs, worked out alike by whoever asks and by whoever is asked.

Refuses:  a query that costs next to nothing: every node would count for it, and keep its charge for good.
Source:   docs/privacy-proof.md, "What one query costs".
"""

from __future__ import annotations

from elsewhere.research.errors import ChargeTooSmall
from elsewhere.research.query import Query
from elsewhere.securesum.accounting import LEAST_NRHO, charge_nrho
from elsewhere.securesum.noise import query_rho


def charge_of(query: Query) -> int:
    """What every participant charges for a query, in nano-rho."""
    rho = query_rho(query.sigma, query.sensitivity_squared)
    return charge_nrho(rho, holders=query.holders, most_agencies=query.most_agencies)


def check_charge(nrho: int) -> None:
    """Return only if a query costs as much as it must at least; raises ChargeTooSmall."""
    if nrho < LEAST_NRHO:
        raise ChargeTooSmall(nrho, LEAST_NRHO)
