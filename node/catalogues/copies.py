"""Copies of other agencies' catalogues: in memory and on disk, each as far as it was verified.

Holds:    of each the newest version, what is being put together from fetches, and how far it once was.
Promises: `held` is safe from any thread; a value it gave stays as it was. A copy that was dropped is not
          taken up again by what was still being worked on; one that starts anew serves once it caught up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from elsewhere.errors import ElsewhereError
from elsewhere.wire.v1 import catalogue_pb2
from node.catalogues.holding import CatalogueName, Held, Intake, Reader, Taken
from node.catalogues.peer_files import PeerFiles
from node.catalogues.room import Room

_log = structlog.get_logger(__name__)


class Copies:
    """What is held of all catalogues. On the event loop, unless a method says that it blocks."""

    def __init__(self, files: PeerFiles, room: Room) -> None:
        self._files, self._room = files, room
        self._held: dict[CatalogueName, Held] = {}
        self._intakes: dict[CatalogueName, Intake] = {}
        self._floors: dict[CatalogueName, int] = {}  # versions that were held before a copy was dropped
        self._file_lock = threading.Lock()

    def names(self) -> set[CatalogueName]:
        """Every catalogue of which there is anything in memory."""
        return {*self._held, *self._intakes}

    def held(self, name: CatalogueName) -> Held | None:
        """Give the copy held now; None if there is none."""
        return self._held.get(name)

    def version(self, name: CatalogueName) -> int:
        """The version held, 0 for none."""
        held = self._held.get(name)
        return held.statement.version if held is not None else 0

    def intake(self, name: CatalogueName, reader: Reader) -> Intake:
        """Give the intake of a catalogue, with the custodian's key as it is now."""
        intake = self._intakes.get(name)
        if intake is None or intake.reader.public != reader.public:
            intake = self._intakes[name] = Intake(reader, self._held.get(name))
        intake.reader = reader  # a grant may be sealed to a newer key than those at hand last time
        return intake

    def take(self, name: CatalogueName, intake: Intake, message: catalogue_pb2.FetchResponse) -> Taken | None:
        """Verify a message and keep the version it completes; memory serves where the disk is full. Blocks.

        Returns:
            The version, to be given to `hold`; None if there is more to come, or the copy was dropped.

        Raises:
            As `Intake.take`.
        """
        taken = intake.take(message)
        if taken is None:
            return None
        with self._file_lock:
            if self._intakes.get(name) is not intake:
                return None  # dropped meanwhile
            try:
                if taken.held.statement.is_snapshot:
                    self._files.keep_snapshot(name, taken.held, taken.envelope)
                else:
                    self._files.append_delta(name, taken.envelope, taken.ciphertext)
            except OSError as err:
                _log.warning("catalogue.not_kept", custodian=name.custodian, error=err.errno)
        return taken

    def hold(self, name: CatalogueName, intake: Intake, taken: Taken) -> None:
        """Have a version serve that was taken, unless its copy was dropped since."""
        # A copy that was dropped is built up again from its snapshot, which may be older than what was held
        # before; nothing is tested against it until it has caught up.
        if self._intakes.get(name) is intake and taken.held.head.version >= self._floors.get(name, 0):
            self._held[name] = taken.held

    def drop(self, name: CatalogueName) -> Callable[[], None]:
        """Forget a copy at once; gives the work that removes its files, which blocks."""
        self._floors[name] = max(self._floors.get(name, 0), self.version(name))
        self._held.pop(name, None)
        self._intakes.pop(name, None)
        self._room.leave(name)

        def remove() -> None:
            with self._file_lock:
                if name not in self._intakes:
                    self._files.drop(name)

        return remove

    def kept(self) -> list[CatalogueName]:
        """Every catalogue of which an earlier run kept something. Blocks."""
        return self._files.names()

    def take_up(self, name: CatalogueName, reader: Reader | None) -> None:
        """Hold what an earlier run kept of a catalogue, verified as if it had just been fetched. Blocks."""
        held = self._read(name, reader) if reader is not None else None
        if held is not None:
            self._held[name] = held
        else:
            self._files.drop(name)

    def _read(self, name: CatalogueName, reader: Reader) -> Held | None:
        """Read as much as holds up; None if that is nothing."""
        try:
            kept = self._files.read(name)
            told = reader.read_statement(kept.envelope)
            reader.take_room(told.snapshot_count)
            held = Held(told, kept.key, self._files.read_snapshot(told.which))
        except (ElsewhereError, FileNotFoundError):
            _log.warning("catalogue.dropped", custodian=name.custodian, collection=name.collection)
            return None
        good = 0
        try:
            for envelope, ciphertext in kept.deltas:
                held = reader.apply_delta(held, reader.read_statement(envelope), ciphertext)
                good += 1
        except ElsewhereError:
            _log.warning("catalogue.shortened", custodian=name.custodian, collection=name.collection)
        self._files.shorten(name, kept.deltas[:good])
        return held
