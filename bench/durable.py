"""What it costs that nothing is released before it is in the log for good: a disk beside memory."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import asking
from bench.federation import Running, Settings, Shape, made, running
from bench.figures import Figure
from bench.probes import fsync_ms

MEMORY = Path("/dev/shm")
MOST = 1.25  # times as long with a disk
_AT_ONCE = 10  # asked of one before the other has its turn, so that both meet the same neighbours
_REST_S = 5.0


def measure(shape: Shape, lookups: int, say: Callable[[str], None]) -> list[Figure]:
    """Ask two federations in turn, the same but for where their stores are."""
    made(shape, say)
    with (
        _copied(shape, say) as copy,
        running(shape, Settings(), say) as on_disk,
        running(shape, Settings(), say, folder=copy) as in_memory,
    ):
        both = (on_disk, in_memory)
        for fed in both:
            asking.ask_in_turn(fed.searcher, 3)
        time.sleep(_REST_S)
        times: dict[str, list[float]] = {str(fed.folder): [] for fed in both}
        for first in range(100, 100 + lookups, _AT_ONCE):
            for fed in both:
                count = min(_AT_ONCE, 100 + lookups - first)
                found = asking.ask_in_turn(fed.searcher, count, first=first)
                times[str(fed.folder)] += [1e3 * timed.whole for timed in found]
        disk, memory = (asking.median(times[str(fed.folder)]) for fed in both)
        return [_figure(shape, lookups, (disk, memory), both)]


def _figure(shape: Shape, lookups: int, found: tuple[float, float], both: tuple[Running, Running]) -> Figure:
    disk, memory = found
    durable = " and ".join(f"{fsync_ms(fed.folder):.3f}" for fed in both)
    note = f"{lookups} lookups each, in turn; its floor is the same in memory; one fdatasync: {durable} ms"
    what = f"p50 of a lookup with its log on the disk, {shape.custodians} custodians"
    return Figure("log", what, disk, "ms", memory, MOST * memory, note=note)


@contextmanager
def _copied(shape: Shape, say: Callable[[str], None]) -> Iterator[Path]:
    """A copy of a federation in memory, until the block ends."""
    place = Path(tempfile.mkdtemp(prefix="elsewhere-", dir=MEMORY))
    try:
        yield Path(shutil.copytree(made(shape, say), place / shape.name))
    finally:
        shutil.rmtree(place, ignore_errors=True)
