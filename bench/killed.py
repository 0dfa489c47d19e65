"""A load that is killed again and again, and resumed each time, beside the same load left alone.

Promises: the real `elsewhere node load` in real processes; SIGKILL of the parent or of one worker, at moments
          drawn from a seed within every phase, the final switch included.
"""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path

from bench.federation import Shape, made
from bench.figures import Figure
from bench.loadprocess import PHASES, LoadProcess, left_of, load_process
from bench.people import MAPPING, children, write_export
from bench.stores import load
from bench.visible import Loaded, Visible, entries, loaded, visible

LIMIT_MB, ROWS, KILLS, SEED = 500.0, 200_000, 12, 20261122
BEFORE = 200  # rows in force before
_EXPORT, _MAPPING = "killed.csv", "killed.toml"
_LOOK_S = 0.05
_READING, _TAGGING, _, _STORING = PHASES


@dataclass(frozen=True, slots=True)
class Kill:
    """When to kill: once a phase has lasted for a share of its time; at the switch once all is stored."""

    phase: str
    share: float  # of what the phase took the load that was left alone; 1 in storing: at the switch
    of_worker: bool


@dataclass
class Seen:
    """What was seen of all attempts."""

    states: Counter[Visible] = field(default_factory=Counter)  # looked at all the while
    entries: Counter[int] = field(default_factory=Counter)  # of the catalogues, after each attempt
    kills: Counter[str] = field(default_factory=Counter)  # by phase
    workers: int = 0  # of those kills
    left: int = 0  # processes of a killed load that outlived it
    rss_mb: float = 0.0
    pss_mb: float = 0.0
    took_s: float = 0.0


