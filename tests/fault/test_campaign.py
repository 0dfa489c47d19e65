"""Each kind of fault strikes everybody it can in a busy federation of real processes; `make faults`: more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaign.faults import EACH_ONCE, KINDS, LONGER_THAN_A_DEADLINE_S
from tests.campaign.run import run

SEED = 20261122  # which draws a halt that no lookup outlasts, too


@pytest.mark.needs("postgres")
@pytest.mark.timeout(600)
def test_every_invariant_holds_after_every_fault(tmp_path: Path) -> None:
    report = run(tmp_path, seed=SEED, faults=EACH_ONCE, leaks_every=EACH_ONCE)

    assert report.broken == []
    struck = {(fault.kind, fault.target) for fault in report.faults}
    assert struck == {(kind.name, target) for kind in KINDS for target in kind.targets}
    assert any(f.kind == "halted" and f.lasted_s >= LONGER_THAN_A_DEADLINE_S for f in report.faults)
    # The federation was busy all the while, or nothing could have been broken; nor were limits only far away.
    assert report.whole > EACH_ONCE
    assert report.codes["limits.burst"] > 0
