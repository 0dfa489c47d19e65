"""Tagging while loading: this program's own loop beside bare libsodium, on one core and on two."""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import multiprocessing
import os
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from statistics import median

from bench.figures import Figure
from bench.floor import bare
from bench.people import children
from elsewhere.matchkeys import record_keys
from elsewhere.oprf.group import Library, library
from elsewhere.oprf.voprf import generate_key, tag_each

ROUNDS = 5


def measure(persons: int) -> list[Figure]:
    """Measure with so many made-up persons a round."""
    people = [child.person() for child in itertools.islice(children(7), persons)]
    record_keys(people[0])  # which reads the tables
    began = time.process_time()
    keys = [key.data for person in people for key in record_keys(person)]
    deriving = (time.process_time() - began) / len(keys)
    (one,) = _in_processes(1, keys)
    both = _in_processes(2, keys)
    share = 100 * one[1] / one[0]  # bare over ours
    figures = [
        Figure(
            "tagging", "tagging per core, share of bare libsodium", share, "%", 100, 92, "at least",
            note=f"{len(keys) / persons:.0f} tags a record, {1e6 * one[0]:.1f} us a tag; bare: hash to the "
            "group and multiply, nothing else",
        ),
        Figure("tagging", "deriving a match key, beside tagging it", 1e6 * deriving, "us", 1e6 * one[0]),
    ]  # fmt: skip
    if len(os.sched_getaffinity(0)) > 1:
        # One process's seconds over those of two at once: each does as much as the one did alone.
        speed_up = 2 * one[2] / max(wall for _, _, wall in both)
        figures.append(Figure("tagging", "tagging on two cores", speed_up, "x", 2, 1.8, "at least"))
    return figures


def _in_processes(count: int, keys: Sequence[bytes]) -> list[tuple[float, float, float]]:
    """Tag in so many processes at once; of each: our and bare CPU seconds a tag, and seconds by the clock."""
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_ready, range(count)))
        return list(pool.map(_tag, [keys] * count, [library()] * count))


def _ready(number: int) -> int:
    """Give the processes something to start for."""
    time.sleep(0.2)
    return number


def _tag(keys: Sequence[bytes], found: Library) -> tuple[float, float, float]:
    """Tag all keys with the program's loop and with bare libsodium, in turn, so that both see one machine."""
    key = generate_key(secrets.token_bytes)
    sodium = bare(found)
    uniform = [hashlib.sha512(value).digest() for value in keys]

    def plain() -> None:
        element, out = ctypes.create_string_buffer(32), ctypes.create_string_buffer(32)
        hash_, multiply, scalar = (
            sodium.crypto_core_ristretto255_from_hash,
            sodium.crypto_scalarmult_ristretto255,
            key.scalar,
        )
        for value in uniform:
            hash_(element, value)
            multiply(out, scalar, element)

    ours, theirs, walls = [], [], []
    for _ in range(ROUNDS):
        cpu, wall = _spent(lambda: tag_each(key, keys))
        ours.append(cpu)
        walls.append(wall)
        theirs.append(_spent(plain)[0])
    return median(ours) / len(keys), median(theirs) / len(keys), median(walls)


def _spent(work: Callable[[], object]) -> tuple[float, float]:
    """Processor seconds and seconds by the clock."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall
