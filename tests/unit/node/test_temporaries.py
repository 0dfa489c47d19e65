"""What SQLite writes aside lies in the node's own folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from pathlib import Path
from node.temporaries import keep_temporaries

keep_temporaries(Path(sys.argv[1]))
import sqlite3
store = sqlite3.connect(":memory:")
store.execute("PRAGMA temp_store = FILE")
store.execute("PRAGMA cache_size = 10")
rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT i FROM n"
found = store.execute(f"SELECT hex(randomblob(32)) AS word FROM ({rows}) ORDER BY word")
found.fetchone()
for number in os.listdir("/proc/self/fd"):
    try:
        name = os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        continue
    if "etilqs_" in name:
        print(name)
"""


def test_what_does_not_fit_memory_goes_into_the_nodes_folder_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir(mode=0o755)

    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True
    )

    names = run.stdout.splitlines()
    assert names, "SQLite sorted in memory: give it more rows"
    assert all(name.startswith(f"{tmp_path}/temporary/") and "(deleted)" in name for name in names)
    assert (tmp_path / "temporary").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "temporary").iterdir()) == []


COMMANDS = [["load", "rows.csv", "--mapping", "rows.csv"], ["reload"], ["run"], ["doctor"]]


@pytest.mark.parametrize("command", COMMANDS)
def test_whatever_reads_records_says_so_before_sqlite_is_loaded(command: list[str], tmp_path: Path) -> None:
    program = (
        "import sys, node.temporaries as kept\n"
        "kept.keep_temporaries = lambda folder: print('early', 'sqlite3' not in sys.modules, flush=True)\n"
        "from elsewhere.cli.main import main\n"
        "main()"
    )
    words = [sys.executable, "-c", program, "node", *command, "--dir", str(tmp_path)]
    (tmp_path / "rows.csv").touch()

    run = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)

    assert run.stdout.splitlines()[:1] == ["early True"]
