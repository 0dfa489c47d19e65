"""The faults: each strikes a busy federation at a random moment, lasts a while, and is mended.

A fault only tampers with processes, signals, bytes on the way, a clock or a disk; it knows nothing of what
the system does about it. Nobody is told to wait for anything: whoever was asking goes on asking.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.campaign.stage import AGENCIES, DEADLINE_MS, GATEWAYS, NODES, Stage

PROCESSES = (*GATEWAYS, *NODES)
ON_SQLITE = ("social", "police")
LONGER_THAN_A_DEADLINE_S = DEADLINE_MS / 1000 + 0.5
STEPS_S = (30, 200, 400, 1500)  # some within what others tolerate, some beyond

Strike = Callable[[Stage, random.Random, str], float]  # on a target; gives for how long it lasted, in seconds


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault, and whom it can strike."""

    name: str
    weight: int  # how often it is drawn, beside the others
    targets: tuple[str, ...]
    strike: Strike


@dataclass(frozen=True, slots=True)
class Fault:
    """What happened, to whom, for how long."""

    kind: str
    target: str
    lasted_s: float = 0.0


def _moment(draw: random.Random) -> float:
    """Somewhere within a few lookups."""
    return draw.uniform(0.0, 0.6)


def _wait(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def _killed(stage: Stage, draw: random.Random, target: str) -> float:
    """kill -9, started again after a moment."""
    time.sleep(_moment(draw))
    stage.kill(target)
    away = _wait(_moment(draw))
    stage.start(target)
    return away


def _all_killed(stage: Stage, draw: random.Random, _: str) -> float:
    """A power cut: everything at once."""
    time.sleep(_moment(draw))
    for name in stage.running:
        stage.signal(name, signal.SIGKILL)
    for name, running in list(stage.running.items()):
        running.process.wait(10)
        stage.start(name)
    return 0.0


def _gateways_killed(stage: Stage, draw: random.Random, first: str) -> float:
    """One gateway, and the other one before the first is back."""
    time.sleep(_moment(draw))
    away = 0.0
    for name in (first, *(other for other in GATEWAYS if other != first)):
        stage.kill(name)
        away += _wait(_moment(draw))
    for name in GATEWAYS:
        stage.start(name)
    return away


def _halted(stage: Stage, draw: random.Random, target: str) -> float:
    """SIGSTOP: briefly, or for longer than a lookup may take."""
    lasts = LONGER_THAN_A_DEADLINE_S if draw.random() < 0.25 else draw.uniform(0.1, 1.5)
    time.sleep(_moment(draw))
    stage.signal(target, signal.SIGSTOP)
    time.sleep(lasts)
    stage.signal(target, signal.SIGCONT)
    return lasts


def _weather(most_s: float, make: Callable[[random.Random], dict[str, float | bool]]) -> Strike:
    """Something between one node and its gateways, for so many seconds at most."""

    def strike(stage: Stage, draw: random.Random, target: str) -> float:
        stage.network.set(target, **make(draw))
        lasts = _wait(draw.uniform(0.3, most_s))
        stage.network.set(target)
        return lasts

    return strike


def _partition(stage: Stage, draw: random.Random, spared: str) -> float:
    """Nobody reaches a gateway, but one."""
    for name in AGENCIES:
        stage.network.set(name, is_open=name == spared)
    lasts = _wait(draw.uniform(0.3, 2.0))
    for name in AGENCIES:
        stage.network.set(name)
    return lasts


def _disk_full(stage: Stage, draw: random.Random, target: str) -> float:
    """The store of a node takes no further page."""
    stage.tamper(target, max_pages=stage.pages(target))
    lasts = _wait(draw.uniform(0.5, 2.0))
    stage.tamper(target)
    return lasts


def _clock_stepped(sign: int) -> Strike:
    """A node's clock jumps, by less or by more than what others tolerate, and back."""

    def strike(stage: Stage, draw: random.Random, target: str) -> float:
        stage.tamper(target, clock_s=sign * draw.choice(STEPS_S))
        lasts = _wait(draw.uniform(0.3, 1.5))
        stage.tamper(target)
        return lasts

    return strike


def _server_ends(mode: str) -> Strike:
    """The database server goes down and comes back."""

    def strike(stage: Stage, draw: random.Random, target: str) -> float:
        time.sleep(_moment(draw))
        stage.server.stop(mode)
        lasts = _wait(draw.uniform(0.0, 1.5))
        stage.server.start()
        return lasts

    return strike


KINDS: tuple[Kind, ...] = (
    Kind("killed", 16, PROCESSES, _killed),
    Kind("all_killed", 2, ("all",), _all_killed),
    Kind("gateways_killed", 2, GATEWAYS, _gateways_killed),
    Kind("server_stopped", 2, ("hospital",), _server_ends("fast")),
    Kind("server_crashed", 2, ("hospital",), _server_ends("immediate")),
    Kind("halted", 8, PROCESSES, _halted),
    Kind("latency", 4, AGENCIES, _weather(1.2, lambda draw: {"delay_s": draw.uniform(0.02, 0.4)})),
    Kind("loss", 4, AGENCIES, _weather(1.2, lambda draw: {"loss": draw.uniform(0.05, 0.4)})),
    Kind("half_open", 4, AGENCIES, _weather(2.0, lambda draw: {"is_silent": True})),
    Kind("cut", 4, AGENCIES, _weather(2.0, lambda draw: {"is_open": False})),
    Kind("partition", 2, AGENCIES, _partition),
    Kind("disk_full", 4, ON_SQLITE, _disk_full),
    Kind("clock_ahead", 3, AGENCIES, _clock_stepped(1)),
    Kind("clock_behind", 3, AGENCIES, _clock_stepped(-1)),
)
EACH_ONCE = sum(len(kind.targets) for kind in KINDS)


def plan(draw: random.Random, count: int) -> list[tuple[Kind, str]]:
    """Say what is to strike whom: every kind everybody that it can, in random order, then as drawn."""
    pairs = [(kind, target) for kind in KINDS for target in kind.targets]
    draw.shuffle(pairs)
    weights = [kind.weight for kind in KINDS]
    more = draw.choices(KINDS, weights, k=max(0, count - len(pairs)))
    return [*pairs[:count], *((kind, draw.choice(kind.targets)) for kind in more)]
