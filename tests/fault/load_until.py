"""Run by test_load_killed.py in a process of its own: loads a file and kills itself at one step.

Usage: load_until.py STORE FILE PHASE STEP WORKERS
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from node.caseload import load as loading
from node.caseload.staging import Staging
from node.store.engine import open_store
from tests.caseload import job, mapping


def main() -> None:
    """Load, and at step STEP of PHASE say so and die as if the power had gone."""
    at, file, phase, step, workers = sys.argv[1:]
    left = int(step)

    def told(now: str, _done: int, _total: int) -> None:
        nonlocal left
        if now == phase:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    if phase == "switch":
        switch = Staging.switch

        def die_before(*args: object) -> None:
            told("switch", 0, 0)
            switch(*args)  # type: ignore[arg-type]

        Staging.switch = die_before  # type: ignore[method-assign,assignment]
    store = open_store(f"sqlite:///{at}")
    loading.load_file(Path(file), mapping(), job(store, workers=int(workers)), told)
    print("LOADED")  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main()
