"""A node's desk on a Unix socket of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.desk.fake import FakeDesk, RunningDesk


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningDesk]:
    """A running desk; `.folder` is the node's folder, `.desk.script` what it says."""
    running = RunningDesk(tmp_path, FakeDesk())
    yield running
    running.stop()
