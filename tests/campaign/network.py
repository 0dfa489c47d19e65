"""A network that can be made bad: every node's way to a gateway goes through a relay of bytes on loopback.

Promises: what is relayed is TLS and stays so; only its timing and its ends are tampered with.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

CHUNK = 64 * 1024


@dataclass
class Weather:
    """How one relay treats bytes now."""

    delay_s: float = 0.0  # before each chunk
    loss: float = 0.0  # share of chunks that come `resend_s` late, as after a lost packet
    resend_s: float = 0.3
    is_open: bool = True  # False: connections are cut, and new ones too
    is_silent: bool = False  # half open: nothing gets through, and nobody is told


@dataclass(eq=False)
class Relay:
    """One listening port in front of another one."""

    to_port: int
    draw: random.Random
    weather: Weather = field(default_factory=Weather)
    port: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        await self.cut()

    async def cut(self) -> None:
        """Reset every connection there is."""
        for writer in list(self._open):
            writer.transport.abort()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            if not self.weather.is_open:
                self._close(writer)
                return
            onward = await asyncio.open_connection("127.0.0.1", self.to_port)
        except OSError:  # the gateway is down
            self._close(writer)
            return
        self._open.add(onward[1])
        ways = (self._pass(reader, onward[1]), self._pass(onward[0], writer))
        with contextlib.suppress(OSError):
            await asyncio.gather(*ways)
        for end in (writer, onward[1]):
            self._close(end)

    def _close(self, writer: asyncio.StreamWriter) -> None:
        self._open.discard(writer)
        writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(CHUNK):
                while self.weather.is_silent:
                    await asyncio.sleep(0.02)
                late = self.weather.resend_s if self.draw.random() < self.weather.loss else 0.0
                if wait := self.weather.delay_s + late:
                    await asyncio.sleep(wait)
                writer.write(data)
                await writer.drain()
        finally:
            writer.transport.abort()


class Network:
    """All relays, on a thread of their own; every call waits until it is done."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._thread.start()
        self.relays: dict[tuple[str, str], Relay] = {}  # by node and gateway

    def relay(self, node: str, gateway: str, to_port: int, seed: int) -> int:
        """Put a relay between a node and a gateway; gives the port that the node is to dial."""
        relay = Relay(to_port, random.Random(f"{seed}/{node}/{gateway}"))
        self._run(relay.start())
        self.relays[node, gateway] = relay
        return relay.port

    def set(self, node: str, **weather: Any) -> None:
        """Change the weather between a node and every gateway; cutting takes what is connected down too."""
        for (name, _), relay in self.relays.items():
            if name == node:
                relay.weather = Weather(**weather)
                if not relay.weather.is_open:
                    self._run(relay.cut())

    def stop(self) -> None:
        """Cut everything and end the thread."""
        for relay in self.relays.values():
            self._run(relay.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
