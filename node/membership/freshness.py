"""Keeps the roster held here known to be the newest, by what other members' machines say of theirs.

Sees:     when other members' nodes last ran.
Promises: what was learnt outlives a restart; of several processes each asks for itself, and any of them
          writes it down for all.
Source:   docs/keys.md, "How fresh a roster is".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import grpc
import structlog

from elsewhere.clock import Clock
from elsewhere.errors import ElsewhereError
from elsewhere.freshness import SOFT, sign_as_member
from elsewhere.wire.v1 import directory_pb2, directory_pb2_grpc
from node.keys.live import KeyView
from node.links.calls import CallBroke, breaking
from node.membership.comparing import Comparing
from node.membership.trust import Trust
from node.store.writer import Writer

TIMEOUT_S: Final = 10.0
LOOK_S: Final = 1.0  # how soon a node that was asleep, or has taken a new roster, asks again
AT_EASE: Final = SOFT / 24  # between two questions while all is well
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FreshnessParts:
    """What asking takes."""

    trust: Trust
    keys: Callable[[], KeyView]  # as they are in the folder now
    writer: Writer
    gateways: Sequence[Callable[[], grpc.aio.Channel | None]]  # for each, its channel while it is linked
    clock: Clock


class Freshness:
    """Asks every gateway, seldom while all is well and at once when it is not."""

    def __init__(self, parts: FreshnessParts) -> None:
        self._parts = parts
        self._comparing = Comparing(parts.trust, parts.keys, parts.writer, parts.clock)
        self._is_told = False

    async def run(self) -> None:
        """Ask again and again until cancelled."""
        pause_s = LOOK_S
        while True:
            if self._age() >= AT_EASE:
                await self.step()
                is_better = self._age() < AT_EASE
                # Others may not have said anything yet: ask again, but not for ever at this pace.
                pause_s = LOOK_S if is_better else min(2 * pause_s, 60.0)
            self._tell()
            await asyncio.sleep(pause_s)

    async def step(self) -> None:
        """Leave a line with every gateway that is linked, and take what others have left."""
        parts = self._parts
        for source in parts.gateways:
            channel = source()
            if channel is None:
                continue
            trust = parts.trust
            try:
                line = sign_as_member(trust.roster, trust.me, parts.keys().signing, parts.clock())
                request = directory_pb2.FreshenRequest(line=line, statements=self._comparing.notes())
                with breaking():
                    found = await directory_pb2_grpc.DirectoryServiceStub(channel).Freshen(
                        request, timeout=TIMEOUT_S
                    )
                await asyncio.to_thread(trust.vouched.take, found.note, trust.roster, trust.me, parts.clock())
                await self._comparing.take(found.statements)
            except (CallBroke, ElsewhereError) as err:
                _log.warning("roster.not_freshened", code=err.code)

    def _age(self) -> timedelta:
        """How long ago the roster held was the newest for certain."""
        trust = self._parts.trust
        return self._parts.clock() - trust.vouched.newest(trust.roster)

    def _tell(self) -> None:
        """Say once that nobody has vouched for the roster for a day, and once that somebody has again."""
        is_old = self._age() >= SOFT
        if is_old and not self._is_told:
            _log.warning(
                "roster.not_fresh",
                remedy="see that gateway and other members are up: after seven days nobody is answered",
            )
        elif self._is_told and not is_old:
            _log.info("roster.fresh")
        self._is_told = is_old
