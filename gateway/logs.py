"""What the gateway says about itself: one JSON line an event on standard error, from a short list of fields.

Sees:     events as the modules state them.
Refuses:  every field that is not on the list, so that a careless call cannot put a frame, an address or a
          traceback into a log.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

ALLOWED: Final = frozenset(
    {
        "event",
        "level",
        "timestamp",
        "agency",
        "code",
        "document",
        "kind",
        "members",
        "port",
        "under_way",
        "version",
    }
)


def keep_allowed(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop what is not on the list."""
    return {name: value for name, value in event.items() if name in ALLOWED}


def configure() -> None:
    """Send events of this process to standard error as JSON lines."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            keep_allowed,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
