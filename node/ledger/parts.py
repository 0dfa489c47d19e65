"""What showing this agency's log, and watching those of others, takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc

from elsewhere.clock import Clock
from elsewhere.roster import Roster
from elsewhere.signing import SigningKey
from node.keys.ring import KeyRing
from node.ledger.checkpoints import Signer
from node.store.engine import Store
from node.store.writer import Writer

ChannelSource = Callable[[], grpc.aio.Channel | None]


@dataclass(frozen=True, slots=True)
class LedgerParts:
    """Store, keys and gateways of one node."""

    agency: str
    store: Store
    writer: Writer
    ring: Callable[[], KeyRing]  # as it is now
    roster: Callable[[], Roster]
    gateways: Sequence[ChannelSource]  # for each gateway, its channel while it is linked
    clock: Clock

    def signer(self) -> Signer:
        """Who signs for this agency's log."""
        ring = self.ring()
        return Signer(self.roster().federation, self.agency, ring.signing, ring.earlier)

    def key(self) -> SigningKey:
        """What this agency signs with now."""
        return self.ring().signing
