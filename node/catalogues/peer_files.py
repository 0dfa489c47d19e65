"""Copies of others' catalogues at rest: the snapshot encrypted, the deltas as they came.

Holds:    short tags and snapshot keys, encrypted under the node's local key.
Refuses:  nothing by itself: what is read is verified again like a fetch, and what fails is fetched anew.

A catalogue has two files. `peer.A.C.E.V.cat` is the snapshot of version V. `peer.A.C.E.log` begins with the
snapshot's statement and key, sealed, and goes on with one (statement, ciphertext) for each delta since. The
snapshot is written first, so the log always speaks of one that is there; a cut-off tail is dropped.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from elsewhere.catalogue.files import read_catalogue, write_catalogue
from elsewhere.catalogue.sealed import KEY_SIZE
from elsewhere.catalogue.tags import Catalogue
from elsewhere.errors import CatalogueBroken, SealBroken
from elsewhere.keyfiles import replacing
from elsewhere.published import CatalogueId
from elsewhere.random import RandomBytes
from elsewhere.roster import AGENCY_ID
from elsewhere.statement import COLLECTION
from node.catalogues.holding import CatalogueName, Held
from node.keys.vault import Vault

_LENGTHS = struct.Struct(">II")
_FILE_NAME = re.compile(rf"peer\.({AGENCY_ID})\.({COLLECTION})\.(\d{{1,10}})\..+")


@dataclass(frozen=True, slots=True)
class Kept:
    """What the files of one catalogue hold; the statements are still to be verified."""

    key: bytes = field(repr=False)
    envelope: bytes  # of the snapshot
    deltas: tuple[tuple[bytes, bytes], ...] = field(repr=False)  # statement, ciphertext


class PeerFiles:
    """The folder of all copies. Calls block; one thread at a time for one catalogue."""

    def __init__(self, folder: Path, local: bytes, random: RandomBytes) -> None:
        self._folder, self._local, self._random = folder, local, random
        self._vault = Vault(local)

    def names(self) -> list[CatalogueName]:
        """The catalogues that there are files of."""
        return kept_names(self._folder)

    def keep_snapshot(self, name: CatalogueName, held: Held, envelope: bytes) -> None:
        """Keep a snapshot in the place of what was kept before."""
        which = held.statement.which
        path = self._snapshot_path(which)
        write_catalogue(path, held.catalogue, key=self._local, which=which, random=self._random)
        sealed = self._vault.seal(held.key + envelope, _label(name), self._random)
        with replacing(self._log_path(name)) as log:
            log.write(_LENGTHS.pack(len(sealed), 0) + sealed)
        for old in self._folder.glob(f"peer.{name.custodian}.{name.collection}.{name.epoch}.*.cat*"):
            if old != path:
                old.unlink(missing_ok=True)

    def append_delta(self, name: CatalogueName, envelope: bytes, ciphertext: bytes) -> None:
        """Keep a delta. It is not flushed to the disk: one that is lost in a power cut is fetched again."""
        with self._log_path(name).open("r+b") as file:
            file.seek(0, os.SEEK_END)
            file.write(_LENGTHS.pack(len(envelope), len(ciphertext)) + envelope + ciphertext)

    def read(self, name: CatalogueName) -> Kept:
        """Read what is kept of one catalogue.

        Raises:
            CatalogueBroken: damaged, or written under another key. Drop it and fetch the catalogue.
            FileNotFoundError: nothing is kept.
        """
        records = _records(self._log_path(name).read_bytes())
        sealed, _ = next(records, (b"", b""))
        try:
            opened = self._vault.open(sealed, _label(name))
        except SealBroken:
            raise CatalogueBroken("expected a catalogue kept by this node; its file does not open") from None
        return Kept(opened[:KEY_SIZE], opened[KEY_SIZE:], tuple(records))

    def read_snapshot(self, which: CatalogueId) -> Catalogue:
        """Read the snapshot of one version; raises as `read_catalogue`."""
        return read_catalogue(self._snapshot_path(which), key=self._local, which=which)

    def shorten(self, name: CatalogueName, deltas: tuple[tuple[bytes, bytes], ...]) -> None:
        """Keep only the first deltas, where the ones after them were cut off or do not hold."""
        path = self._log_path(name)
        with path.open("r+b") as file:
            sealed_size, _ = _LENGTHS.unpack(file.read(_LENGTHS.size))
            sizes = (_LENGTHS.size + len(envelope) + len(ciphertext) for envelope, ciphertext in deltas)
            file.truncate(_LENGTHS.size + sealed_size + sum(sizes))

    def drop(self, name: CatalogueName) -> None:
        """Remove everything kept of one catalogue."""
        drop_kept(self._folder, name)

    def _log_path(self, name: CatalogueName) -> Path:
        """The log of one catalogue. Ids hold no dot, so no two catalogues share a name."""
        return self._folder / f"peer.{name.custodian}.{name.collection}.{name.epoch}.log"

    def _snapshot_path(self, which: CatalogueId) -> Path:
        """The snapshot of one version."""
        return self._folder / f"peer.{which.custodian}.{which.collection}.{which.epoch}.{which.version}.cat"


def kept_names(folder: Path) -> list[CatalogueName]:
    """Name the catalogues that there are files of in a folder, in order; also of what was never whole."""
    found = (_FILE_NAME.fullmatch(path.name) for path in folder.glob("peer.*"))
    return sorted({CatalogueName(match[1], match[2], int(match[3])) for match in found if match is not None})


def drop_kept(folder: Path, name: CatalogueName) -> None:
    """Remove everything kept of one catalogue, first the log, without which the rest is nothing."""
    stem = f"peer.{name.custodian}.{name.collection}.{name.epoch}."
    (folder / f"{stem}log").unlink(missing_ok=True)
    for path in folder.glob(f"{stem}*"):
        path.unlink(missing_ok=True)


def _label(name: CatalogueName) -> str:
    """Name the catalogue inside the seal, so that no file can stand in for another."""
    return f"peer-log/{name.custodian}/{name.collection}/{name.epoch}"


def _records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Give the whole records of a log; a tail that was cut off is none."""
    at = 0
    while at + _LENGTHS.size <= len(data):
        first, second = _LENGTHS.unpack_from(data, at)
        start, at = at + _LENGTHS.size, at + _LENGTHS.size + first + second
        if at > len(data):
            return
        yield data[start : start + first], data[start + first : at]
