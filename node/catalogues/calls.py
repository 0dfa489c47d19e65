"""Fetching from whichever gateway has it: one after the other is tried, the best first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import grpc

from node.errors import CatalogueStale

Channels = Callable[[], Sequence[grpc.aio.Channel]]


async def from_any(
    channels: Channels, fetch: Callable[[grpc.aio.Channel], Awaitable[None]], version: Callable[[], int]
) -> None:
    """Fetch from one gateway after the other, the best first, until a newer version is here.

    A gateway that is behind has nothing newer, and one that has lost a piece cannot send it; another may.

    Args:
        channels: of the gateways that are linked now.
        fetch: from one of them; raises CatalogueStale where it cannot send what is wanted.
        version: that is held now.

    Raises:
        CatalogueStale: no gateway is linked, or none could send it.
    """
    before, tried = version(), set[int]()
    trouble: CatalogueStale | None = CatalogueStale("expected a link to a gateway; there is none now")
    while version() == before:
        channel = next((channel for channel in channels() if id(channel) not in tried), None)
        if channel is None:
            break
        tried.add(id(channel))
        try:
            await fetch(channel)
            trouble = None
        except CatalogueStale as err:
            trouble = err
    try:
        if trouble is not None and version() == before:
            raise trouble
    finally:
        del trouble  # it holds this frame, and so whatever the fetch had in hand
