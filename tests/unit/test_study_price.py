"""What a researcher is told that a study costs: never less than the least, and what was wished at most."""

from __future__ import annotations

from datetime import timedelta

import pytest

from elsewhere.research.cost import charge_of, check_charge
from elsewhere.research.errors import ChargeTooSmall
from elsewhere.research.query import Asking
from elsewhere.sdk.researcher.pricing import Terms, priced
from elsewhere.securesum.accounting import LEAST_NRHO
from tests.summing import roster_of
from tests.unit.node import study_world as world

AGREEMENT, ROSTER = world.agreement_of(world.research()), roster_of(world.NAMES)
ASKING = Asking("early-help", "ana", 1, b"n" * 16, world.NOW + timedelta(minutes=30))


@pytest.mark.parametrize("rho", [0.0001, 0.0001234567, 0.01, 0.1])
def test_what_is_to_be_spent_is_spent_and_no_more(rho: float) -> None:
    query, price = priced(world.QUESTION, ASKING, AGREEMENT, ROSTER, Terms(rho=rho))

    assert round(rho * 1e9) - 3 <= price.charge_nrho == charge_of(query) <= round(rho * 1e9)
    check_charge(price.charge_nrho)


@pytest.mark.parametrize("rho", [2e-9, 1e-12, 0.0000999])
def test_less_than_the_least_is_refused_before_it_is_signed(rho: float) -> None:
    with pytest.raises(ChargeTooSmall, match="which is the floor"):
        priced(world.QUESTION, ASKING, AGREEMENT, ROSTER, Terms(rho=rho))


def test_an_accuracy_that_would_cost_less_is_given_better() -> None:
    _, coarse = priced(world.QUESTION, ASKING, AGREEMENT, ROSTER, Terms(accuracy=1e8))
    _, least = priced(world.QUESTION, ASKING, AGREEMENT, ROSTER, Terms(rho=LEAST_NRHO / 1e9))

    assert coarse == least
    assert coarse.interval < 1e8


def test_the_charge_is_the_least_also_where_a_shares_own_floor_decides_the_noise() -> None:
    agreement = world.agreement_of(world.research(floor_nrho=5))

    _, price = priced(world.QUESTION, ASKING, agreement, ROSTER, Terms(rho=0.1))

    assert LEAST_NRHO <= price.charge_nrho <= LEAST_NRHO + 3
