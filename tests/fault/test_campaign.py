"""Twenty faults at random points of a busy federation of real processes; `make faults` strikes 200 times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaign.run import run

FAULTS = 20
SEED = 20261122


@pytest.mark.needs("postgres")
@pytest.mark.timeout(600)
def test_every_invariant_holds_after_every_fault(tmp_path: Path) -> None:
    report = run(tmp_path, seed=SEED, faults=FAULTS)

    assert report.broken == []
    assert len(report.faults) == FAULTS
    # The federation was busy all the while, or nothing could have been broken.
    assert report.whole > FAULTS
