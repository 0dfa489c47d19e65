"""The parts of a process: none of them is missed."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from node.processes.parts import Parts


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What this process was sent."""
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append(number))
    return sent


async def forever() -> None:
    await asyncio.Event().wait()


async def fails() -> None:
    raise RuntimeError


async def is_cancelled_by_what_it_waits_for() -> None:
    waiting = asyncio.get_running_loop().create_future()
    waiting.cancel()
    await waiting


async def ends() -> None:
    """What was told to."""


@pytest.mark.parametrize("work", [fails, is_cancelled_by_what_it_waits_for])
async def test_a_part_that_does_not_end_well_stops_the_process(signals: list[int], work: object) -> None:
    parts = Parts()
    parts.begin(forever)
    parts.begin(work)  # type: ignore[arg-type]
    for _ in range(3):
        await asyncio.sleep(0)
    assert (signals, parts.has_failed) == ([signal.SIGTERM], True)
    await parts.end()


async def test_parts_that_end_as_they_are_told_to_have_not_failed(signals: list[int]) -> None:
    parts = Parts()
    for work in (forever, ends):
        parts.begin(work)
    await asyncio.sleep(0)
    await parts.end()
    assert (signals, parts.has_failed) == ([], False)
