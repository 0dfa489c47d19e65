"""A node's log says when lookups could succeed, once a change."""

from __future__ import annotations

import structlog.testing

from elsewhere.asking import DeskStatus, MemberStatus
from node.watch import tell_change


def _status(*, ready: bool, version: int = 1) -> DeskStatus:
    return DeskStatus("police", ready, (MemberStatus("school", "Schools", version > 0, version),))


def _told(*changes: DeskStatus) -> list[tuple[str, object]]:
    said: bool | None = None
    with structlog.testing.capture_logs() as events:
        for found in changes:
            said = tell_change(found, said)
    return [(event["event"], event.get("missing")) for event in events]


def test_each_change_is_told_once() -> None:
    ready, lost = _status(ready=True), _status(ready=False)

    assert [event for event, _ in _told(lost, lost, ready, ready, lost, lost, ready)] == [
        *("node.ready", "node.not_ready", "node.ready"),
    ]


def test_whoever_is_missing_is_named() -> None:
    assert _told(_status(ready=True, version=0)) == [("node.ready", ["school"])]
