"""Calls to gateways: every way in which gRPC says that one broke becomes one.

Promises: losing a link ends a call that goes over it, and never whoever waits for that call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from elsewhere.wire.status import INTERNAL, code_of


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
        if is_told_to_end():
            raise
        raise CallBroke(INTERNAL) from None


def is_told_to_end() -> bool:
    """Whether this very task is cancelled, and not only something that it waits for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
