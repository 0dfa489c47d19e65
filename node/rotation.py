"""The life of an epoch and of a sealing key, from the first moment of one to the destruction of the last.

Holds:    every key of the node while it takes a step.
Sees:     which records are tagged under what; no person.
Refuses:  to state an epoch under which not every record is tagged.
Promises: every step may be repeated, so a node that is killed between any two goes on where it was. What a
          step follows from is durable and nowhere else: key files, the statement, the order, the store.

1. ordered    `rotation.json` names the epochs to come.
2. written    their keys are in `keys/`; every load from now on tags under them too.
3. tagged     all records in force are tagged under them, by a process of its own.
4. stated     the statement names both epochs: now the new catalogue is published and fetched, and from a
              moment that is stated others ask under the new epoch. The order is done.
5. ended      the overlap is over: the statement names the old epoch no more.
6. destroyed  its key is overwritten and removed, its tags, entries and catalogue are removed.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from elsewhere.canonical import Json
from elsewhere.clock import Clock
from elsewhere.keyfiles import finish_destroying, replace_file
from elsewhere.random import RandomBytes
from node import logbook
from node.caseload.ending import drop_sets, has_other_sets, is_tagged_in
from node.caseload.index import is_outdated
from node.caseload.workplace import drop_tags, hold_right_to_load
from node.errors import LoadRunning, RotationRunning
from node.identity import read_own
from node.keys import (
    COLLECTIONS,
    KeyRing,
    Name,
    add_oprf,
    add_sealing,
    destroy_oprf,
    destroy_sealing,
    hold_keys,
)
from node.livekeys import LiveKeys
from node.stating import NOTHING, Plan, Schedule
from node.store.engine import Store

ORDER_FILE: Final = "rotation.json"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """Epochs that are to take the place of those in force, and how long these then go on."""

    epochs: frozenset[Name]
    overlap: timedelta


def read_order(directory: Path) -> Order | None:
    """Give the order that is being carried out; None if there is none."""
    try:
        found = json.loads((directory / ORDER_FILE).read_bytes())
    except FileNotFoundError:
        return None
    epochs = frozenset((str(collection), int(epoch)) for collection, epoch in found["epochs"])
    return Order(epochs, timedelta(seconds=found["overlap_s"]))


def order_epochs(directory: Path, overlap: timedelta) -> Order:
    """Order a new epoch of every collection; a running node carries it out, or the next one that runs.

    Args:
        directory: the node's folder.
        overlap: how long the epochs in force go on beside the new ones.

    Raises:
        RotationRunning: one was ordered before and is not in force yet.
    """
    with hold_keys(directory):
        if read_order(directory) is not None:
            raise RotationRunning("expected no change of keys under way; one was ordered and goes on")
        return _write_order(directory, overlap)


def order_sealing(directory: Path, random: RandomBytes) -> None:
    """Make the next sealing key; a running node states it, or the next one that runs."""
    with hold_keys(directory):
        add_sealing(directory, random)


def _write_order(directory: Path, overlap: timedelta) -> Order:
    """Write an order down; the caller holds the keys."""
    ring = KeyRing.load(directory)
    own = read_own(directory, ring.signing)
    stated = own.statement.oprf_keys if own is not None else ()
    used = {*ring.oprf, *((entry.collection, entry.epoch) for entry in stated)}
    newest = {name: max(epoch for other, epoch in used if other == name) for name in COLLECTIONS}
    order = Order(frozenset((name, epoch + 1) for name, epoch in newest.items()), overlap)
    content = {"epochs": sorted(order.epochs), "overlap_s": overlap.total_seconds()}
    replace_file(directory / ORDER_FILE, json.dumps(content).encode())
    _log.info("epoch.ordered", epochs=[f"{name}/{epoch}" for name, epoch in sorted(order.epochs)])
    return order


@dataclass(frozen=True, slots=True)
class Rotation:
    """Takes the steps. They block, for milliseconds; processes that share a folder may all take them."""

    keys: LiveKeys
    store: Store
    clock: Clock
    random: RandomBytes

    @property
    def directory(self) -> Path:
        """The node's folder."""
        return self.keys.directory

    @property
    def schedule(self) -> Schedule:
        """How long keys live."""
        return self.keys.schedule

    def step(self) -> bool:
        """Go as far as can be gone now.

        Returns:
            True if nothing more can be done before all records are tagged under the keys that there are.

        Raises:
            StoreUnavailable, StoreBusy, KeyFileMissing, OSError: the next step tries again.
        """
        with hold_keys(self.directory):
            now = self.clock()
            self.keys.refresh()
            self._renew_sealing(now)
            order = self._order(now)
            for name in sorted(order.epochs if order is not None else ()):
                add_oprf(self.directory, name, self.random)
            with self.store.read() as conn:
                is_void = is_outdated(conn)
            if is_void and order is not None:
                # By other match keys nothing can be redeemed: no answer is better than "nothing found".
                self.keys.restate(now, Plan(drop=frozenset(self.keys.view.names) - order.epochs))
            is_tagged = self._state(order, now)
            self._destroy_keys(order)
        self._destroy_rows(now)
        return not is_tagged

    def _renew_sealing(self, now: datetime) -> None:
        """Make the next sealing key when it is time, unless it has been made already."""
        stated = {entry.key_id: entry for entry in self.keys.view.own.statement.sealing_keys}
        newest = stated.get(KeyRing.load(self.directory).sealing[0].key_id)
        if newest is not None and newest.not_after_utc - self.schedule.sealing_overlap <= now:
            add_sealing(self.directory, self.random)
            _log.info("sealing.begun")

    def _order(self, now: datetime) -> Order | None:
        """Give the order to carry out: the one there is, or one made now because it is time."""
        order = read_order(self.directory)
        stated = self.keys.view.own.statement
        if order is not None:
            if order.epochs <= set(self.keys.view.names):
                (self.directory / ORDER_FILE).unlink(missing_ok=True)
                return None
            return order
        newest = {entry.collection: entry.valid_from_utc for entry in stated.oprf_keys}  # the last one counts
        is_due = any(begun + self.schedule.epoch <= now for begun in newest.values())
        with self.store.read() as conn:
            is_due = is_due or is_outdated(conn) or newest.keys() != set(COLLECTIONS)
        return _write_order(self.directory, self.schedule.overlap) if is_due else None

    def _state(self, order: Order | None, now: datetime) -> bool:
        """State what there is to state, new epochs once all records are tagged; True if all are."""
        names = {*self.keys.view.names, *(order.epochs if order is not None else ())}
        plan = Plan(begin=dict.fromkeys(order.epochs, order.overlap)) if order is not None else NOTHING
        before = self.keys.view
        is_tagged = self._is_tagged(names)
        if order is None or not is_tagged:
            self.keys.restate(now)
        else:
            try:
                # While no load runs: one that began before a key was written does not tag under it.
                with hold_right_to_load(self.directory):
                    is_tagged = self._is_tagged(names)
                    self.keys.restate(now, plan if is_tagged else NOTHING)
            except LoadRunning:
                self.keys.restate(now)
        if self.keys.view is not before:
            names_now = [f"{name}/{epoch}" for name, epoch in self.keys.view.names]
            _log.info("keys.stated", version=self.keys.view.own.statement.version, epochs=names_now)
        if order is not None and order.epochs <= set(self.keys.view.names):
            (self.directory / ORDER_FILE).unlink(missing_ok=True)
        return is_tagged

    def _is_tagged(self, names: Collection[Name]) -> bool:
        """Whether all records are tagged under these keys."""
        with self.store.read() as conn:
            return is_tagged_in(conn, names)

    def _destroy_keys(self, order: Order | None) -> None:
        """Destroy the keys that are stated no more. One that is to be stated yet is newer than those."""
        finish_destroying(self.directory / "keys")
        view = self.keys.view
        newest = dict(view.names)  # by collection; the last one counts
        coming = dict(order.epochs) if order is not None else {}
        for collection, epoch in KeyRing.load(self.directory).oprf:
            after = newest.get(collection, coming.get(collection, 0))
            if epoch < after and (collection, epoch) not in view.names:
                destroy_oprf(self.directory, (collection, epoch))
                _log.info("epoch.destroyed", collection=collection, epoch=epoch)
        kept = frozenset(entry.key_id for entry in view.own.statement.sealing_keys)
        for number in destroy_sealing(self.directory, kept):
            _log.info("sealing.destroyed", number=number)

    def _destroy_rows(self, now: datetime) -> None:
        """Remove what is stored under keys that are gone; while a load runs that waits."""
        kept = set(KeyRing.load(self.directory).oprf)

        def note(name: Name) -> logbook.Entry:
            facts: dict[str, Json] = {"collection": name[0], "epoch": name[1], "event": "destroyed"}
            return logbook.make_entry("keys", facts, now)

        with self.store.read() as conn:
            if not has_other_sets(conn, kept):
                return
        try:
            with hold_right_to_load(self.directory):
                if drop_sets(self.store, kept, note):
                    drop_tags(self.directory)  # a killed load's, which may have been made under such a key
        except LoadRunning:
            return
