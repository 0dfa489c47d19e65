"""A study's exact counts over one node's rows, each child within the clamp: how that grows with the rows.

Promises: beside each count stands the same group-by without the clamp, in the same engine and run. Each size
          is counted in a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from bench.figures import Figure
from elsewhere.research.builder import Draft
from node.studies.tables.counting import count
from node.studies.tables.engines import Within, open_table
from node.studies.tables.sections import TableSection

GROUP = "study-rows"
QUESTION = Draft("referral", 2025).group_by("source", "nfa").count()
MEMORY_MB = 1536
ROUNDS = 3
TEN_MILLION = 10_000_000
_PLAIN = """SELECT src, nfa, count(*) FROM read_parquet(?)
    WHERE day >= '2025-01-01' AND day < '2026-01-01' GROUP BY 1, 2"""


def measure(sizes: Sequence[int]) -> list[Figure]:
    """Count rows of Parquet files of these sizes."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in sizes:
            path = Path(folder) / f"{rows}.parquet"
            _write(path, rows)
            said = subprocess.run(
                [sys.executable, "-m", "bench.studyrows", str(path)],
                check=True,
                capture_output=True,
                text=True,
            )
            one: dict[str, Any] = json.loads(said.stdout.splitlines()[-1])
            path.unlink()
            what = f"{rows:,} rows of a Parquet file through DuckDB"
            each = f"{1e6 * one['s'] / rows:.2f} us a row; floor: the group-by without the clamp"
            target = 2.0 if rows == TEN_MILLION else None
            found.append(Figure(GROUP, what, one["s"], "s", one["floor_s"], target, note=each))
            room = 2048.0 if rows == TEN_MILLION else None
            found.append(Figure(GROUP, f"memory for {rows:,} rows", one["rss_mb"], "MB", None, room))
    return found


def _write(path: Path, rows: int) -> None:
    """Three rows a child, over nearly two years, of four sources."""
    duckdb.sql(
        f"""COPY (SELECT i AS id, 'c' || (hash(i) % {max(1, rows // 3)})::VARCHAR AS child,
            DATE '2024-06-01' + (hash(i * 7) % 700)::INT AS day,
            (['1A', '6', '10', '2B'])[1 + (hash(i * 3) % 4)::INT] AS src,
            (['Y', 'N'])[1 + (hash(i * 5) % 2)::INT] AS nfa
        FROM range({rows}) t(i)) TO '{path}' (FORMAT parquet)"""
    )


def _count(path: Path) -> dict[str, float]:
    """The best of a few counts, as the node does them, and of the plain group-by."""
    columns: dict[str, Any] = {"source": "src", "nfa": "nfa"}
    section = TableSection(file=path.name, child="child", date="day", row="id", columns=columns)
    ours, floor = [], []
    for _ in range(ROUNDS):
        with open_table(section, Within(path.parent, MEMORY_MB, 600)) as opened:
            began = time.perf_counter()
            count(opened, section, QUESTION)
            ours.append(time.perf_counter() - began)
        with duckdb.connect() as plain:
            began = time.perf_counter()
            plain.execute(_PLAIN, [str(path)]).fetchall()
            floor.append(time.perf_counter() - began)
    return {
        "s": min(ours),
        "floor_s": min(floor),
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_count(Path(sys.argv[1]))) + "\n")
