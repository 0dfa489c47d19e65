"""Asks many questions through a node's desk, as an agency's own system would, and times them."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.federation import REAL
from bench.people import Child, children
from elsewhere.asking import Ask, Coverage, CustodianAnswer, Done, Event, Started
from elsewhere.sdk.desk import Desk

PAUSE_S = 0.05  # between two questions to an idle federation, for what it writes down after an answer


@dataclass(frozen=True, slots=True)
class Timed:
    """How long one lookup took, as its asker saw it; times in seconds."""

    lookup_id: str
    whole: float
    first_at: float  # on the machine's steady clock
    hits: int


def questions(count: int) -> Sequence[Child]:
    """Children to ask about: half of them everybody holds, half nobody does."""
    held = itertools.islice(children(1), min(REAL, count))
    others = itertools.islice(children(2), count)
    return [child for pair in zip(itertools.cycle(held), others, strict=False) for child in pair][:count]


def ask_one(desk: Desk, child: Child, number: int) -> Timed:
    """Ask about one child, in the name of a worker of that number."""
    worker, case = f"worker-{number}", f"C-{number}"
    ask = Ask(child.person(), "S47_ENQUIRY", "RED", case_reference=case, asker=worker)
    began = time.monotonic()
    events: list[Event] = []
    first_at = 0.0
    for event in desk.events(ask):
        events.append(event)
        if not first_at and isinstance(event, CustodianAnswer):
            first_at = time.monotonic()
    whole = time.monotonic() - began
    done = events[-1]
    if not isinstance(done, Done) or done.coverage is not Coverage.COMPLETE:
        raise SystemExit(f"a lookup was not complete: {getattr(done, 'summary', '')[:300]}")
    started = next(event for event in events if isinstance(event, Started))
    hits = sum(isinstance(event, CustodianAnswer) and event.state.is_hit for event in events)
    return Timed(started.lookup_id, whole, first_at, hits)


def ask_in_turn(node: Path, count: int, *, first: int = 0) -> list[Timed]:
    """Ask one after another, each to a federation at rest."""
    found = []
    with Desk(node) as desk:
        for number, child in enumerate(questions(count), first):
            found.append(ask_one(desk, child, number))
            time.sleep(PAUSE_S)
    return found


def ask_at_once(nodes: Sequence[Path], count: int, *, each: int, first: int = 0) -> float:
    """Ask `count` questions with `each` askers at every node; gives the seconds that all took."""
    work = list(enumerate(questions(count), first))
    desks = [Desk(node) for node in nodes]
    began = time.monotonic()
    with ThreadPoolExecutor(each * len(nodes)) as pool:
        list(pool.map(lambda job: ask_one(desks[job[0] % len(desks)], job[1], job[0]), work))
    took = time.monotonic() - began
    for desk in desks:
        desk.close()
    return took


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which that part of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)
