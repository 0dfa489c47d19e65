"""Work that is done to its end, also when whoever asked for it goes away in the middle of it.

gRPC cancels the handler of a call whose link is lost. What has reached the store by then is there for good,
so what belongs to it must follow: a piece that is cached and that nobody is told of could never be had, and
its custodian, who is refused a second one, could not help it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Wait for work; cancelled meanwhile, it goes on by itself."""
    return await asyncio.shield(asyncio.ensure_future(work))
