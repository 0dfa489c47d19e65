"""Tags made so far, kept on the disk until a load ends well, so that a killed one goes on where it was.

Holds:    tags, and of each record a fingerprint under the OPRF keys; no person. Without the keys both
          tell nothing.
Refuses:  a file that was cut short or changed: its tags are made again.
Promises: a tag is used again only for the same record, shield, match-key rules and keys, whatever export it
          comes from now. Files are for their owner alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from elsewhere.errors import StoreUnavailable
from elsewhere.keyfiles import replacing
from node.caseload.tagrows import ROW

FINGERPRINT_BYTES = 16
BUCKETS = 1024  # each takes tags of equal first 10 bits
_SHIFT = np.uint64(64 - 10)
_SEGMENT_ROWS = 250_000  # 10 MB: some seconds of tagging, which is all that a killed load loses
_MAGIC = b"elsewhere tags 1"
_SUM_BYTES = 32
_NOBODY = 0


@dataclass(slots=True)
class _Segment:
    """One file: some records' tags, in the order of the tags."""

    path: Path
    at: int  # where the rows begin
    bounds: NDArray[np.uint32] = field(repr=False)  # number of the first row of each bucket, and of the end
    owners: NDArray[np.int64] = field(repr=False)  # the record that each place stands for now; 0: nobody


class Journal:
    """The tags of one load, its own and those that it found."""

    def __init__(self, folder: Path) -> None:
        """Read what is left of a killed load; its files that are not whole are removed."""
        self._folder = folder
        self._segments: list[_Segment] = []
        self._pending: list[NDArray[np.void]] = []
        self._owners: list[int] = []
        self._prints: list[bytes] = []
        self._pending_rows = 0
        self._next = 0
        self.made = 0  # rows, decoys included
        found: list[NDArray[np.void]] = []
        for path in sorted(folder.iterdir()):
            number = int(path.stem) if path.suffix == ".tags" and path.stem.isdecimal() else None
            prints = self._open(path) if number is not None else None
            if number is None or prints is None:
                path.unlink()
                continue
            self._next = max(self._next, number + 1)
            found.append(prints)
        self._found = _Found(found)

    def __len__(self) -> int:
        """How many records of a killed load have tags here."""
        return len(self._found)

    def claim(self, record_id: int, fingerprint: bytes) -> bool:
        """Take tags that were found over for a record; tells whether there are any."""
        for segment, place in self._found.places(fingerprint):
            owners = self._segments[segment].owners
            if owners[place] == _NOBODY:  # two rows of one person are two records of one fingerprint
                owners[place] = record_id
                return True
        return False

    def add(self, record_ids: Sequence[int], fingerprints: Sequence[bytes], rows: bytes) -> None:
        """Keep the tags of a chunk of records.

        Args:
            rows: laid out as `tagrows.ROW`, numbered by the record's place in the chunk.

        Raises:
            StoreUnavailable: the disk is full.
        """
        table = np.frombuffer(rows, dtype=ROW).copy()
        table["place"] += len(self._owners)
        self._pending.append(table)
        self._owners += record_ids
        self._prints += fingerprints
        self._pending_rows += len(table)
        self.made += len(table)
        if self._pending_rows >= _SEGMENT_ROWS:
            self.flush()

    def flush(self) -> None:
        """Make everything durable.

        Raises:
            StoreUnavailable: the disk is full.
        """
        if not self._owners:
            return
        rows = np.concatenate(self._pending, dtype=ROW)
        rows = rows[np.argsort(rows["lead"], kind="stable")]
        head = _MAGIC + len(self._owners).to_bytes(4) + len(rows).to_bytes(8) + b"".join(self._prints)
        body = rows.tobytes()
        path = self._folder / f"{self._next:08}.tags"
        try:
            with replacing(path) as file:
                for part in (head, body, hashlib.blake2b(head + body, digest_size=_SUM_BYTES).digest()):
                    file.write(part)
        except OSError as err:
            raise StoreUnavailable(
                f"expected room for tags in the node's folder: {os.strerror(err.errno or 0)}"
            ) from None
        owners = np.array(self._owners, dtype=np.int64)
        self._segments.append(_Segment(path, len(head), _bounds(rows), owners))
        self._next += 1
        self._pending, self._owners, self._prints, self._pending_rows = [], [], [], 0

    def disown(self, record_ids: Sequence[int]) -> None:
        """Let go of all tags that some records have here: they are to have others."""
        self.flush()
        gone = np.array(record_ids, dtype=np.int64)
        for segment in self._segments:
            segment.owners[np.isin(segment.owners, gone)] = _NOBODY

    def parts(self, rows_at_once: int) -> Iterator[tuple[int, int, NDArray[np.void], NDArray[np.int64]]]:
        """Yield the rows that belong to records, in the order of set and tag, cut where the short tags part.

        Yields: first bucket, last bucket, rows, and the record id of each row.
        """
        self.flush()
        sizes = np.zeros(BUCKETS, dtype=np.int64)
        for segment in self._segments:
            sizes += segment.bounds[1:].astype(np.int64) - segment.bounds[:-1]
        first = 0
        while first < BUCKETS:
            last = first
            while last + 1 < BUCKETS and sizes[first : last + 2].sum() <= rows_at_once:
                last += 1
            yield first, last, *self._slice(first, last)
            first = last + 1

    def _slice(self, first: int, last: int) -> tuple[NDArray[np.void], NDArray[np.int64]]:
        """The owned rows of some buckets of every segment."""
        rows, owners = [np.empty(0, dtype=ROW)], [np.empty(0, dtype=np.int64)]
        for segment in self._segments:
            low, high = int(segment.bounds[first]), int(segment.bounds[last + 1])
            with segment.path.open("rb") as file:
                file.seek(segment.at + low * ROW.itemsize)
                part = np.frombuffer(file.read((high - low) * ROW.itemsize), dtype=ROW)
            whose = segment.owners[part["place"]]
            rows.append(part[whose != _NOBODY])
            owners.append(whose[whose != _NOBODY])
        table, ids = np.concatenate(rows, dtype=ROW), np.concatenate(owners)
        order = np.lexsort((table["lead"], table["set"]))
        return table[order], ids[order]

    def _open(self, path: Path) -> NDArray[np.void] | None:
        """Take a segment in that a killed load left; gives its fingerprints, None if it is not whole."""
        data = path.read_bytes()
        start = len(_MAGIC) + 12
        body, check = data[:-_SUM_BYTES], data[-_SUM_BYTES:]
        if len(data) < start or hashlib.blake2b(body, digest_size=_SUM_BYTES).digest() != check:
            return None
        if not data.startswith(_MAGIC):
            return None
        count = int.from_bytes(data[len(_MAGIC) : len(_MAGIC) + 4])
        at = start + count * FINGERPRINT_BYTES
        rows = np.frombuffer(body, dtype=ROW, offset=at)
        self._segments.append(_Segment(path, at, _bounds(rows), np.zeros(count, dtype=np.int64)))
        return np.frombuffer(body, dtype=_PRINT, count=count, offset=start).copy()


