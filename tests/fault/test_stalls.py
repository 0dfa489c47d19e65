"""A machine that stands still in the middle of something: every link falls silent; soon after all is well.

What stands still is the gateway with its nodes, while one kind of call is being worked on. When they go on,
the node's end of that call is gone, and whatever was done by then has to be found out or done again.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from elsewhere.asking import Coverage
from gateway.attach import LinkService
from gateway.catalogues import Catalogues
from gateway.directory import Directory
from node.catalogues.times import CALL_TIMEOUT_S
from node.keys.ring import COLLECTIONS
from node.membership.trust import Trust
from tests.federation import PATIENCE_S, ZOE, ask_about, federation

BEAT_S = 0.5  # of the federation in these tests
STALL_S = 3.4 * BEAT_S  # a link is silent after three beats
POINTS: list[tuple[type, str]] = [
    (LinkService, "_attach"),
    (Directory, "publish_statement"),
    (Catalogues, "_opened"),
    (Catalogues, "_put"),
    (Catalogues, "add_grants"),
    (Catalogues, "wanted"),
    (Trust, "take_directory"),
]


def stalling(found: Callable[..., Any], loop: asyncio.AbstractEventLoop) -> Callable[..., Any]:
    """Do it, and when it is done for the first time, have everything stand still before that can be told."""
    first = threading.Lock()

    def wrapped(*given: Any, **named: Any) -> Any:
        try:
            return found(*given, **named)
        finally:
            if first.acquire(blocking=False):
                if threading.current_thread() is not threading.main_thread():
                    loop.call_soon_threadsafe(time.sleep, STALL_S)
                    time.sleep(BEAT_S)  # this thread is the last one to go on
                time.sleep(STALL_S)

    return wrapped


@pytest.mark.parametrize(("owner", "name"), POINTS, ids=[name.strip("_") for _, name in POINTS])
async def test_after_a_stall_all_is_settled_long_before_a_call_that_hangs_would_be_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    stalls = stalling(getattr(owner, name), asyncio.get_running_loop())
    async with federation(tmp_path, beat_ms=round(BEAT_S * 1000)) as made:
        made.join("social")
        made.join("police", [ZOE])
        monkeypatch.setattr(owner, name, stalls)
        began = time.monotonic()
        await made.begin("social")
        assert made.gateway is not None
        async with asyncio.timeout(PATIENCE_S):
            while len(made.gateway.catalogues.newest()) < len(COLLECTIONS):
                await asyncio.sleep(0.01)
        await made.start("police")  # later, so that it is granted what is there already
        settled_s = time.monotonic() - began
        # A few beats; whoever waited for an answer that will not come would have waited this long at least.
        assert STALL_S < settled_s < CALL_TIMEOUT_S
        found = await made.ask("social", ask_about(ZOE))
    assert found.coverage is Coverage.COMPLETE
