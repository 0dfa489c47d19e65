"""Whole lookups through real processes: how long, how much of the machine, how many at once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench import asking, floor
from bench.federation import Running, Settings, Shape, running
from bench.figures import Figure
from bench.timed import FILE, read_outcomes
from bench.usage import Meter, rss_mb

FILLED = "filler rows are random tags; the custodians only answer and hold no catalogues of others"
SETTLE_S = 0.3  # for what a lookup writes down after its answer


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is asked in one group."""

    in_turn: int
    at_once: int
    ticked: int
    rounds: int = floor.ROUNDS  # of each measurement of the floor


def measure(shape: Shape, effort: Effort, say: Callable[[str], None]) -> list[Figure]:
    """Measure one federation: idle, under load, then with ticks."""
    with running(shape, Settings(timed=True), say) as fed:
        figures = _idle(fed, shape, effort)
        if effort.at_once:
            figures += _loaded(fed, shape, effort)
    if effort.ticked:
        with running(shape, Settings(redeem_tick_ms=25), say) as fed:
            asking.ask_in_turn(fed.searcher, 3)
            ticked = [timed.whole for timed in asking.ask_in_turn(fed.searcher, effort.ticked, first=100)]
        added = 1e3 * asking.median(ticked) - figures[0].value
        what = f"what ticks of 25 ms add at {shape.custodians} custodians"
        figures.append(Figure("lookups", what, added, "ms", None, 25))
    return figures


def _idle(fed: Running, shape: Shape, effort: Effort) -> list[Figure]:
    """One lookup at a time: time as its asker sees it, processor time of every role, the first answer."""
    number, cores = shape.custodians, len(os.sched_getaffinity(0))
    asking.ask_in_turn(fed.searcher, 3)
    before = floor.measure(effort.rounds)
    time.sleep(SETTLE_S)
    meter, mine = Meter.start(fed.roles), time.process_time()
    timed = asking.ask_in_turn(fed.searcher, effort.in_turn, first=10)
    mine = (time.process_time() - mine) / len(timed)
    time.sleep(SETTLE_S)
    spent = {role: 1e3 * used / len(timed) for role, used in meter.read().items()}
    costs = floor.mean(before, floor.measure(effort.rounds))
    least = {
        "searcher": costs.searcher + number * costs.searcher_each,
        "custodians": number * costs.custodian,
    }
    whole, least_ms = [1e3 * found.whole for found in timed], 1e3 * costs.lookup(number)
    p50, p95 = asking.median(whole), asking.percentile(whole, 0.95)
    aim = 1.5 * least_ms / cores + 15
    name = f"{number} custodians of {shape.records:,}"
    parts = ", ".join(f"{role} {used:.1f}" for role, used in spent.items())
    floors = ", ".join(f"{role} {1e3 * used:.1f}" for role, used in least.items())
    total = sum(spent.values())
    return [
        Figure("lookups", f"p50 of a lookup, {name}", p50, "ms", least_ms / cores, aim, note=FILLED),
        Figure("lookups", f"p95 of a lookup, {name}", p95, "ms", p50, 1.4 * p50),
        Figure(
            "lookups", f"CPU of a lookup, all parties, {number} custodians", total, "ms", least_ms,
            1.5 * least_ms,
            note=f"{parts} ms; floors: {floors} ms; the asker's own process {1e3 * mine:.1f} ms beside it",
        ),
        Figure(
            "gateway", f"gateway CPU per custodian in place, {number} custodians",
            1e3 * spent["gateway"] / number, "us", None, 900,
        ),
        Figure("gateway", "gateway memory (RSS)", rss_mb(fed.gateway), "MB", None, 60),
        Figure("lookups", f"searcher memory (RSS), {name}", rss_mb(fed.nodes["agency-0"]), "MB"),
        _first_answer(fed, timed, number),
    ]  # fmt: skip


def _first_answer(fed: Running, timed: list[asking.Timed], number: int) -> Figure:
    """From the first second-round outcome at the searcher's link to the asker."""
    came = read_outcomes(fed.searcher / FILE)
    waits = [1e3 * (found.first_at - came[found.lookup_id]) for found in timed if found.lookup_id in came]
    what = f"wait for the first answer once it came, p95, {number} custodians"
    return Figure("lookups", what, asking.percentile(waits, 0.95), "ms", None, 20)


def _loaded(fed: Running, shape: Shape, effort: Effort) -> list[Figure]:
    """Many lookups at once, beside what bare libsodium would let this machine do."""
    cores = len(os.sched_getaffinity(0))
    asking.ask_at_once([fed.searcher], 8, each=4, first=5000)
    before = floor.measure(effort.rounds)
    took = asking.ask_at_once([fed.searcher], effort.at_once, each=6, first=6000)
    costs = floor.mean(before, floor.measure(effort.rounds))
    rate, bound = effort.at_once / took, cores / costs.lookup(shape.custodians)
    what = f"throughput at {shape.custodians} custodians, share of floor-bound"
    note = f"{rate:.1f} lookups a second of at most {bound:.1f}; one searcher, 4 in flight"
    return [Figure("lookups", what, 100 * rate / bound, "%", 100, 65, "at least", note)]
