"""Copies of the members' logs, as hashes: each grows as its agency signs it, and never otherwise.

Holds:    the hash of every entry of every log, 32 bytes each, and each log's newest checkpoint.
Sees:     how long each log is. Entries are salted, so a hash tells nothing of what it stands for.
Refuses:  hashes that do not continue the copy, or lead to another root than their agency has signed; more
          than a quota.
Promises: what was taken is there as long as the folder is. A file that was cut or lost is asked for again.
Source:   RFC 9162 §2.1; docs/ledger.md.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from elsewhere.errors import StoreUnavailable
from elsewhere.transparency.checkpoint import Checkpoint
from elsewhere.transparency.errors import LogShort, ProofBroken
from elsewhere.transparency.merkle import (
    HASH_BYTES,
    Proof,
    completed,
    prove_consistency,
    prove_inclusion,
    root_of,
)

MOST_AT_ONCE: Final = 32_768  # hashes


@dataclass(frozen=True, slots=True)
class HashFiles:
    """The hashes of one log's tree on the disk: a file a level that is kept, one hash after another."""

    folder: Path

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        """Give the hashes of complete subtrees; raises StoreUnavailable where the file is cut."""
        try:
            with self._path(level).open("rb") as file:
                file.seek(start * HASH_BYTES)
                found = file.read((stop - start) * HASH_BYTES)
        except FileNotFoundError:
            found = b""
        if len(found) != (stop - start) * HASH_BYTES:
            raise StoreUnavailable("expected the whole copy of a log; its file has been cut")
        return [found[at : at + HASH_BYTES] for at in range(0, len(found), HASH_BYTES)]

    def count(self, level: int = 0) -> int:
        """Tell how many hashes of a level there are."""
        try:
            return self._path(level).stat().st_size // HASH_BYTES
        except FileNotFoundError:
            return 0

    def put(self, level: int, start: int, hashes: Sequence[bytes]) -> None:
        """Write hashes from a place on; what was there from that place on goes. Durable at the end."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path(level), os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            file.truncate(start * HASH_BYTES)
            file.seek(start * HASH_BYTES)
            file.write(b"".join(hashes))
            file.flush()
            os.fsync(file.fileno())

    def _path(self, level: int) -> Path:
        return self.folder / f"level-{level}"


class Mirror:
    """All members' logs. Calls block; any thread may make them.

    Args:
        root: a folder; each log has one of its own in it.
        quota_bytes: for the hashes of one log.
    """

    def __init__(self, root: Path, quota_bytes: int) -> None:
        self._root, self._quota_bytes = root, quota_bytes
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def held(self, agency: str, newest: Checkpoint | None) -> int:
        """Tell how many hashes of a log there are; what was written but never entered counts for nothing."""
        return min(self._files(agency).count(), newest.size) if newest is not None else 0

    def append(
        self, agency: str, start: int, hashes: Sequence[bytes], stated: Checkpoint, newest: Checkpoint | None
    ) -> None:
        """Take the hashes of a log's next entries; the caller enters the checkpoint once this has returned.

        Args:
            agency: whose log; a member's, so that its name is a file's.
            start: how many hashes there are.
            hashes: of 32 bytes.
            stated: what the agency signed over all of them.
            newest: the checkpoint entered last.

        Raises:
            ProofBroken: they lead to another root than was signed, now or before. Nothing was taken.
            LogShort: the checkpoint is not over these entries, or there are more than the quota allows.
            StoreUnavailable: the disk is full or fails.
        """
        size, files = start + len(hashes), self._files(agency)
        if stated.size != size:
            raise LogShort(f"expected a checkpoint over {size} entries; it is over {stated.size}")
        if size * HASH_BYTES > self._quota_bytes:
            raise LogShort(f"expected at most {self._quota_bytes // HASH_BYTES} entries of one log")
        with self._locks[agency]:
            try:
                if hashes:
                    files.put(0, start, hashes)
                    self._complete(files, start, size)
                is_it = root_of(files, size) == stated.root
                # A copy whose file was cut is filled again: then what was signed before binds as well.
                if newest is not None and newest.size <= size:
                    is_it = is_it and root_of(files, newest.size) == newest.root
            except OSError:
                raise StoreUnavailable("expected room for the hashes of a log; writing them failed") from None
        if not is_it:
            raise ProofBroken("expected the log that was signed before, grown; it is another")

    def put_aside(self, agency: str, origin: str) -> None:
        """Make room for a log that its agency has begun anew; of those before it the last is kept.

        Args:
            agency: whose log.
            origin: the name of the one held. What was put aside under that name is left as it is.
        """
        files, aside = self._files(agency).folder, self._root / f"{agency}.before"
        older = self._root / f"{agency}.before.before"  # until the other is in its place
        name = aside / "origin"
        with self._locks[agency]:
            if not files.exists() or (name.exists() and name.read_text("utf-8") == origin):
                return
            try:
                (files / name.name).write_text(origin, "utf-8")
                shutil.rmtree(older, ignore_errors=True)
                if aside.exists():
                    aside.rename(older)
                files.rename(aside)
                shutil.rmtree(older, ignore_errors=True)
            except OSError:
                raise StoreUnavailable("expected to put a log's copy aside; it failed") from None

    def prove_growth(self, agency: str, old: int, new: int, newest: Checkpoint | None) -> Proof:
        """Prove that a log only grew; raises LogShort where it is not as long here."""
        if newest is None or not 0 <= old <= new <= self.held(agency, newest):
            raise LogShort("expected two sizes of a log as it is held here")
        return prove_consistency(self._files(agency), old, new)

    def prove_entry(self, agency: str, index: int, size: int, newest: Checkpoint | None) -> Proof:
        """Prove that an entry is in a log; raises LogShort where it is not as long here."""
        if newest is None or not 0 <= index < size <= self.held(agency, newest):
            raise LogShort("expected an entry of a log as it is held here")
        return prove_inclusion(self._files(agency), index, size)

    def _files(self, agency: str) -> HashFiles:
        return HashFiles(self._root / agency)

    @staticmethod
    def _complete(files: HashFiles, old: int, new: int) -> None:
        """Write the hashes of the subtrees that have become whole."""
        for level, place, found in completed(files, old, new):
            files.put(level, place, [found])
