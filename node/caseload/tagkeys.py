"""The keys that a load tags under, as they are in a node's folder.

Holds:    nothing; whoever reads the keys holds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from elsewhere.oprf.voprf import OprfKey
from node.keys.identity import read_own
from node.keys.ring import Name, oprf_at_hand, read_oprf, read_signing
from node.processes.rights import hold_right_to_keys
from node.store.engine import Store


class TagKeys(Protocol):
    """What a load asks about keys, once it holds the right to load: until then they may change under it."""

    def read(self) -> Mapping[Name, OprfKey]:
        """Give all keys in use, by collection and epoch."""

    def at_hand(self) -> frozenset[Name]:
        """Say which keys there are still: one that has been destroyed is to be used no longer."""

    def stated(self) -> frozenset[Name]:
        """Say under which epochs others may ask: no load may leave a record untagged there."""


@dataclass(frozen=True, slots=True)
class FolderKeys:
    """A node's own."""

    folder: Path
    store: Store

    def read(self) -> Mapping[Name, OprfKey]:
        """Read all OPRF keys, of one moment.

        Raises:
            KeyFileExposed, KeyFileMissing: the folder is not a node's, or not in order.
            StoreBusy, StoreUnavailable: as `hold_right_to_keys`.
        """
        with hold_right_to_keys(self.folder, self.store):
            return read_oprf(self.folder)

    def at_hand(self) -> frozenset[Name]:
        """Look which key files there are."""
        return oprf_at_hand(self.folder)

    def stated(self) -> frozenset[Name]:
        """Read the statement; nothing is stated before the first. Raises as `read` and `read_own`."""
        own = read_own(self.folder, read_signing(self.folder))
        entries = own.statement.oprf_keys if own is not None else ()
        return frozenset((entry.collection, entry.epoch) for entry in entries)
