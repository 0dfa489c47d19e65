"""Where SQLite puts what does not fit its memory: rows of children, so in the node's own folder.

Source:   SQLite, "Temporary Files Used By SQLite", 5: SQLITE_TMPDIR comes before /var/tmp.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

FOLDER: Final = "temporary"


def keep_temporaries(directory: Path) -> None:
    """Have this process's SQLite use a folder that only the node's account can read.

    To be called before anything imports sqlite3: SQLite looks for the folder once, when it is loaded. It
    removes the name of such a file as soon as it has opened it, so nothing is left after a crash.
    """
    folder = directory / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    os.environ["SQLITE_TMPDIR"] = str(folder.resolve())
