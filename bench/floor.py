"""The least that a lookup can cost here: the group operations it needs, in bare libsodium, on all cores.

Promises: every cost is a median over all cores at once, since the alignment of a stack alone moves a
          multiplication by a sixth. A run takes it before and after what it measures, and uses the mean.
Source:   RFC 9497 §2.2.1, §2.2.2 and §3.3.2 for the number of operations.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import secrets
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from elsewhere.lookup import SLOTS
from elsewhere.oprf.group import Library, library

ROUNDS, CALLS = 15, 200


@dataclass(frozen=True, slots=True)
class Costs:
    """What one call costs, in seconds."""

    hash_to_group: float
    multiply: float
    multiply_base: float
    add: float
    invert: float

    @property
    def tag(self) -> float:
        """One match key hashed to the group and multiplied by a key."""
        return self.hash_to_group + self.multiply

    @property
    def searcher(self) -> float:
        """What a lookup costs the searcher once: hash and blind every slot, invert the blinds together."""
        return SLOTS * (self.hash_to_group + self.multiply) + self.invert

    @property
    def searcher_each(self) -> float:
        """For each custodian: check the batched proof, take the blinds off."""
        # Two sums of 40 weighted elements, then t2 = s*A + c*B and t3 = s*M + c*Z; and 40 products.
        multiplications, additions = 2 * SLOTS + 3 + SLOTS, 2 * (SLOTS - 1) + 2
        return multiplications * self.multiply + additions * self.add + self.multiply_base

    @property
    def custodian(self) -> float:
        """At each custodian: evaluate every slot and prove it."""
        # The public key and t2 are multiples of the generator; one sum of 40, then Z = k*M and t3 = r*M.
        multiplications, additions = SLOTS + SLOTS + 2, SLOTS - 1
        return multiplications * self.multiply + additions * self.add + 2 * self.multiply_base

    def lookup(self, custodians: int) -> float:
        """A whole lookup, over all parties."""
        return self.searcher + custodians * (self.searcher_each + self.custodian)


def mean(before: Costs, after: Costs) -> Costs:
    """What held between two measurements."""
    names = Costs.__slots__
    return Costs(*((getattr(before, name) + getattr(after, name)) / 2 for name in names))


def measure(rounds: int = ROUNDS) -> Costs:
    """Measure on all cores at once; the median of every core's medians."""
    found = library()
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:
        each = list(pool.map(_measure_here, [found] * cores, [rounds] * cores))
    return Costs(*(statistics.median(column) for column in zip(*each, strict=True)))


def bare(found: Library) -> ctypes.CDLL:
    """Load the very library that the program uses, with nothing of ours around it."""
    if found.origin != "system":
        raise SystemExit("the benchmarks want the system's libsodium: install Debian's libsodium23")
    sodium = ctypes.CDLL(found.path)
    sodium.sodium_init()
    return sodium


def _measure_here(found: Library, rounds: int) -> tuple[float, ...]:
    """Measure the five calls in this process."""
    sodium = bare(found)
    scalar, uniform = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
    left, right, out = (ctypes.create_string_buffer(32) for _ in range(3))
    uniform.raw = secrets.token_bytes(64)
    sodium.crypto_core_ristretto255_scalar_random(scalar)
    sodium.crypto_core_ristretto255_random(left)
    sodium.crypto_core_ristretto255_random(right)
    group, core = sodium.crypto_scalarmult_ristretto255, sodium.crypto_core_ristretto255_add
    base, inverse = sodium.crypto_scalarmult_ristretto255_base, sodium.crypto_core_ristretto255_scalar_invert
    return (
        _time(lambda: sodium.crypto_core_ristretto255_from_hash(out, uniform), rounds),
        _time(lambda: group(out, scalar, left), rounds),
        _time(lambda: base(out, scalar), rounds),
        _time(lambda: core(out, left, right), rounds),
        _time(lambda: inverse(out, scalar), rounds),
    )


def _time(call: Callable[[], object], rounds: int) -> float:
    """Processor seconds of one call, whatever else runs here: the median of rounds of many."""
    found = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(CALLS):
            call()
        found.append((time.process_time() - began) / CALLS)
    return statistics.median(found)
