"""`make faults`: a long campaign against real processes, and what it found.

Ends with 0 if every invariant held after every fault.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from tests.campaign.run import run


def main() -> int:
    """Run it and print one JSON object."""
    wanted = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    wanted.add_argument("--faults", type=int, default=200)
    wanted.add_argument("--seed", type=int, default=1)
    wanted.add_argument("--keep", type=Path, help="folder to work in, kept afterwards")
    given = wanted.parse_args()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        report = run(given.keep or Path(folder), seed=given.seed, faults=given.faults)
    healed = sorted(report.healed_s)
    told = {
        "seed": report.seed,
        "faults": len(report.faults),
        "kinds": dict(report.kinds),
        "lookups": report.lookups,
        "whole": report.whole,
        "states": dict(report.states),
        "healed_s": {"median": statistics.median(healed), "most": healed[-1]} if healed else None,
        "broken": report.broken,
    }
    print(json.dumps(told, indent=2))  # noqa: T201
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
