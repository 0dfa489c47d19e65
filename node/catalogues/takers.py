"""What each gateway has taken of this agency's catalogues, as far as its word and our calls tell.

Sees:     versions, and to which sealing keys each snapshot's key went.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import grpc

from elsewhere.lookup import Head
from elsewhere.statement import SealingKeyEntry
from node.catalogues.standing import Name

ChannelSource = Callable[[], grpc.aio.Channel | None]


@dataclass(slots=True, eq=False)
class Taker:
    """What one gateway has taken, for as long as its channel lives."""

    source: ChannelSource
    channel: grpc.aio.Channel | None = None
    hints: dict[Name, int] = field(default_factory=dict)  # newest versions, as its notices say
    heads: dict[Name, Head] = field(default_factory=dict)  # newest versions known to be there
    granted: dict[Name, tuple[int, dict[str, str]]] = field(
        default_factory=dict
    )  # snapshot; agency -> key id
    refused: dict[Name, set[int]] = field(default_factory=dict)  # newest versions, since one was taken
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def forget(self) -> None:
        """Know no more of what it has than its notices say."""
        self.heads, self.granted, self.refused = {}, {}, {}
        self.wake.set()

    @property
    def live(self) -> grpc.aio.Channel | None:
        """The channel, once notices came over it and while it is still the link's."""
        return self.channel if self.channel is not None and self.source() is self.channel else None

    def note_granted(self, name: Name, snapshot: int, given: Mapping[str, SealingKeyEntry]) -> None:
        """Remember to which keys the key of a snapshot went here."""
        version, before = self.granted.get(name, (0, {}))
        ids = {agency: entry.key_id for agency, entry in given.items()}
        self.granted[name] = (snapshot, {**(before if version == snapshot else {}), **ids})
