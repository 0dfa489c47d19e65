"""Runs a node as `elsewhere node run` does, with a clock and a disk that the campaign can tamper with.

A test entry point: the product has no switch that would step its clock or fill its disk. What is to be
tampered with stands in `tamper.json` in the node's folder: `clock_s`, seconds the clock is off, and
`max_pages`, pages its store may have (0: as many as it likes).
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event

from elsewhere.hardening import harden
from node.processes.place import Place
from node.running import run

UNLIMITED_PAGES = 4_294_967_294  # SQLite's own greatest


def read_tamper(folder: Path) -> dict[str, Any]:
    """What is tampered with now; nothing while the file is being written or is not there."""
    try:
        found: dict[str, Any] = json.loads((folder / "tamper.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def main(folder: Path, process: str) -> int:
    """Run one process of the node of a folder until it is stopped."""
    harden()

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=read_tamper(folder).get("clock_s", 0))

    @event.listens_for(Engine, "begin")
    def limit(connection: Connection) -> None:
        if connection.dialect.name == "sqlite":
            pages = read_tamper(folder).get("max_pages") or UNLIMITED_PAGES
            connection.exec_driver_sql(f"PRAGMA max_page_count = {int(pages)}")

    return run(Place(folder, process), clock=clock)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
