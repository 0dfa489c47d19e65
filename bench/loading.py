"""Real loads: their time beside what the tagging alone costs, their memory, what a tag takes on the disk."""

from __future__ import annotations

from collections.abc import Callable

from bench.federation import Shape, made
from bench.figures import Figure
from bench.timedload import TimedLoad


def measure(shape: Shape, say: Callable[[str], None], *, afresh: bool) -> list[Figure]:
    """Load a custodian's records as an operator would, or tell of the load that its kept store came from."""
    folder = made(shape, say, afresh=afresh)
    load = TimedLoad.read(folder / shape.agencies[1])
    name, least = f"{load.records:,} records", load.least_cpu_s
    note = (
        f"on {load.day}; {load.tags:,} tags in {load.sets} sets, "
        f"{load.tags / load.sets / load.records:.1f} a record and set, none of them a filler"
    )
    return [
        Figure("loading", f"load of {name}", load.took_s, "s", least / load.cores,
               1.25 * least / load.cores, note=note),
        Figure("loading", f"CPU of the load of {name}, all processes", load.cpu_s, "s", least),
        Figure("loading", f"most memory while loading {name}, all processes", load.peak_mb, "MB", None,
               500 if load.records <= 200_000 else 1500),
        Figure("loading", f"store bytes a tag, {name}, records and log included",
               load.store_bytes / load.tags, "bytes", 32, note="the floor is the tag itself"),
    ]  # fmt: skip
