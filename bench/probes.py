"""What a catalogue costs: 40 probes of a big one in memory, and the disk's own price of a durable append."""

from __future__ import annotations

import os
import time
from pathlib import Path
from statistics import median

import numpy as np

from bench.figures import Figure
from elsewhere.catalogue.tags import Catalogue, ShortTags
from elsewhere.lookup import SLOTS

ROUNDS = 200


def measure_probes(tags: int) -> list[Figure]:
    """Time the test of a whole question against so many tags, warm."""
    random = np.random.default_rng(1)
    base: ShortTags = np.sort(random.integers(0, 2**64, tags, dtype=np.uint64))
    catalogue = Catalogue(np.unique(base))
    found = []
    for _ in range(ROUNDS):
        needles: ShortTags = random.integers(0, 2**64, SLOTS, dtype=np.uint64)
        began = time.perf_counter()
        catalogue.contains_each(needles)
        found.append(time.perf_counter() - began)
    what = f"{SLOTS} probes of {tags / 1e6:.3g} M tags, warm"
    return [Figure("catalogue", what, 1e6 * median(found), "us", None, 150)]


def measure_fsync(folder: Path) -> list[Figure]:
    """Time what makes an append durable on this disk."""
    note = "two of these are in each custodian's part of a lookup"
    return [Figure("disk", "making 4 kB durable (fdatasync)", fsync_ms(folder), "ms", note=note)]


def fsync_ms(folder: Path) -> float:
    """Milliseconds until 4 kB more are durable in a file of that folder, the median of fifty."""
    folder.mkdir(parents=True, exist_ok=True)
    path, found = folder / "fsync", []
    with path.open("wb", buffering=0) as file:
        for _ in range(50):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            found.append(time.perf_counter() - began)
    path.unlink()
    return 1e3 * median(found)
