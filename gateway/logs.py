"""What the gateway says about itself: one JSON line an event on standard error, from a short list of fields.

Sees:     events as the modules state them.
Refuses:  every field that is not on the list, so that a careless call cannot put a frame, an address or a
          traceback into a log.
"""

from __future__ import annotations

import logging
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


class _OfLibraries(logging.Handler):
    """Says that a library reported something, and which one: its text and traceback could quote a frame."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one event in place of the record."""
        raised = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else record.name
        structlog.get_logger("elsewhere.gateway").warning("library report", kind=raised, code=record.name)


def configure() -> None:
    """Send events of this process, and of the libraries in it, to standard error as JSON lines."""
    logging.basicConfig(handlers=[_OfLibraries(logging.WARNING)], force=True)
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
