"""The node's keys as they are now: one view of them, replaced whole whenever they change.

Holds:    every secret of the node, in memory.
Promises: a view never changes, so whatever works with one sees keys and statement that belong together.
          Whoever meets something that the view does not know looks at the folder before refusing it, so
          another process that has changed the keys is never behind; it looks once a second anyhow.

The statement in `trust/` says which keys are in force. Its keys are written before it names them, and
destroyed after it names them no more.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from elsewhere.errors import ElsewhereError, KeyFileMissing
from elsewhere.oprf.voprf import OprfKey
from elsewhere.sealing import SealingKey
from elsewhere.signing import SigningKey
from node.keys.identity import FILE_NAME, OwnStatement, read_own, write_own
from node.keys.ring import KeyId, KeyRing, Name, key_ids
from node.keys.stamps import NO_FILE, stamp
from node.keys.stating import NOTHING, Plan, Schedule, Stating
from node.processes.rights import hold_right_to_keys
from node.store.engine import Store

_ATTEMPTS: Final = 5
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class KeyView:
    """Keys and the statement that names them, as of one moment. Prints nothing secret."""

    ring: KeyRing = field(repr=False)  # without keys that are not stated yet, or not any more
    own: OwnStatement
    ids: frozenset[KeyId]  # which keys those of the epochs stated are

    def digest(self, collection: str, epoch: int) -> bytes:
        """What tells an epoch's key from any other; empty where none is stated."""
        return next((digest for *name, digest in self.ids if name == [collection, epoch]), b"")

    @property
    def names(self) -> tuple[Name, ...]:
        """The epochs stated, in order."""
        return tuple(sorted((entry.collection, entry.epoch) for entry in self.own.statement.oprf_keys))

    @property
    def oprf(self) -> Mapping[Name, OprfKey]:
        """The keys of the epochs stated."""
        return self.ring.oprf

    @property
    def signing(self) -> SigningKey:
        """What this agency signs with."""
        return self.ring.signing

    @property
    def sealing(self) -> tuple[SealingKey, ...]:
        """What may have been sealed to, newest first."""
        return self.ring.sealing


class LiveKeys:
    """The one holder of a process's view. Any thread may read it."""

    def __init__(self, directory: Path, agency: str, schedule: Schedule) -> None:
        """Read nothing yet; `open_keys` makes one that is ready."""
        self.directory, self.agency, self.schedule = directory, agency, schedule
        self._view: KeyView | None = None
        self._stamp = NO_FILE
        self._lock = threading.Lock()

    @property
    def view(self) -> KeyView:
        """The keys as they are now."""
        if self._view is None:
            raise RuntimeError("open_keys makes a holder that has a view")
        return self._view

    def newest(self) -> KeyView:
        """The keys as they are in the folder, which another process of this node may just have changed."""
        self.look()
        return self.view

    def refresh(self) -> bool:
        """Look whether the keys have changed, and take them up; True if they have.

        Raises:
            KeyFileExposed, KeyFileMissing, SignatureInvalid, DocumentInvalid: they cannot be read. The view
            stays as it was.
        """
        path = self.directory / "trust" / FILE_NAME
        with self._lock:
            found = stamp(path)
            if found == self._stamp and self._view is not None:
                return False
            self._view, self._stamp = self._read(), found
        return True

    def look(self) -> bool:
        """As `refresh`, but for keys that cannot be read now: those go to the log, and are tried again."""
        try:
            return self.refresh()
        except (ElsewhereError, OSError) as err:
            _log.error("keys.unreadable", code=str(getattr(err, "code", type(err).__name__)))
            return False

    def restate(self, now: datetime, plan: Plan = NOTHING) -> bool:
        """Make the next statement if there is something to state; True if there was.

        Call it while holding the right to the keys.
        """
        ring = KeyRing.load(self.directory)
        held = read_own(self.directory, ring.signing)
        now = now.replace(microsecond=0)
        stated = held.statement if held is not None else None
        stating = Stating(self.agency, ring, self.schedule, now, stated, plan)
        if replaced := stating.replaced():
            _log.error("keys.replaced", epochs=[f"{name}/{epoch}" for name, epoch in sorted(replaced)])
        made = stating.next()
        if made is None and held is not None and held.key != ring.signing.public:
            made = replace(held.statement, version=held.statement.version + 1, issued_utc=now)
        if made is not None:
            write_own(self.directory, ring.signing, made)
        return self.refresh()

    def _read(self) -> KeyView:
        """Read statement and keys that belong together."""
        for _ in range(_ATTEMPTS):
            ring = KeyRing.load(self.directory)
            own = read_own(self.directory, ring.signing)
            if own is None:
                raise KeyFileMissing(f"expected {FILE_NAME} in trust/; it is not there")
            stated = {(entry.collection, entry.epoch) for entry in own.statement.oprf_keys}
            # A key may be written or destroyed between the two; then the statement has changed too.
            if stated <= ring.oprf.keys():
                ring = _stated_only(ring, own)
                return KeyView(ring, own, key_ids(ring.oprf))
        raise KeyFileMissing("expected every key in keys/ that this node states; one is not there")


def open_keys(directory: Path, agency: str, schedule: Schedule, store: Store, now: datetime) -> LiveKeys:
    """Read all keys of a node; state them if they have not been, or this software speaks other versions.

    Raises:
        KeyFileExposed: the folder or a file in it is open to others; the node must not start.
        KeyFileMissing: one of them is absent or malformed.
        StoreBusy, StoreUnavailable: as `hold_right_to_keys`.
    """
    keys = LiveKeys(directory, agency, schedule)
    KeyRing.load(directory)  # before anything else: this tells best what is wrong with the folder
    with hold_right_to_keys(directory, store):
        keys.restate(now)
    return keys


def _stated_only(ring: KeyRing, own: OwnStatement) -> KeyRing:
    """Keep in memory what is stated: a key that is to be destroyed goes from here at once."""
    ids = {entry.key_id for entry in own.statement.sealing_keys}
    names = {(entry.collection, entry.epoch) for entry in own.statement.oprf_keys}
    return replace(
        ring,
        sealing=tuple(key for key in ring.sealing if key.key_id in ids),
        oprf={name: key for name, key in ring.oprf.items() if name in names},
    )
