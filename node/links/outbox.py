"""What waits to leave on one life of a link: bounded, in order, and over when that life is over.

Promises: nobody waits for a connection that has ended: what waited is dropped, and what comes later too.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from elsewhere.wire.v1 import link_pb2


class Outbox:
    """Frames on their way to a gateway. All calls on the event loop.

    Args:
        room: how many frames may wait; beyond it, whoever sends waits.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._waiting: deque[link_pb2.AttachRequest] = deque()
        self._news, self._has_room, self._is_flushed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._is_flushed.set()
        self.is_ended = False

    async def put(self, frame: link_pb2.AttachRequest) -> None:
        """Have a frame sent once there is room; dropped if the link ends first."""
        while len(self._waiting) >= self._room and not self.is_ended:
            self._has_room.clear()
            await self._has_room.wait()
        if not self.is_ended:
            self._waiting.append(frame)
            self._is_flushed.clear()
            self._news.set()

    async def frames(self) -> AsyncIterator[link_pb2.AttachRequest]:
        """Give what waits, in order, until the end; whoever asks for the next one has written the last."""
        while not self.is_ended:
            if self._waiting:
                frame = self._waiting.popleft()
                self._has_room.set()
                yield frame
            else:
                self._is_flushed.set()
                self._news.clear()
                await self._news.wait()

    async def flushed(self) -> None:
        """Wait until everything is written, or never will be."""
        await self._is_flushed.wait()

    def end(self) -> None:
        """Send no more, and let go of all who wait."""
        self.is_ended = True
        self._waiting.clear()
        for event in (self._news, self._has_room, self._is_flushed):
            event.set()
