"""What a program says about itself on standard error: lines to read on a terminal, JSON lines anywhere else.

Sees:     events as the modules of node and gateway state them.
Refuses:  every field that is not on its program's list, and whatever a library has to say but its name: so
          a careless call cannot put a record, a frame or a traceback into a log; more than MOST lines of one
          event in ten seconds, so that whoever is refused all the time cannot fill a disk with that. How many
          were left out is always said: with the next line of that event, or in one of its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any, Final, TextIO

import structlog

ALWAYS: Final = frozenset({"event", "level", "timestamp"})
MOST: Final = 200  # lines of one event within ten seconds
LEFT_OUT: Final = "left_out"  # how many lines of this event were not written before this one
OF: Final = "of"  # which event those lines were of, where they are told by themselves
_WINDOW_S: Final = 10.0
_WINDOW: Final = len("2026-09-01T12:00:0")  # of a timestamp: its ten seconds
_QUIET: Final = ("debug", "info")


class KeepAllowed:
    """A step of structlog's chain that drops what is not on the list."""

    def __init__(self, fields: frozenset[str]) -> None:
        self._fields = fields | ALWAYS | {LEFT_OUT, OF}

    def __call__(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Give the event with the fields allowed."""
        return {name: value for name, value in event.items() if name in self._fields}


Later = Callable[[float, Callable[[], None]], None]  # after so many seconds


def _later(seconds: float, tell: Callable[[], None]) -> None:
    """Do something later, on a thread that keeps no process from ending."""
    timer = threading.Timer(seconds, tell)
    timer.daemon = True
    timer.start()


class Thin:
    """A step of structlog's chain, after the time stamp, that leaves out what is said too often."""

    def __init__(self, most: int = MOST, later: Later = _later) -> None:
        self._most = most
        self._later = later
        self._said: dict[str, tuple[str, int]] = {}  # by event: the ten seconds, and how often in them

    def __call__(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Give the event, or raise DropEvent; the first one of the next ten seconds says how many were."""
        name, window = str(event.get("event", "")), str(event.get("timestamp", ""))[:_WINDOW]
        before, said = self._said.get(name, (window, 0))
        if before == window:
            self._said[name] = (window, said + 1)
            if said == self._most:
                self._later(_WINDOW_S, partial(self._tell, name, window))
            if said >= self._most:
                raise structlog.DropEvent
            return event
        self._said[name] = (window, 1)
        return {**event, LEFT_OUT: said - self._most} if said > self._most else event

    def _tell(self, name: str, window: str) -> None:
        """Say how many lines were left out, unless a later line of that event did."""
        before, said = self._said.get(name, ("", 0))
        if before == window and said > self._most:
            del self._said[name]
            structlog.get_logger("elsewhere").warning(
                "log.left_out", **{OF: name, LEFT_OUT: said - self._most}
            )


def for_people(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    """Write an event for somebody who watches: time (UTC), what happened, details; warnings stand out."""
    level, time = str(event.get("level", "info")), str(event.get("timestamp", ""))[11:19]
    words = str(event.get("event", "")).replace(".", " ").replace("_", " ")
    mark = "" if level in _QUIET else f"{level.upper()} "
    details = [f"{name} {_shown(value)}" for name, value in event.items() if name not in ALWAYS]
    return f"{time}Z {mark}{words}{': ' if details else ''}{', '.join(details)}"


def configure(fields: frozenset[str], stream: TextIO) -> None:
    """Send events of this process, and of the libraries in it, to a stream.

    Args:
        fields: the names of details that may be said.
        stream: standard error; on a terminal, events are written for people.
    """
    logging.basicConfig(handlers=[_OfLibraries(logging.WARNING)], force=True)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            Thin(),
            KeepAllowed(fields),
            for_people if stream.isatty() else structlog.processors.JSONRenderer(sort_keys=True),
        ],
        logger_factory=structlog.PrintLoggerFactory(stream),
        # Not cached: a logger made for one stream must not outlive it, as under a test or a re-configuration.
        cache_logger_on_first_use=False,
    )


class _OfLibraries(logging.Handler):
    """Says that a library reported something, and which one: its text and traceback could quote a frame."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one event in place of the record."""
        raised = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else record.name
        structlog.get_logger("elsewhere").warning("library report", kind=raised, code=record.name)


def _shown(value: object) -> str:
    """A detail on one line, whoever chose its text; control characters could overwrite what was said."""
    text = " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return "".join(letter if letter.isprintable() else "?" for letter in text)
