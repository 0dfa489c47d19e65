"""Match keys and tags on all cores: processes that know the OPRF keys and nothing of the store.

Holds:    in each process, the keys of the tag sets, handed over through a pipe, never by file or argument.
          One that is destroyed meanwhile is let go of before the next chunk, and its tags are not made.
Sees:     persons in the clear, a chunk at a time; nothing is kept between chunks.
Promises: a worker ends when its parent does, however the parent ends; its errors quote no value. What the
          current folder holds is no code to it, once `elsewhere.hardening` has run.
"""

from __future__ import annotations

import collections
import hashlib
import hmac
import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

from elsewhere.matchkeys import Strength, record_keys
from elsewhere.oprf.voprf import OprfKey, tag_under
from elsewhere.parent import end_with
from elsewhere.person.identity import Person
from node.caseload.shields import NONE, is_tagged
from node.caseload.tagkeys import TagKeys
from node.caseload.tagrows import DECOY, head_of, tail_of

CHUNK_RECORDS = 200
HASH_BYTES = 8

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True, eq=False)
class TagSet:
    """A collection and epoch as the store numbers it, with its key."""

    id: int
    collection: str
    epoch: int
    key: OprfKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class Untagged:
    """A record on its way to tags in some sets, or in none: then only its strong keys are wanted.

    `origin` names source and person there: decoys made of it stay the same over reloads.
    """

    person: bytes = field(repr=False)
    shield: str
    origin: bytes = field(repr=False)
    set_ids: frozenset[int]


@dataclass(frozen=True, slots=True)
class Derived:
    """What a chunk of records comes to.

    strong: of each record, the hashes of its STRONG keys, HASH_BYTES each.
    rows: tags laid out as `tagrows.ROW`, with the record's place among those that want tags.
    """

    strong: list[bytes] = field(repr=False)
    rows: bytes = field(repr=False)


Work = Callable[[Sequence[TagSet], In], Out]


def derive(sets: Sequence[TagSet], records: Sequence[Untagged]) -> Derived:
    """Derive the match keys of records once, hash the STRONG ones, and tag all under the sets wanted.

    Returns:
        Rows in no order. A shielded location has as many rows as it would have unshielded: for each key that
        would tell of a postcode, a decoy that nobody can ask for.
    """
    found, strong = bytearray(), list[bytes]()
    # Records that go into the same sets are tagged together, so that each key is hashed but once.
    keys: dict[tuple[TagSet, ...], list[bytes]] = {}
    tails: dict[tuple[TagSet, ...], list[bytes]] = {}
    place = -1
    for record in records:
        place += bool(record.set_ids)
        person = Person.from_canonical(record.person)
        all_keys = record_keys(person)
        strong.append(b"".join(_hash(key.data) for key in all_keys if key.strength is Strength.STRONG))
        into = tuple(s for s in sets if s.id in record.set_ids and is_tagged(record.shield, s.collection))
        if not into:
            continue
        own = all_keys if record.shield == NONE else record_keys(person, with_postcode=False)
        keys.setdefault(into, []).extend(key.data for key in own)
        tails.setdefault(into, []).extend(tail_of(place, ordinal) for ordinal in range(len(own)))
        for tag_set in into:
            for index in range(len(all_keys) - len(own)):
                decoy = _decoy(tag_set.key, record.origin, index)
                found += head_of(tag_set.id) + decoy + tail_of(place, DECOY)
    for into, pending in keys.items():
        for tag_set, tags in zip(into, tag_under([s.key for s in into], pending), strict=True):
            head = head_of(tag_set.id)
            found += b"".join(head + tag + tail for tag, tail in zip(tags, tails[into], strict=True))
    return Derived(strong, bytes(found))


def _hash(key: bytes) -> bytes:
    """64 bits, enough to see which records share a key."""
    return hashlib.blake2b(key, digest_size=HASH_BYTES).digest()


def _decoy(key: OprfKey, origin: bytes, index: int) -> bytes:
    """Derive 32 bytes from the secret key alone: the same at every reload, so that nothing changes by it."""
    return hmac.digest(key.scalar, b"elsewhere/decoy/v1\0" + index.to_bytes(2) + origin, "sha256")


class Workers:
    """Runs chunks of work in processes, or right here when there is but one chunk."""

    def __init__(self, sets: Sequence[TagSet], count: int, keys: TagKeys | None = None) -> None:
        """Start nothing yet.

        Args:
            sets: under which to tag.
            count: how many processes there may be, 0 for one a core.
            keys: tells which of the sets' keys there are still; absent: they all stay.
        """
        self.sets = tuple(sets)
        self._keys = keys
        self._count = count or len(os.sched_getaffinity(0))
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            if isinstance(error, BrokenProcessPool):
                _let_go(self._pool)
            self._pool.shutdown(wait=True, cancel_futures=True)

    def look(self) -> None:
        """Let go of the keys that have been destroyed."""
        at_hand = self._keys.at_hand() if self._keys is not None and self.sets else frozenset()
        kept = tuple(s for s in self.sets if self._keys is None or (s.collection, s.epoch) in at_hand)
        if len(kept) == len(self.sets):
            return
        self.sets = kept
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True)  # what it was given is finished first

    def map(self, work: Work[In, Out], chunks: Iterable[In]) -> Iterator[Out]:
        """Yield the result of each chunk in order, reading only a few chunks ahead."""
        waiting: collections.deque[Future[Out]] = collections.deque()
        first, rest = _peek(chunks)
        if len(first) < 2 or self._count == 1:
            for chunk in itertools.chain(first, rest):
                self.look()
                yield _guarded(work, self.sets, chunk)
            return
        for chunk in itertools.chain(first, rest):
            self.look()
            waiting.append(self._processes().submit(_run, work, chunk))
            if len(waiting) > 2 * self._count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _processes(self) -> ProcessPoolExecutor:
        """Start the processes when first needed. They are spawned: a fork would copy open connections."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._count, multiprocessing.get_context("spawn"), _start, (self.sets,)
            )
        return self._pool


def _let_go(pool: ProcessPoolExecutor) -> None:
    """Have a pool whose worker was killed give up what it was just sending, which nobody will read.

    Older releases of Python 3.11 wait for ever to write the rest into a full pipe (CPython issue 94777, whose
    remedy this is). The load would hang, and keep every other one out.
    """
    queue: Any = vars(pool).get("_call_queue")
    if queue is not None:
        queue._reader.close()


def _peek(chunks: Iterable[In]) -> tuple[list[In], Iterator[In]]:
    """Take up to two chunks off, to see whether processes are worth their start."""
    rest = iter(chunks)
    return list(itertools.islice(rest, 2)), rest


# Set once in each worker process.
_sets_here: tuple[TagSet, ...] = ()


def _start(sets: tuple[TagSet, ...]) -> None:
    """Take the keys, leave Ctrl-C to the parent, and end when the parent is gone."""
    global _sets_here
    _sets_here = sets
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        end_with(parent.sentinel)  # or workers of one that is killed would keep the keys for ever


def _run(work: Work[In, Out], chunk: In) -> Out:
    """Do one chunk in a worker process."""
    return _guarded(work, _sets_here, chunk)


def _guarded(work: Work[In, Out], sets: Sequence[TagSet], chunk: In) -> Out:
    """Do one chunk; of an error, which may quote a person, only kind and place come through."""
    try:
        return work(sets, chunk)
    except Exception as err:
        trace = err.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"
        raise RuntimeError(f"{type(err).__name__} at {place} while deriving keys or tags") from None
