"""Tags all records under new keys: `python -m node.keys.retag FOLDER`, a process that a running node starts.

Holds:    every VOPRF key of the node; all records of the agency in the clear, while it runs.
Promises: it gives way to lookups, and ends with the node, which holds its standard input open and writes
          nothing there; killed at any moment it leaves nothing that anybody sees, and the next one
          goes on with the tags that it had made.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from elsewhere.errors import ElsewhereError
from elsewhere.hardening import harden
from elsewhere.parent import end_with
from node.caseload.load import retag
from node.caseload.opening import open_job
from node.logs import configure

NICE: Final = 10
_log = structlog.get_logger(__name__)


def main(directory: Path) -> int:
    """Tag everything under every key there is; 0 if that is so now."""
    harden()
    configure()
    end_with(sys.stdin.fileno())
    os.nice(NICE)
    try:
        with open_job(directory, datetime.now(UTC)) as job:
            report = retag(job)
    except ElsewhereError as err:
        _log.error("retag.refused", code=err.code)
        return 1
    _log.info("retag.tagged", children=report.children, tags=report.tags)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
