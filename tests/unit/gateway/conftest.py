"""Time that stands still until a test moves it."""

from __future__ import annotations

import pytest

from tests.gateway_timing import FakeTiming


@pytest.fixture
def timing() -> FakeTiming:
    return FakeTiming()
