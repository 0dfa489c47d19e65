"""`make fuzz`: every parser of what another party sent, for as many cases as asked, one after another.

Promises: writes what it counted to a file, and the smallest cases that reached all the code reached to the
          corpus beside this module, which every test run tries again.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.fuzz.corpus import keep
from tests.fuzz.parsers import all_parsers

_COUNTED = re.compile(rb"stat::number_of_executed_units:\s*(\d+)")

HOURS_A_MILLION = 0.08  # on average; from half a minute to as much as half an hour for one parser


def main() -> int:
    """Run the parsers named, all by default; the exit status is how many of them failed."""
    wanted = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    wanted.add_argument("names", nargs="*", help="parsers; none: all")
    wanted.add_argument("--cases", type=int, default=1_000_000, help="of each parser")
    wanted.add_argument("--seed", type=int, default=1)
    wanted.add_argument("--out", type=Path, help="file that gets one line of JSON a parser")
    given = wanted.parse_args()
    parsers = [parser for parser in all_parsers() if not given.names or parser.name in given.names]
    if unknown := set(given.names) - {parser.name for parser in parsers}:
        wanted.error(f"no such parser: {', '.join(sorted(unknown))}; tests/fuzz/parsers.py lists them")
    hours = len(parsers) * given.cases / 1e6 * HOURS_A_MILLION
    _say(f"{len(parsers)} parsers, {given.cases:,} cases each: about {hours:.1f} hours on one core")
    failed, start = 0, time.monotonic()
    for number, parser in enumerate(parsers, 1):
        _say(f"{number} of {len(parsers)}: {parser.name}; {(time.monotonic() - start) / 60:.0f} min")
        result = _run(parser.name, cases=given.cases, seed=given.seed)
        failed += not result["passed"]
        line = json.dumps(result)
        print(line, flush=True)  # noqa: T201
        if given.out:
            with given.out.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
    return failed


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)  # noqa: T201


def _run(name: str, *, cases: int, seed: int) -> dict[str, object]:
    """Run one parser in a process of its own, as libFuzzer ends the process it runs in."""
    began = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / name
        corpus.mkdir()
        command = [sys.executable, "-m", "tests.fuzz.guided", name, str(cases), str(seed), str(corpus)]
        done = subprocess.run(command, stderr=subprocess.PIPE, check=False)
        counted = _COUNTED.search(done.stderr)
        if done.returncode == 0:
            keep(name, corpus)
        else:
            sys.stderr.buffer.write(done.stderr[-4000:])
        found = [base64.b64encode(path.read_bytes()).decode() for path in Path(folder).glob(f"{name}-*")]
    return {
        "parser": name,
        "cases": int(counted[1]) if counted else 0,
        "seconds": round((datetime.now(UTC) - began).total_seconds()),
        "seed": seed,
        "date": began.date().isoformat(),
        "passed": done.returncode == 0,
        "found": found,  # base64 of the case that was neither accepted nor refused
    }


if __name__ == "__main__":
    sys.exit(main())
