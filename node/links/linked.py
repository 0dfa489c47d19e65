"""This process's links, one to each gateway, and how new credentials come into use on them.

Promises: with new credentials a new link is opened first. Only once it is attached does the old one give way,
          and that one finishes what is under way on it: no question is lost. If the new one is not let in,
          the old one stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import grpc

from node.links.link import Link, LinkParts

Begin = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


class Linked:
    """The links of one process. All calls on the event loop.

    Args:
        parts: what each link is made with, in the order of the gateways.
        begin: has work run until the process ends.
    """

    def __init__(self, parts: Sequence[LinkParts], begin: Begin) -> None:
        self._begin = begin
        self.links = [Link(one) for one in parts]
        self._parts = list(parts)
        self._coming: dict[int, Link] = {}
        self._retiring: list[Link] = []

    def start(self) -> None:
        """Dial every gateway."""
        for link in self.links:
            self._begin(link.run)

    def renew(self, credentials: grpc.ChannelCredentials) -> None:
        """Dial every gateway anew, with these credentials."""
        for place, parts in enumerate(self._parts):
            if (older := self._coming.pop(place, None)) is not None:
                older.close()
            parts = self._parts[place] = replace(parts, credentials=credentials)
            link = Link(replace(parts, takes_over=True, welcomed=partial(self._swap, place)))
            self._coming[place] = link
            self._begin(link.run)

    def attached(self) -> list[Link]:
        """The links that are up, those that are silent for long after the others."""
        found = [link for link in self.links if link.attached.is_set()]
        return sorted(found, key=lambda link: link.is_doubtful) if len(found) > 1 else found

    def channel(self, place: int) -> grpc.aio.Channel | None:
        """The channel to one gateway, while it is linked."""
        link = self.links[place]
        return link.channel if link.attached.is_set() else None

    def channels(self) -> list[grpc.aio.Channel]:
        """The channels to all gateways that are linked."""
        return [link.channel for link in self.attached() if link.channel is not None]

    async def drain(self) -> None:
        """Take no new questions, and finish those at hand."""
        await asyncio.gather(*(link.drain() for link in (*self.links, *self._retiring)))

    def close(self) -> None:
        """End all links."""
        for link in (*self.links, *self._retiring, *self._coming.values()):
            link.close()

    def _swap(self, place: int, link: Link) -> None:
        """A new link is attached: it takes the place of the old one, before anything has come down it."""
        if self._coming.get(place) is not link:
            return  # one of its later lives
        del self._coming[place]
        old, self.links[place] = self.links[place], link
        self._retiring.append(old)
        self._begin(partial(self._retire, old))

    async def _retire(self, link: Link) -> None:
        await link.retire()
        self._retiring.remove(link)