_PRINT = np.dtype([("high", ">u8"), ("low", ">u8")])


class _Found:
    """Where the records of a killed load are, by fingerprint; 32 bytes of memory for each."""

    def __init__(self, prints: Sequence[NDArray[np.void]]) -> None:
        every = np.concatenate([np.empty(0, dtype=_PRINT), *prints], dtype=_PRINT)
        order = np.argsort(every["high"], kind="stable")
        self._high = every["high"][order].astype(np.uint64)
        self._low = every["low"][order].astype(np.uint64)
        sizes = [len(part) for part in prints]
        self._segment = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)[order]
        places = [np.arange(size, dtype=np.int32) for size in sizes]
        self._place = np.concatenate([np.empty(0, dtype=np.int32), *places])[order]

    def __len__(self) -> int:
        return len(self._high)

    def places(self, fingerprint: bytes) -> Iterator[tuple[int, int]]:
        """Yield segment and place of every record of a fingerprint."""
        high, low = int.from_bytes(fingerprint[:8]), int.from_bytes(fingerprint[8:])
        at = int(np.searchsorted(self._high, np.uint64(high)))
        while at < len(self._high) and int(self._high[at]) == high:
            if int(self._low[at]) == low:
                yield int(self._segment[at]), int(self._place[at])
            at += 1


def _bounds(rows: NDArray[np.void]) -> NDArray[np.uint32]:
    """Where each bucket begins among rows in the order of their tags."""
    buckets = rows["lead"].astype(np.uint64) >> _SHIFT
    return np.searchsorted(buckets, np.arange(BUCKETS + 1, dtype=np.uint64)).astype(np.uint32)
