"""The folder a load works in: files that are too large for memory.

Sees:     tags while a load makes them; no person.
Promises: tags that a killed load left are here until the next load ends well.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from node.caseload.journal import Journal

JOURNAL = "loading-tags"


def drop_tags(folder: Path) -> None:
    """Remove the tags that a killed load left; the caller holds the right to load."""
    shutil.rmtree(folder / JOURNAL, ignore_errors=True)


@contextlib.contextmanager
def keep_tags(folder: Path, *, is_fresh: bool = False) -> Iterator[Journal]:
    """Open the journal of tags in a folder; it goes when the block ends well, and stays when it raises.

    Args:
        is_fresh: throw away what a killed load left.
    """
    own = folder / JOURNAL
    if is_fresh:
        shutil.rmtree(own, ignore_errors=True)
    own.mkdir(mode=0o700, exist_ok=True)
    yield Journal(own)
    shutil.rmtree(own, ignore_errors=True)
