"""grpc.health.v1: whether a program serves, for whoever starts, watches or balances it.

Sees:     the name of a service. What is told is ready or not, and nothing of why.
Promises: the truth of the moment: it is found out with every question, and once a second for a watcher.
Refuses:  a service that is not served here, also to watch it until it comes: names would pile up.
Source:   the gRPC Health Checking Protocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

WATCH_S: Final = 1.0
WHOLE: Final = ""  # the name that stands for the whole program


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # its stubs lack it
    """Serves `Check` and `Watch`.

    Args:
        ready: by the full name of each service, whether it serves now; all of them together are `WHOLE`.
    """

    def __init__(self, ready: Mapping[str, Callable[[], bool]]) -> None:
        self._ready: dict[str, Callable[[], bool]] = dict(ready)
        self._ready[WHOLE] = lambda: all(is_ready() for is_ready in ready.values())

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serve on this server."""
        health_pb2_grpc.add_HealthServicer_to_server(self, server)

    async def Check(  # noqa: N802 - the name in health.proto
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse],
    ) -> health_pb2.HealthCheckResponse:
        """Tell whether a service serves now."""
        if request.service not in self._ready:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return self._status(request.service)

    async def Watch(  # noqa: N802
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse],
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Tell it now, and again with each change."""
        if request.service not in self._ready:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        told = None
        while True:
            if (status := self._status(request.service)) != told:
                yield status
                told = status
            await asyncio.sleep(WATCH_S)

    def _status(self, service: str) -> health_pb2.HealthCheckResponse:
        """What is so now."""
        status = health_pb2.HealthCheckResponse
        return status(status=status.SERVING if self._ready[service]() else status.NOT_SERVING)
