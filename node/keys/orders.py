"""Orders for new keys: `rotation.json` names the epochs to come, from the order until they are stated.

Refuses:  a second order while one is carried out, but for one that says that keys may have been seen.
Promises: whoever gave it, a running node carries an order out, or the next one that runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import select

from elsewhere.clock import MAX_MS, from_ms, to_ms
from elsewhere.keyfiles import replace_file
from elsewhere.random import RandomBytes
from node.errors import RotationRunning
from node.keys.identity import read_own
from node.keys.ring import COLLECTIONS, KeyRing, Name, add_sealing
from node.processes.rights import hold_right_to_keys
from node.statefile import read_state, whole
from node.store.caseload import tag_set
from node.store.engine import Store
from node.store.exchange import published

ORDER_FILE: Final = "rotation.json"
_REMEDY: Final = (
    "Remove the file; if keys were to be changed because they may have been seen, order that again with "
    "'elsewhere node rotate epoch --compromised'"
)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """Epochs that are to take the place of those in force, and how long these then go on."""

    epochs: frozenset[Name]
    overlap: timedelta
    ordered_utc: datetime


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be ordered.

    overlap: how long the epochs in force go on beside the new ones.
    is_compromised: keys may have been seen, those of a change under way as well: these are never stated.
    """

    overlap: timedelta
    is_compromised: bool = False


def read_order(directory: Path) -> Order | None:
    """Give the order that is being carried out; None if there is none. Raises StateDamaged."""
    return read_state(directory / ORDER_FILE, _parse, _REMEDY)


def _parse(found: Mapping[str, Any]) -> Order:
    """Read an order: one epoch of each collection, and an overlap of at most ten years."""
    epochs = frozenset((name, whole(epoch, 1, 2**62)) for name, epoch in found["epochs"])
    if sorted(name for name, _ in epochs) != sorted(COLLECTIONS):
        raise ValueError
    overlap = timedelta(seconds=found["overlap_s"])
    if not timedelta(0) <= overlap <= timedelta(days=3660):
        raise ValueError
    return Order(epochs, overlap, from_ms(whole(found["ordered_ms"], 0, MAX_MS)))


def order_epochs(directory: Path, store: Store, wish: Wish, now: datetime) -> Order:
    """Order a new epoch of every collection; a running node carries it out, or the next one that runs.

    Raises:
        RotationRunning: one was ordered before and is not in force yet.
        StoreBusy, StoreUnavailable: as `hold_right_to_keys`.
    """
    with hold_right_to_keys(directory, store):
        if (under_way := read_order(directory)) is not None:
            if not wish.is_compromised:
                raise RotationRunning(
                    "expected no change of keys under way; one was ordered and goes on. "
                    "If keys may have been seen, --compromised begins again with others"
                )
            _log.warning("epoch.replaced", epochs=_words(under_way))
        return write_order(directory, store, wish.overlap, now, under_way)


def order_sealing(directory: Path, store: Store, random: RandomBytes) -> None:
    """Make the next sealing key; a running node states it, or the next one that runs. Raises as above."""
    with hold_right_to_keys(directory, store):
        add_sealing(directory, random)


def write_order(
    directory: Path, store: Store, overlap: timedelta, now: datetime, before: Order | None = None
) -> Order:
    """Write an order down, in the place of one before it; the caller holds the right to the keys.

    No epoch comes again that the store knows of: it had another key, under which others may hold a catalogue.
    """
    ring = KeyRing.load(directory)
    own = read_own(directory, ring.signing)
    stated = own.statement.oprf_keys if own is not None else ()
    used = {*ring.oprf, *((entry.collection, entry.epoch) for entry in stated)}
    used |= before.epochs if before is not None else set()
    used |= _remembered(store)
    newest = {name: max(epoch for other, epoch in used if other == name) for name in COLLECTIONS}
    order = Order(frozenset((name, epoch + 1) for name, epoch in newest.items()), overlap, now)
    content = {
        "epochs": sorted(order.epochs),
        "overlap_s": overlap.total_seconds(),
        "ordered_ms": to_ms(now),
    }
    replace_file(directory / ORDER_FILE, json.dumps(content).encode())
    _log.info("epoch.ordered", epochs=_words(order))
    return order


def finish_order(directory: Path) -> None:
    """Put an order away that has been carried out; the caller holds the right to the keys."""
    (directory / ORDER_FILE).unlink(missing_ok=True)


def _remembered(store: Store) -> set[Name]:
    """The epochs that a store has tags or catalogues of."""
    with store.read() as conn:
        rows = [
            row
            for table in (tag_set, published)
            for row in conn.execute(select(table.c.collection, table.c.epoch))
        ]
    return {(row.collection, row.epoch) for row in rows}


def _words(order: Order) -> list[str]:
    return [f"{name}/{epoch}" for name, epoch in sorted(order.epochs)]
