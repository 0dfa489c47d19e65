"""Whole lookups through real processes: how long, how much of the machine, how many at once."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from bench import asking, floor, plain
from bench.federation import SEARCHER, Running, Settings, Shape, running
from bench.figures import Figure
from bench.plain import PlainCosts
from bench.probes import fsync_ms
from bench.timed import FILE, read_outcomes
from bench.usage import Meter, family_mb, rss_mb

FILLED = "filler rows are random tags; the custodians only answer and hold no catalogues of others"
REAL = "every tag is of a record really loaded"
SETTLE_S = 0.3  # for what a lookup writes down after its answer
_REST_S, _AT_REST = 900, 0.03  # seconds at most; processor seconds a second of each process


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is asked in one group."""

    in_turn: int
    at_once: int
    ticked: int
    rounds: int = floor.ROUNDS  # of each measurement of the floor
    rest_s: float = 5.0  # for how long all processes are watched at rest


def measure(shape: Shape, effort: Effort, say: Callable[[str], None]) -> list[Figure]:
    """Measure one federation: plain lookups, then ours: idle, under load, with ticks."""
    beside = plain.measure(shape, effort.in_turn, say)
    with running(shape, Settings(timed=True), say) as fed:
        figures = [*_idle(fed, shape, effort, beside), *_memory(fed, shape)]
        if effort.at_once:
            figures += _loaded(fed, shape, effort, beside)
    if effort.ticked:
        with running(shape, Settings(redeem_tick_ms=25), say) as fed:
            asking.ask_in_turn(fed.searcher, 3)
            _rest(fed, effort.rest_s)
            ticked = [timed.whole for timed in asking.ask_in_turn(fed.searcher, effort.ticked, first=100)]
        added = 1e3 * asking.median(ticked) - figures[0].value
        what = f"what ticks of 25 ms add at {shape.custodians} custodians"
        note = f"{effort.ticked} lookups beside {effort.in_turn}"
        figures.append(Figure("lookups", what, added, "ms", None, 25, note=note))
    return figures


def _idle(fed: Running, shape: Shape, effort: Effort, beside: PlainCosts) -> list[Figure]:
    """One lookup at a time: time as its asker sees it, processor time of every role, the first answer."""
    number, cores = shape.custodians, len(os.sched_getaffinity(0))
    asking.ask_in_turn(fed.searcher, 3)
    at_rest = _rest(fed, effort.rest_s)
    before = floor.measure(effort.rounds)
    time.sleep(SETTLE_S)
    meter, mine, began = Meter.start(fed.roles), time.process_time(), time.monotonic()
    timed = asking.ask_in_turn(fed.searcher, effort.in_turn, first=10)
    mine = (time.process_time() - mine) / len(timed)
    time.sleep(SETTLE_S)
    passed = time.monotonic() - began
    spent = {
        role: max(0.0, 1e3 * (used - passed * at_rest[role]) / len(timed))
        for role, used in meter.read().items()
    }
    costs = floor.mean(before, floor.measure(effort.rounds))
    least = {
        "searcher": 1e3 * (costs.searcher + number * costs.searcher_each),
        "custodians": 1e3 * number * costs.custodian,
        "gateway": None,
    }
    whole, least_ms = [1e3 * found.whole for found in timed], 1e3 * costs.lookup(number)
    p50, p95 = asking.median(whole), asking.percentile(whole, 0.95)
    name, asked = f"{number} custodians of {shape.records:,}", f"{len(timed)} lookups"
    roles = [
        Figure("lookups", f"CPU of a lookup, {role}, {name}", spent[role], "ms", least[role],
               plain=beside.cpu[role])
        for role in ("searcher", "custodians", "gateway")
    ]  # fmt: skip
    return [
        Figure("lookups", f"p50 of a lookup, {name}", p50, "ms", least_ms / cores,
               1.5 * least_ms / cores + 15, note=f"{asked}; {_note(shape, fed)}", plain=beside.p50),
        Figure("lookups", f"p95 of a lookup, {name}", p95, "ms", p50, 1.4 * p50,
               note=f"{asked}; its floor is the p50", plain=beside.p95),
        Figure("lookups", f"CPU of a lookup, all parties, {name}", sum(spent.values()), "ms", least_ms,
               1.5 * least_ms, note=f"{asked}; {_beside(mine, at_rest)}",
               plain=sum(beside.cpu.values())),
        *roles,
        Figure("gateway", f"gateway CPU per custodian in place, {name}", 1e3 * spent["gateway"] / number,
               "us", None, 900, plain=1e3 * beside.cpu["gateway"] / number),
        _first_answer(fed, timed, name),
    ]  # fmt: skip


