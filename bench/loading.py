"""Real loads: their time beside what the tagging alone costs, and what a tag takes on the disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from bench import floor
from bench.federation import CACHE, Shape, made
from bench.figures import Figure
from bench.people import MAPPING, children, write_export
from bench.usage import peak_rss_mb

_POLL_S = 0.2


def measure(records: int, say: Callable[[str], None], *, rounds: int = floor.ROUNDS) -> list[Figure]:
    """Load so many made-up records into a fresh store by `elsewhere node load`, as an operator would."""
    folder = made(Shape(0, 200), say)
    node = CACHE.absolute() / f"load-{records}"
    shutil.rmtree(node, ignore_errors=True)
    shutil.copytree(folder / "agency-0", node, ignore=shutil.ignore_patterns("store.sqlite*", "desk.sock"))
    node.chmod(0o700)
    write_export(node / "bench.csv", children(11), records)
    (node / "bench.toml").write_text(MAPPING, "utf-8")
    say(f"loading {records:,} records")
    before = floor.measure(rounds)
    took, peak = _load(node)
    costs = floor.mean(before, floor.measure(rounds))
    with closing(sqlite3.connect(node / "store.sqlite")) as db:
        ((rows,),) = db.execute("SELECT count(*) FROM tag")
        ((sets,),) = db.execute("SELECT count(DISTINCT set_id) FROM tag")
        ((entries,),) = db.execute("SELECT count(*) FROM entry")
    # Each key is hashed to the group once and multiplied by the key of each collection.
    cores = len(os.sched_getaffinity(0))
    least = rows * (costs.hash_to_group / max(1, sets) + costs.multiply) / cores
    size = sum(path.stat().st_size for path in node.glob("store.sqlite*"))
    shutil.rmtree(node)
    name = f"{records:,} records"
    return [
        Figure("loading", f"load of {name}", took, "s", least, 1.25 * least,
               note=f"{rows:,} tags in {sets} sets"),
        Figure("loading", f"memory while loading {name}, most of one process", peak, "MB", None, 500),
        Figure("loading", "store bytes a tag, records and log included", size / rows, "bytes",
               note=f"a catalogue holds 8 bytes a tag; {entries:,} entries"),
    ]  # fmt: skip


def _load(node: Path) -> tuple[float, float]:
    """Run the load to its end; seconds, and the most memory that its process held."""
    words = ("node", "load", "bench.csv", "--mapping", "bench.toml", "--dir", str(node))
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "elsewhere", *words], cwd=node, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
    )  # fmt: skip
    peak = 0.0
    while process.poll() is None:
        with contextlib.suppress(OSError, LookupError):  # it has just ended
            peak = max(peak, peak_rss_mb(process.pid))
        time.sleep(_POLL_S)
    if process.returncode != 0:
        raise SystemExit(f"the load ended with status {process.returncode}")
    return time.monotonic() - began, peak
