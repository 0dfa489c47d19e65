"""`python -m bench`: run the measurements, show them beside their floors and targets, keep them as JSON.

`--full` adds a node of `--records` (a million) really loaded, and openmined-psi; `--tiny` runs every group in
its smallest size, to see that it works, and measures nothing worth keeping; `--only GROUP` runs one group.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench import (
    couriers,
    durable,
    killed,
    loading,
    lookups,
    probes,
    psi,
    quality,
    studies,
    studyrows,
    studysum,
    tagging,
)
from bench.federation import CACHE, REAL, Shape
from bench.figures import Figure, Run, keep, publish, table
from bench.lookups import Effort
from elsewhere.oprf.group import library

Group = Callable[[], list[Figure]]
_BOTH = ("protected", "involvement")
MILLION = 1_000_000


def main() -> int:
    """Run what was asked for; 0 also where a target is missed, as the table says which."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help="the rows that take longer, too")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes: only to see that it works")
    parser.add_argument("--records", type=int, default=MILLION, help="of the large node of --full")
    parser.add_argument("--only", action="append", help="a group of the table; several times for several")
    parser.add_argument("--out", type=Path, help="where the JSON goes: build/bench/results.json")
    parser.add_argument(
        "--publish",
        type=Path,
        help="a document that is to show these results, and earlier ones of other groups",
    )
    given = parser.parse_args()
    out = given.out or CACHE / ("tiny.json" if given.tiny else "results.json")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # As Ctrl-C does: whatever was started is ended on the way out.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    machine, runs = _machine(), list[Run]()
    groups = _tiny() if given.tiny else {**_quick(), **(_full(given.records) if given.full else {})}
    if unknown := set(given.only or ()) - groups.keys():
        parser.error(f"no such group: {', '.join(sorted(unknown))}; there are {', '.join(groups)}")
    for name, group in groups.items():
        if given.only and name not in given.only:
            continue
        began = time.monotonic()
        found = group()
        took = f"{time.monotonic() - began:.0f} s"
        runs.append(Run(name, {**machine, "took": took}, tuple(found)))
        print(f"\n## {name} ({took})\n\n{table(found)}", flush=True)
        keep(out, runs)
    figures = [figure for run in runs for figure in run.figures]
    if compared := _comparisons(figures):
        runs.append(Run("compared", machine, tuple(compared)))
        print(f"\n## compared\n\n{table(compared)}")
    kept = keep(out, runs)
    if given.publish is not None:
        publish(given.publish, kept)
    missed = [figure.what for figure in [*figures, *compared] if figure.verdict == "missed"]
    print(f"\n{len(figures)} figures in {out}; {len(missed)} missed")
    return 0


def _quick() -> dict[str, Group]:
    """What `make bench` runs, within ten minutes on two cores."""
    five, twenty = Shape(5, 100_000), Shape(20, 100_000)
    return {
        "tagging": lambda: tagging.measure(100),
        "catalogue": lambda: probes.measure_probes(28_000_000),
        "disk": lambda: probes.measure_fsync(CACHE),
        "loading": lambda: loading.measure(Shape(1, 5_000, is_real=True), _say, afresh=True),
        "lookups-5": lambda: lookups.measure(five, Effort(60, 120, 30), _say),
        "log": lambda: durable.measure(Shape(5, REAL), 60, _say),
        "gateway": lambda: couriers.measure(five, 300, _say),
        "lookups-20": lambda: lookups.measure(twenty, Effort(60, 60, 0), _say),
        "linkage": lambda: quality.through_nodes(4_000, 20, 71, _say),
        "cultures": lambda: quality.cultures(20_000, 20_000, 72),
        "study-core": lambda: studysum.measure(10_000, 20_000),
        "study-rows": lambda: studyrows.measure((1_000_000, 10_000_000)),
        "studies": lambda: studies.measure(10, 40, _say),
    }


def _full(records: int) -> dict[str, Group]:
    """The rest: a large node, loaded once and kept, and the comparison with openmined-psi."""
    large, hundred = Shape(1, records, is_real=True), Shape(1, 100_000, collections=_BOTH)
    return {
        "study-rows-30": lambda: studyrows.measure((30_000_000,)),
        "lookups-1": lambda: lookups.measure(hundred, Effort(60, 60, 0), _say),
        "psi": lambda: psi.measure(MILLION, _say),
        "loading-large": lambda: loading.measure(large, _say, afresh=False),
        "killed": lambda: killed.measure(min(records, killed.ROWS), killed.KILLS, _say),
        "lookups-1-large": lambda: lookups.measure(large, Effort(60, 60, 0), _say),
    }


def _tiny() -> dict[str, Group]:
    """Every group once, in seconds."""
    small = Shape(2, REAL)
    return {
        "tagging": lambda: tagging.measure(2),
        "catalogue": lambda: probes.measure_probes(100_000),
        "disk": lambda: probes.measure_fsync(CACHE),
        "loading": lambda: loading.measure(Shape(1, 50, is_real=True), _say, afresh=True),
        "killed": lambda: killed.measure(400, 2, _say),
        "lookups-2": lambda: lookups.measure(small, Effort(3, 4, 0, rounds=2, rest_s=0.5), _say),
        "log": lambda: durable.measure(small, 3, _say),
        "gateway": lambda: couriers.measure(small, 3, _say),
        "cultures": lambda: quality.cultures(300, 200, 72),
        "study-core": lambda: studysum.measure(100, 200),
        "study-rows": lambda: studyrows.measure((10_000,)),
        "studies": lambda: studies.measure(3, 1, _say, studies.ANSWERS[:1]),
    }


def _comparisons(found: list[Figure]) -> list[Figure]:
    """What is held to another figure of the same run: a large node to a small one, us to openmined-psi."""
    compared = []
    p50 = [figure for figure in found if figure.what.startswith("p50 of a lookup, 1 custodians")]
    if len(p50) == 2:
        what = f"{p50[1].what}, over that of {p50[0].what.rsplit(' ', 1)[1]}"
        compared.append(Figure("lookups", what, p50[1].value / p50[0].value, "", None, 1.1))
    theirs = [figure for figure in found if figure.what == psi.THEIRS]
    ours = [figure for figure in found if figure.what.startswith("CPU of a lookup, all parties, 1 cust")]
    if theirs and ours:
        compared.append(psi.compare(theirs[0], ours[-1]))
    return compared


def _machine() -> dict[str, str]:
    """What it was measured on."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    found = library()
    return {
        "run": datetime.datetime.now(datetime.UTC).isoformat(" ", "seconds"),
        "processor": cpu[0].split(":", 1)[1].strip() if cpu else platform.processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "load_at_start": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        "libsodium": f"{found.version} ({found.origin})",
    }


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
