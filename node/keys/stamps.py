"""What tells one state of a file from another, for whoever has to notice that another process replaced it."""

from __future__ import annotations

import os
from pathlib import Path

Stamp = tuple[int, ...]
NO_FILE: Stamp = ()


def stamp(path: Path) -> Stamp:
    """Give the stamp of a file as it is now; `NO_FILE` where there is none. Cheap enough for every question.

    Raises:
        OSError: the folder cannot be read now.
    """
    try:
        # Opened, as a network file system may answer from its memory for a minute about files that are not.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return NO_FILE
    try:
        found = os.fstat(handle)
    finally:
        os.close(handle)
    return found.st_mtime_ns, found.st_size, found.st_ino
