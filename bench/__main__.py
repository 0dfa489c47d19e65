"""`python -m bench`: run the measurements, show them beside their floors and targets, keep them as JSON.

`--full` adds what takes longer than ten minutes; `--tiny` runs every group in its smallest size, to see that
it works, and measures nothing worth keeping; `--only GROUP` runs one group.
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

from bench import couriers, loading, lookups, plain, probes, psi, tagging
from bench.federation import CACHE, REAL, Shape
from bench.figures import Figure, Results, publish, table
from bench.lookups import Effort
from elsewhere.oprf.group import library

Group = Callable[[], list[Figure]]
_BOTH = ("protected", "involvement")


def main() -> int:
    """Run what was asked for; 0 also where a target is missed, as the table says which."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help="the rows that take longer, too")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes: only to see that it works")
    parser.add_argument("--only", action="append", help="a group of the table; several times for several")
    parser.add_argument("--out", type=Path, default=CACHE / "results.json", help="where the JSON goes")
    parser.add_argument("--publish", type=Path, help="a document whose table of results is to be replaced")
    given = parser.parse_args()
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # As Ctrl-C does: whatever was started is ended on the way out.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    results = Results(_machine())
    groups = _tiny() if given.tiny else {**_quick(), **(_full() if given.full else {})}
    if unknown := set(given.only or ()) - groups.keys():
        parser.error(f"no such group: {', '.join(sorted(unknown))}; there are {', '.join(groups)}")
    for name, group in groups.items():
        if given.only and name not in given.only:
            continue
        began = time.monotonic()
        found = group()
        results.add(*found)
        print(f"\n## {name} ({time.monotonic() - began:.0f} s)\n\n{table(found)}", flush=True)
    results.add(*_comparisons(results.figures))
    results.write(given.out)
    if given.publish is not None:
        publish(given.publish, results)
    missed = [figure.what for figure in results.figures if figure.verdict == "missed"]
    print(f"\n{len(results.figures)} figures in {given.out}; {len(missed)} missed")
    return 0


def _quick() -> dict[str, Group]:
    """What `make bench` runs, within ten minutes on two cores."""
    five, twenty = Shape(5, 100_000), Shape(20, 100_000)
    return {
        "tagging": lambda: tagging.measure(100),
        "catalogue": lambda: probes.measure_probes(28_000_000),
        "disk": lambda: probes.measure_fsync(CACHE),
        "loading": lambda: loading.measure(5_000, _say),
        "lookups-5": lambda: lookups.measure(five, Effort(60, 120, 30), _say),
        "plain": lambda: plain.measure(five, 60, _say),
        "gateway": lambda: couriers.measure(five, 300, _say),
        "lookups-20": lambda: lookups.measure(twenty, Effort(25, 30, 0), _say),
    }


def _full() -> dict[str, Group]:
    """The rest: a node of a million records, and the comparison with openmined-psi."""
    million, hundred = Shape(1, 1_000_000, collections=_BOTH), Shape(1, 100_000, collections=_BOTH)
    return {
        "lookups-1": lambda: lookups.measure(hundred, Effort(60, 0, 0), _say),
        "lookups-1-million": lambda: lookups.measure(million, Effort(60, 0, 0), _say),
        "psi": lambda: psi.measure(1_000_000, None, _say),
        "loading-million": lambda: loading.measure(1_000_000, _say),
    }


def _tiny() -> dict[str, Group]:
    """Every group once, in seconds."""
    small = Shape(2, REAL)
    return {
        "tagging": lambda: tagging.measure(2),
        "catalogue": lambda: probes.measure_probes(100_000),
        "disk": lambda: probes.measure_fsync(CACHE),
        "loading": lambda: loading.measure(50, _say, rounds=2),
        "lookups-2": lambda: lookups.measure(small, Effort(3, 4, 0, rounds=2), _say),
        "plain": lambda: plain.measure(small, 3, _say),
        "gateway": lambda: couriers.measure(small, 3, _say),
    }


def _comparisons(found: list[Figure]) -> list[Figure]:
    """What is held to another figure of the same run: a million records beside a hundred thousand."""
    p50 = {figure.what: figure.value for figure in found if figure.what.startswith("p50 of a lookup")}
    small, large = (
        p50.get(f"p50 of a lookup, 1 custodians of {records}") for records in ("100,000", "1,000,000")
    )
    if small is None or large is None:
        return []
    what = "p50 of a lookup at 1,000,000 records, over that at 100,000"
    return [Figure("lookups", what, large / small, "", None, 1.1)]


def _machine() -> dict[str, object]:
    """What it was measured on."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    found = library()
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": cpu[0].split(":", 1)[1].strip() if cpu else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load_at_start": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "libsodium": f"{found.version} ({found.origin})",
        "command": " ".join(["python", "-m", "bench", *sys.argv[1:]]),
    }


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