def _beside(mine: float, at_rest: dict[str, float]) -> str:
    """What is not counted in a lookup's processor time."""
    idle = ", ".join(f"{role} {1e3 * used:.1f}" for role, used in at_rest.items())
    return (
        f"the asker's own process: {1e3 * mine:.1f} ms beside it; taken off, as at rest: {idle} ms a second"
    )


def _note(shape: Shape, fed: Running) -> str:
    """What the stores hold, and the part of the time that no group operation is."""
    durable = fsync_ms(fed.folder)
    return (
        f"{REAL if shape.is_real else FILLED}; the two fdatasync of a custodian's part: {2 * durable:.2f} ms"
    )


def _rest(fed: Running, watched_s: float) -> dict[str, float]:
    """Wait until nobody is busy any more with what a start brings, such as publishing catalogues.

    Gives the processor seconds a second that each role takes at rest, with nobody asking.
    """
    for _ in range(_REST_S):
        meter = Meter.start(fed.roles)
        time.sleep(1)
        if sum(meter.read().values()) < _AT_REST * sum(map(len, fed.roles.values())):
            meter = Meter.start(fed.roles)
            time.sleep(watched_s)
            return {role: used / watched_s for role, used in meter.read().items()}
    raise SystemExit(f"the federation was still busy after {_REST_S} s")


def _memory(fed: Running, shape: Shape) -> list[Figure]:
    """Memory of every role with its children, and what a tag takes in a catalogue on the way."""
    name = f"{shape.custodians} custodians of {shape.records:,}"
    custodians = [family_mb(pid) for agency, pid in fed.nodes.items() if agency != SEARCHER]
    one = shape.agencies[1]
    with closing(sqlite3.connect(fed.folder / one / "store.sqlite")) as db:
        ((entries,),) = db.execute("SELECT count(*) FROM entry")
    sealed = sum(path.stat().st_size for path in (fed.folder / "gw/catalogues" / one).rglob("*.piece"))
    limit = 1500 if shape.records >= 1_000_000 else None
    return [
        Figure("memory", f"gateway (RSS), {name}", rss_mb(fed.gateway), "MB", None, 60),
        Figure("memory", f"searcher (RSS), {name}", rss_mb(fed.nodes[SEARCHER]), "MB",
               note="with the catalogues of all custodians in both collections"),
        Figure("memory", f"custodian with its children, {name}", max(custodians), "MB", None, limit),
        Figure("memory", f"catalogue bytes a tag at the gateway, {name}", sealed / entries, "bytes", 8,
               note="sealed and padded"),
    ]  # fmt: skip


def _first_answer(fed: Running, timed: list[asking.Timed], name: str) -> Figure:
    """From the first second-round outcome at the searcher's link to the asker."""
    came = read_outcomes(fed.searcher / FILE)
    waits = [1e3 * (found.first_at - came[found.lookup_id]) for found in timed if found.lookup_id in came]
    what = f"wait for the first answer once it came, p95, {name}"
    note = f"{len(waits)} lookups"
    return Figure("lookups", what, asking.percentile(waits, 0.95), "ms", None, 20, note=note)


def _loaded(fed: Running, shape: Shape, effort: Effort, beside: PlainCosts) -> list[Figure]:
    """Many lookups at once, beside what bare libsodium would let this machine do."""
    cores = len(os.sched_getaffinity(0))
    asking.ask_at_once([fed.searcher], 8, each=4, first=5000)
    before = floor.measure(effort.rounds)
    took = asking.ask_at_once([fed.searcher], effort.at_once, each=6, first=6000)
    costs = floor.mean(before, floor.measure(effort.rounds))
    rate, bound = effort.at_once / took, cores / costs.lookup(shape.custodians)
    what = f"throughput at {shape.custodians} custodians, share of floor-bound"
    note = f"{effort.at_once} lookups; {rate:.1f} a second of at most {bound:.1f}; one searcher, 4 in flight"
    return [
        Figure("lookups", what, 100 * rate / bound, "%", 100, 65, "at least", note,
               plain=100 * beside.rate / bound)
    ]  # fmt: skip
