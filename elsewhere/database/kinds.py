"""The kinds of transaction, told to an engine's listeners as options of the connection."""

from __future__ import annotations

from typing import Final

BUSY_TIMEOUT_MS = 10_000
WRITES: Final = "elsewhere_writes"
REBUILDS: Final = "elsewhere_rebuilds"
