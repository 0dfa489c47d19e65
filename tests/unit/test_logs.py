"""What programs say about themselves: words on a terminal, else JSON, and only fields on their list."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator

import pytest
import structlog
import structlog.testing

from elsewhere import logs
from gateway import logs as gateway_logs
from node import logs as node_logs


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def _said(stream: io.StringIO, event: str, **details: object) -> str:
    logs.configure(frozenset({"agency", "code"}), stream)
    structlog.get_logger("test").warning(event, **details)
    return stream.getvalue()


def test_an_event_is_one_json_line_where_nobody_watches() -> None:
    said = json.loads(_said(io.StringIO(), "link.lost", agency="police", code="UNAVAILABLE"))

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", said.pop("timestamp"))
    assert said == {"event": "link.lost", "level": "warning", "agency": "police", "code": "UNAVAILABLE"}


def test_an_event_is_words_on_a_terminal() -> None:
    said = _said(_Terminal(), "link.lost", agency="police", code="UNAVAILABLE")

    assert re.fullmatch(r"\d\d:\d\d:\d\dZ WARNING link lost: agency police, code UNAVAILABLE\n", said)


@pytest.mark.parametrize("stream", [io.StringIO, _Terminal])
def test_a_field_that_is_not_on_the_list_is_dropped(stream: type[io.StringIO]) -> None:
    assert "Zoe" not in _said(stream(), "question.refused", given="Zoe", exc_info=ValueError("Zoe"))


def test_what_is_said_too_often_is_left_out_and_counted() -> None:
    told: list[tuple[float, Callable[[], None]]] = []
    thin = logs.Thin(most=3, later=lambda seconds, tell: told.append((seconds, tell)))

    def say(event: str, second: int) -> object:
        try:
            return thin(None, "", {"event": event, "timestamp": f"2026-09-01T12:00:{second:02}.5Z"}).get(
                logs.LEFT_OUT, 0
            )
        except structlog.DropEvent:
            return None

    assert [say("link refused", second) for second in (1, 2, 3, 4, 9)] == [0, 0, 0, None, None]
    assert say("link ended", 9) == 0, "another event has lines of its own"
    assert [say("link refused", second) for second in (10, 11, 25)] == [2, 0, 0]
    assert [say("link refused", second) for second in (25, 25, 26, 27, 28)] == [0, 0, None, None, None]
    with structlog.testing.capture_logs() as events:
        for _, tell in told:  # the flood has ended, and no line of that event follows
            tell()
    assert [seconds for seconds, _ in told] == [10, 10]
    assert [(line["event"], line["of"], line["left_out"]) for line in events] == [
        ("log.left_out", "link refused", 3)
    ]
    stream = io.StringIO()
    logs.configure(frozenset(), stream)
    for _ in range(3 * logs.MOST):
        structlog.get_logger("test").warning("link refused")
    assert logs.MOST <= stream.getvalue().count("\n") <= 2 * logs.MOST  # ten seconds may end meanwhile


def test_a_detail_cannot_write_over_what_was_said() -> None:
    assert "\x1b" not in _said(_Terminal(), "link.lost", code="\x1b[2K\rall is well")


@pytest.mark.parametrize("allowed", [node_logs.ALLOWED, gateway_logs.ALLOWED])
def test_no_list_allows_what_could_hold_a_person_or_a_text(allowed: frozenset[str]) -> None:
    risky = {"person", "given", "family", "name", "asker", "case", "message", "exc_info", "exception", "peer"}

    assert not allowed & risky


def test_a_librarys_report_is_noted_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    with structlog.testing.capture_logs() as events:
        handler = logs._OfLibraries(logging.WARNING)
        try:
            raise ValueError("a frame: 0badcafe")
        except ValueError:
            record = logging.getLogger("grpc").makeRecord(
                "grpc", logging.ERROR, "file", 1, "failed on %s", ("0badcafe",), sys.exc_info()
            )
            handler.handle(record)

    assert events == [
        {"event": "library report", "kind": "ValueError", "code": "grpc", "log_level": "warning"}
    ]
    assert "0badcafe" not in capsys.readouterr().err
