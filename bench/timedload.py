"""One real load by `elsewhere node load`, timed beside what its tagging alone costs, and kept with its store.

Promises: every row is a made-up child with its own names, date and postcodes; each gets all its tags. The
          export is written before the clock starts.
"""

from __future__ import annotations

import datetime
import json
import os
import resource
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import floor
from bench.bound import bound
from bench.people import MAPPING, children, write_export
from bench.usage import family_mb

FILE = "timed-load.json"
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class TimedLoad:
    """What one load took; `hash_s`, `multiply_s`: bare libsodium, around that very load."""

    records: int
    took_s: float
    cpu_s: float  # all its processes
    peak_mb: float  # all its processes together
    tags: int
    sets: int
    store_bytes: int
    hash_s: float
    multiply_s: float
    cores: int
    day: str

    @property
    def least_cpu_s(self) -> float:
        """Processor time of the tagging alone: each key hashed once, and multiplied by each set's key."""
        return self.tags * (self.hash_s / max(1, self.sets) + self.multiply_s)

    def write(self, node: Path) -> None:
        """Keep it in the node's folder."""
        (node / FILE).write_text(json.dumps(asdict(self)), "utf-8")

    @classmethod
    def read(cls, node: Path) -> TimedLoad:
        """What was kept there."""
        return cls(**json.loads((node / FILE).read_text("utf-8")))


def load_timed(node: Path, *, seed: int, records: int) -> TimedLoad:
    """Load so many made-up children into a node's empty store."""
    write_export(node / "bench.csv", children(seed), records)
    (node / "bench.toml").write_text(MAPPING, "utf-8")
    before = floor.measure()
    took, spent, peak = run_load(node, "bench.csv", "bench.toml")
    costs = floor.mean(before, floor.measure())
    (node / "bench.csv").unlink()
    with closing(sqlite3.connect(node / "store.sqlite")) as db:
        ((tags,),) = db.execute("SELECT count(*) FROM tag")
        ((sets,),) = db.execute("SELECT count(*) FROM tag_set")
    return TimedLoad(
        records, took, spent, peak, tags, sets,
        sum(path.stat().st_size for path in node.glob("store.sqlite*")),
        costs.hash_to_group, costs.multiply, len(os.sched_getaffinity(0)),
        datetime.datetime.now(datetime.UTC).date().isoformat(),
    )  # fmt: skip


def run_load(node: Path, export: str, mapping: str) -> tuple[float, float, float]:
    """Load a file of the node's folder; seconds, processor seconds and the most MB of all its processes."""
    words = ("node", "load", export, "--mapping", mapping, "--dir", str(node))
    began, spent = time.monotonic(), _children_s()
    process = subprocess.Popen(
        bound((sys.executable, "-P", "-m", "elsewhere", *words)), cwd=node, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
    )  # fmt: skip
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, family_mb(process.pid))
        time.sleep(_POLL_S)
    took = time.monotonic() - began
    _, err = process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"the load ended with status {process.returncode}: {err.decode()[-500:]}")
    return took, _children_s() - spent, peak


def _children_s() -> float:
    """Processor seconds of all children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
