"""What the gateway may say about itself in its log.

Refuses:  every field that is not on the list; `elsewhere.logs` drops it.
"""

from __future__ import annotations

import sys
from typing import Final

from elsewhere import logs

ALLOWED: Final = frozenset(
    {
        *("agency", "code", "document", "kind", "members", "port", "under_way", "version"),
        *("what", "end", "remedy"),
    },
)


def configure() -> None:
    """Send events of this process, and of the libraries in it, to standard error."""
    logs.configure(ALLOWED, sys.stderr)
