"""Calls to gateways: every way in which gRPC says that one broke becomes one, and the next one is tried."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import grpc

from elsewhere.wire.status import INTERNAL, code_of
from node.errors import CatalogueStale

Channels = Callable[[], Sequence[grpc.aio.Channel]]


class CallBroke(Exception):
    """A call failed or its channel closed; `code` is the gateway's own word, or `internal`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@contextmanager
def breaking() -> Iterator[None]:
    """Run calls; raise `CallBroke` where one fails, falls silent or loses its channel.

    A channel that closes cancels whoever waits for a call over it. Nobody asked that task to stop, so taken
    for what it looks like, the loss of a link would end whatever works over links.
    """
    try:
        yield
    except grpc.aio.AioRpcError as err:
        raise CallBroke(code_of(err)) from None
    except (grpc.aio.UsageError, TimeoutError):
        raise CallBroke(INTERNAL) from None
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise CallBroke(INTERNAL) from None


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
    if trouble is not None and version() == before:
        raise trouble
