"""`make faults`: a long campaign against real processes, and what it found.

Says on standard error how far it is. Prints one JSON object, then a table of all kinds of faults. Ends with 0
if every invariant held after each.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.campaign.faults import KINDS
from tests.campaign.run import Report, run

START_S, A_FAULT_S = 15, 3  # of a campaign, about; of one fault until lookups are whole and all is checked


def main() -> int:
    """Run it and say what came of it."""
    wanted = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    wanted.add_argument("--faults", type=int, default=200)
    wanted.add_argument("--seed", type=int, default=1)
    wanted.add_argument("--keep", type=Path, help="folder to work in, kept afterwards")
    given = wanted.parse_args()
    minutes = max(1, round((START_S + given.faults * A_FAULT_S) / 60))
    _say(f"{given.faults} faults, seed {given.seed}: about {minutes} min on two idle cores")
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        report = run(given.keep or Path(folder), seed=given.seed, faults=given.faults, say=_say)
    told = {
        "seed": report.seed,
        "faults": len(report.faults),
        "lookups": report.lookups,
        "whole": report.whole,
        "states": dict(report.states),
        "codes": dict(report.codes),
        "broken": report.broken,
    }
    print(json.dumps(told, indent=2))  # noqa: T201
    print("\n".join(table(report)))  # noqa: T201
    return 1 if report.broken else 0


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)  # noqa: T201


def table(report: Report) -> Sequence[str]:
    """Give a row for each kind of fault, in Markdown."""
    rows = ["| fault | times | whole again after, median | at most |", "|---|---|---|---|"]
    healed = list(zip(report.faults, report.healed_s, strict=False))  # the last may not have healed
    for name in (*(kind.name for kind in KINDS), ""):
        seconds = [after_s for fault, after_s in healed if name in ("", fault.kind)]
        if seconds:
            median = f"{statistics.median(seconds):.1f} s"
            rows.append(f"| {name or 'all'} | {len(seconds)} | {median} | {max(seconds):.1f} s |")
    return rows


if __name__ == "__main__":
    sys.exit(main())