def plan(kills: int, draw: random.Random) -> list[Kill]:
    """A quarter while rows are staged, half while tagging, a quarter while storing; the last at the end."""
    quarter = max(1, kills // 4)
    phases = [_READING] * quarter + [_TAGGING] * (kills - 2 * quarter) + [_STORING] * quarter
    # A worker that dies while storing has nothing to do there; in the other phases every third is one's.
    # Tags once made are kept, so kills while tagging share its time: each is to find some left to make, or
    # the load would end well though a worker was killed.
    most = {_TAGGING: 1 / phases.count(_TAGGING)} if _TAGGING in phases else {}
    drawn = [
        Kill(phase, min(1.0, draw.uniform(0, most.get(phase, 1))), phase != _STORING and n % 3 == 1)
        for n, phase in enumerate(phases)
    ]
    return [*drawn[:-1], Kill(_STORING, 1.0, of_worker=False)]


def measure(rows: int, kills: int, say: Callable[[str], None]) -> list[Figure]:
    """Load so many rows twice, once left alone and once killed so often; nothing is kept."""
    shape = Shape(1, rows, kind="-killed")
    folder = made(shape, say, stock=lambda node, _: _prepare(node, rows), afresh=True)
    try:
        whole = folder / shape.agencies[1]
        shutil.copytree(whole, killed := folder / "killed")
        before, shown = visible(whole), entries(whole)
        alone, began = Seen(), dict[str, float]()
        say(f"loading {rows:,} rows, left alone")
        _attempt(whole, alone, None, began)
        expected = loaded(whole)
        seen = Seen()
        for number, kill in enumerate(plan(kills, random.Random(SEED)), 1):
            if visible(killed) != before:
                break  # it was in force before it was to be killed; what came of it is looked at below
            what = "a worker" if kill.of_worker else "the load"
            say(f"kill {number} of {kills}: {what} while {kill.phase}")
            _attempt(killed, seen, kill, began)
        say("loading once more, to the end")
        _attempt(killed, seen, None, {})
        found = loaded(killed)
        wrong = sum(times for state, times in seen.states.items() if state not in (before, expected.visible))
        wrong += sum(times for n, times in seen.entries.items() if n not in (shown, expected.entries))
        differences = sum(
            getattr(found, part.name) != getattr(expected, part.name) for part in fields(Loaded)
        )
        counts = (
            f"{expected.visible.records:,} records, {expected.visible.children:,} children, "
            f"{expected.tags:,} tags, digest {expected.digest[:12]}"
        )
        return _figures(rows, kills, alone, seen, (differences, counts, wrong))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(node: Path, rows: int) -> None:
    """Give a node what is in force before, and the export that is to take its place."""
    load(node, seed=3, count=BEFORE, workers=1)
    write_export(node / _EXPORT, children(4), rows)
    (node / _MAPPING).write_text(MAPPING, "utf-8")


def _attempt(node: Path, seen: Seen, kill: Kill | None, began: dict[str, float]) -> None:
    """Load until the end or the kill. `began`: taken from a load that is not killed, or told from one."""
    start = time.monotonic()
    with load_process(node, _EXPORT, _MAPPING) as running:
        killed, victims = False, list[int]()
        while running.look():
            seen.states[visible(node)] += 1
            if kill is not None and not killed and _is_time(running, kill, began):
                killed = True
                victims = running.workers() if kill.of_worker else []
                running.kill(victims[0] if victims else running.process.pid)
            time.sleep(_LOOK_S)
        seen.states[visible(node)] += 1
        status = running.process.returncode
        seen.entries[entries(node)] += 1
        seen.left += left_of(running.process.pid)
        if kill is not None and (victims or status == -signal.SIGKILL):
            seen.kills[kill.phase] += 1
            seen.workers += bool(victims)
        elif status != 0:
            raise SystemExit(f"a load that nobody killed ended with status {status}: {running.tail}")
        if kill is None and not began:
            began.update({**running.began, "": time.monotonic()})
    seen.took_s += time.monotonic() - start
    seen.rss_mb, seen.pss_mb = max(seen.rss_mb, running.rss_mb), max(seen.pss_mb, running.pss_mb)


def _is_time(running: LoadProcess, kill: Kill, began: dict[str, float]) -> bool:
    """Whether the moment has come; it has, too, when the phase went by faster than for the other load."""
    if kill.phase not in running.began:
        return False
    if any(phase in running.began for phase in PHASES[PHASES.index(kill.phase) + 1 :]):
        return True
    if kill.phase == _STORING and kill.share == 1.0:
        return running.stored == 100
    later = [at for phase, at in began.items() if at > began[kill.phase]]
    lasted = min(later, default=began[kill.phase]) - began[kill.phase]
    return time.monotonic() >= running.began[kill.phase] + kill.share * lasted


def _figures(rows: int, kills: int, alone: Seen, seen: Seen, came: tuple[int, str, int]) -> list[Figure]:
    differences, counts, wrong = came
    name, looks = f"{rows:,} rows", seen.states.total()
    by_phase = ", ".join(f"{times} {phase}" for phase, times in seen.kills.items())
    note = f"{by_phase}; {seen.workers} of a worker, the others of the load; seed {SEED}"
    return [
        Figure("killed", f"kills that a load of {name} survived", seen.kills.total(), "", None,
               max(1, kills - 2), "at least", f"{note}; the last may come after the switch"),
        Figure("killed", f"differences from the load left alone, {name}", differences, "", None, 0,
               note=counts),
        Figure("killed", f"half-loaded states seen, {name}", wrong, "", None, 0, note=f"of {looks:,} looks"),
        Figure("killed", f"processes that outlived a killed load, {name}", seen.left, "", None, 0),
        Figure("killed", f"most memory (PSS) of all processes, {name}", max(alone.pss_mb, seen.pss_mb),
               "MB", LIMIT_MB, LIMIT_MB, note="its floor is the limit"),
        Figure("killed", f"most memory (RSS, summed) of all processes, {name}",
               max(alone.rss_mb, seen.rss_mb), "MB", LIMIT_MB, LIMIT_MB,
               note="pages that processes share count in each of them"),
        Figure("killed", f"seconds of all attempts, {name}", seen.took_s, "s", alone.took_s,
               note="its floor is the load left alone"),
    ]  # fmt: skip
