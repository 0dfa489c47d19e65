"""What a node may say about itself in its log: of agencies, codes and counts, never of a child or an asker.

Refuses:  every field that is not on the list; `elsewhere.logs` drops it.
"""

from __future__ import annotations

import sys
from typing import Final

from elsewhere import logs

ALLOWED: Final = frozenset(
    {
        *("agency", "custodian", "searcher", "gateway", "members", "missing"),
        *("code", "codes", "error", "incident", "kind", "remedy", "seconds", "dropped", "of_others"),
        *("collection", "epoch", "version", "round", "attempts", "libsodium"),
        *("what", "end"),
    }
)


def configure() -> None:
    """Send events of this process, and of the libraries in it, to standard error."""
    logs.configure(ALLOWED, sys.stderr)
