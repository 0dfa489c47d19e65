"""The life of an epoch and of a sealing key, from the first moment of one to the destruction of the last.

Holds:    every key of the node while it takes a step.
Sees:     which records are tagged under what; no person.
Refuses:  to state an epoch under whose key not every record is tagged, be it that the store was restored from
          before, or holds tags of another key, or any while sources of
          a store that was set back are missing; to take a step in a process that does not lead.
Promises: every step may be repeated, so a node that is killed between any two goes on where it was. What a
          step follows from is durable and nowhere else: key files, the statement, the order, the store. It
          is taken under the right to the keys, so one that was begun in a term that has ended since is over
          before the next lead's begins.

1. ordered    `rotation.json` names the epochs to come.
2. written    their keys are in `keys/`; every load from now on tags under them too.
3. tagged     all records in force are tagged under them, by a process of its own.
4. stated     the statement names both epochs: now the new catalogue is published and fetched, and from a
              moment that is stated others ask under the new epoch. The order is done.
5. ended      the overlap is over: the statement names the old epoch no more.
6. destroyed  its key is overwritten and removed, its tags, entries and catalogue are removed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog
from sqlalchemy import Connection

from elsewhere.clock import Clock
from elsewhere.keyfiles import finish_destroying
from elsewhere.random import RandomBytes
from node.caseload.ending import drop_sets, has_other_sets, is_tagged_in, void_catalogues
from node.caseload.workplace import drop_tags
from node.errors import LoadRunning, StoreSetBack
from node.keys.live import LiveKeys
from node.keys.orders import Order, finish_order, read_order, write_order
from node.keys.ring import (
    COLLECTIONS,
    KeyRing,
    Name,
    add_oprf,
    add_sealing,
    destroy_oprf,
    destroy_sealing,
    key_ids,
    oprf_at_hand,
    read_oprf,
)
from node.keys.signing import check_listed, take_up_signing
from node.keys.stating import Plan, Schedule
from node.processes.rights import hold_right_to_keys, hold_right_to_load
from node.store.engine import Store
from node.storemark import StoreMark, follow, is_behind, read_mark, settled, write_mark

_NOBODY: frozenset[Name] = frozenset()
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Found:
    """What the store says, as of one moment."""

    void: frozenset[Name]  # stated, and nothing true can be answered under it
    is_set_back: bool  # it has just been noticed that the store is older than what was given out from it
    mark: StoreMark  # to hold from now on


def _anybody(connection: Connection) -> None:
    """For a node of one process, which always leads."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """Takes the steps. They block, for milliseconds."""

    keys: LiveKeys
    store: Store
    clock: Clock
    random: RandomBytes
    check_leading: Callable[[Connection], None] = _anybody  # raises LeadLost in a process that does not lead
    listed: Callable[[], bytes] | None = None  # the signing key that the roster lists for this agency

    @property
    def directory(self) -> Path:
        """The node's folder."""
        return self.keys.directory

    @property
    def schedule(self) -> Schedule:
        """How long keys live."""
        return self.keys.schedule

    def withdraw(self, *, is_set_back: bool = False) -> None:
        """State no epoch that cannot be answered under; a node does so before anybody can ask it.

        Any process of a node may call it: it neither makes nor destroys a key, and where all is well it
        does nothing.

        Args:
            is_set_back: somebody has shown that the store is older than what was given out from it.

        Raises: as `step`, but for LeadLost and StoreSetBack.
        """
        with hold_right_to_keys(self.directory, self.store):
            self.keys.refresh()
            found = self._look(is_set_back=is_set_back)
            if found.mark.awaited is not None:
                self._mark(found.mark)
            if found.void:
                self._withdraw(found, self.clock())

    def step(self) -> frozenset[Name]:
        """Go as far as can be gone now.

        Returns:
            The epochs of which nothing more can be done before all records are tagged under them; empty
            where there is nothing to tag.

        Raises:
            LeadLost: another process leads. Nothing was done.
            SigningUnlisted: nobody believes this node. All else was done.
            StoreSetBack: nothing is stated before every source has been loaded again; it names them.
            StoreUnavailable, StoreBusy, KeyFileMissing, OSError: the next step tries again.
        """
        with hold_right_to_keys(self.directory, self.store):
            with self.store.read() as conn:
                self.check_leading(conn)
            now = self.clock()
            listed = self.listed() if self.listed is not None else b""
            if listed and take_up_signing(self.directory, self.store, listed, now):
                self.keys.restate(now)
            self.keys.refresh()
            self._renew_sealing(now)
            found = self._look()
            self._mark(found.mark)
            order = self._withdraw(found, now)
            self._mark(settled(found.mark))
            for name in sorted(order.epochs if order is not None else ()):
                add_oprf(self.directory, name, self.random)
            found.mark.check_settled()
            waits_for = self._state(order, now)
            self._destroy_keys(order)
        self._destroy_rows(now)
        if listed:
            check_listed(self.directory, listed)
        return waits_for

    def _mark(self, mark: StoreMark) -> None:
        """Hold a mark from now on."""
        if mark != read_mark(self.directory):
            write_mark(self.directory, mark)

    def _look(self, *, is_set_back: bool = False) -> _Found:
        """Look at the store."""
        held, stated = read_mark(self.directory), frozenset(self.keys.view.names)
        with self.store.read() as conn:
            is_noticed = is_set_back or is_behind(conn, held)
            mark = follow(held, conn, is_set_back=is_noticed)
            # Tags are missing, or were made by other match keys; or others hold catalogues and the store
            # knows nothing of them, or another key made them. "Nothing found" would be false: no answer is
            # better.
            untagged = {key[:2] for key in self.keys.view.ids if not is_tagged_in(conn, [key])}
            void = frozenset(untagged | (stated & void_catalogues(conn)))
        return _Found(void if mark.awaited is None else stated, is_noticed, mark)

    def _withdraw(self, found: _Found, now: datetime) -> Order | None:
        """Drop the epochs that cannot be answered under from the statement; give the order to carry out."""
        words = [f"{name}/{epoch}" for name, epoch in sorted(found.void)]
        # Written before anything is dropped: killed in between, the next step must not forget it.
        order = self._order(now, is_due=bool(found.void))
        if found.is_set_back:
            _log.error(
                "store.set_back",
                code=StoreSetBack.code,
                epochs=words,
                missing=sorted(found.mark.awaited or ()),
                remedy="load every source again; records are tagged under new keys, see docs/store.md",
            )
        if found.void:
            _log.warning("epoch.withdrawn", epochs=words)
            self.keys.restate(now, Plan(drop=found.void))
        return order

    def _renew_sealing(self, now: datetime) -> None:
        """Make the next sealing key when it is time, unless it has been made already."""
        stated = {entry.key_id: entry for entry in self.keys.view.own.statement.sealing_keys}
        newest = stated.get(KeyRing.load(self.directory).sealing[0].key_id)
        if newest is not None and newest.not_after_utc - self.schedule.sealing_overlap <= now:
            add_sealing(self.directory, self.random)
            _log.info("sealing.begun")

    def _order(self, now: datetime, *, is_due: bool) -> Order | None:
        """Give the order to carry out: the one there is, or one made now because it is time."""
        order = read_order(self.directory)
        if order is not None and order.epochs <= set(self.keys.view.names):
            finish_order(self.directory)
            order = None
        if order is not None:
            return order
        stated = self.keys.view.own.statement
        newest = {entry.collection: entry.valid_from_utc for entry in stated.oprf_keys}  # the last one counts
        is_old = any(begun + self.schedule.epoch <= now for begun in newest.values())
        # One that was to come, or was stated, and whose key was replaced since: what was wanted still is.
        numbers = dict(self.keys.view.names)
        is_left = any(epoch > numbers.get(name, 0) for name, epoch in oprf_at_hand(self.directory))
        if not (is_due or is_old or is_left or newest.keys() != set(COLLECTIONS)):
            return None
        return write_order(self.directory, self.store, self.schedule.overlap, now)

    def _state(self, order: Order | None, now: datetime) -> frozenset[Name]:
        """State what there is to state, new epochs once all records are tagged; give what that waits for."""
        names = frozenset(self.keys.view.names) | (order.epochs if order is not None else _NOBODY)
        before = self.keys.view
        is_tagged = self._is_tagged(names)
        if order is None or not is_tagged:
            self.keys.restate(now)
        else:
            # While no load runs: none may be about to bring records into force that are not tagged there.
            with contextlib.suppress(LoadRunning), hold_right_to_load(self.directory, self.store):
                if is_tagged := self._is_tagged(names):
                    self.keys.restate(now, Plan(begin=dict.fromkeys(order.epochs, order.overlap)))
            self.keys.restate(now)
        if self.keys.view is not before:
            names_now = [f"{name}/{epoch}" for name, epoch in self.keys.view.names]
            _log.info("keys.stated", version=self.keys.view.own.statement.version, epochs=names_now)
        if order is not None and order.epochs <= set(self.keys.view.names):
            finish_order(self.directory)
        return _NOBODY if is_tagged else names

    def _is_tagged(self, names: Collection[Name]) -> bool:
        """Whether all records are tagged under the keys of these epochs, as far as there are any."""
        keys = {name: key for name, key in read_oprf(self.directory).items() if name in names}
        with self.store.read() as conn:
            return is_tagged_in(conn, key_ids(keys))

    def _destroy_keys(self, order: Order | None) -> None:
        """Destroy the keys that are stated no more, or never will be. Those to come are newer than any."""
        finish_destroying(self.directory / "keys")
        view = self.keys.view
        newest = dict(view.names)  # by collection; the last one counts
        coming = dict(order.epochs) if order is not None else {}
        for collection, epoch in KeyRing.load(self.directory).oprf:
            after = max(newest.get(collection, 0), coming.get(collection, 0))
            if epoch < after and (collection, epoch) not in view.names:
                destroy_oprf(self.directory, (collection, epoch))
                _log.info("epoch.destroyed", collection=collection, epoch=epoch)
        kept = frozenset(entry.key_id for entry in view.own.statement.sealing_keys)
        for number in destroy_sealing(self.directory, kept):
            _log.info("sealing.destroyed", number=number)

    def _destroy_rows(self, now: datetime) -> None:
        """Remove what is stored under keys that are gone; while a load runs that waits."""
        kept = key_ids(read_oprf(self.directory))
        with self.store.read() as conn:
            if not has_other_sets(conn, kept):
                return
        try:
            with hold_right_to_load(self.directory, self.store):
                if drop_sets(self.store, kept, now):
                    drop_tags(self.directory)  # a killed load's, which may have been made under such a key
        except LoadRunning:
            return
