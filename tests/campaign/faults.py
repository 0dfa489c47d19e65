"""The faults: each strikes at a random moment of a busy federation, lasts a while, and is mended.

A fault only tampers with processes, signals, bytes on the way, a clock or a disk; it knows nothing of what
the system does about it. Nobody is told to wait for anything: whoever was asking goes on asking.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.campaign.stage import AGENCIES, CUSTODIANS, DEADLINE_MS, GATEWAYS, NODES, Stage

ON_SQLITE = ("social", "police")
LONGER_THAN_A_DEADLINE_S = DEADLINE_MS / 1000 + 0.5


@dataclass(frozen=True, slots=True)
class Fault:
    """What happened, to whom, for how long."""

    kind: str
    target: str
    lasted_s: float = 0.0


Strike = Callable[[Stage, random.Random], Fault]


def _moment(draw: random.Random) -> float:
    """Somewhere within a few lookups."""
    return draw.uniform(0.0, 0.6)


def _killed(stage: Stage, draw: random.Random) -> Fault:
    """kill -9 of any role, started again after a moment."""
    target = draw.choice((*GATEWAYS, *NODES))
    time.sleep(_moment(draw))
    stage.kill(target)
    away = _moment(draw)
    time.sleep(away)
    stage.start(target)
    return Fault("killed", target, away)


def _all_killed(stage: Stage, draw: random.Random) -> Fault:
    """A power cut: everything at once."""
    time.sleep(_moment(draw))
    for name in stage.running:
        stage.signal(name, signal.SIGKILL)
    for name, running in list(stage.running.items()):
        running.process.wait(10)
        stage.start(name)
    return Fault("all_killed", "all")


def _halted(stage: Stage, draw: random.Random) -> Fault:
    """SIGSTOP of any role: briefly, or for longer than a lookup may take."""
    target = draw.choice((*GATEWAYS, *NODES))
    lasts = LONGER_THAN_A_DEADLINE_S if draw.random() < 0.25 else draw.uniform(0.1, 1.5)
    time.sleep(_moment(draw))
    stage.signal(target, signal.SIGSTOP)
    time.sleep(lasts)
    stage.signal(target, signal.SIGCONT)
    return Fault("halted", target, lasts)


def _bad_weather(kind: str, make: Callable[[random.Random], dict[str, float | bool]]) -> Strike:
    """Something between one node and its gateways."""

    def strike(stage: Stage, draw: random.Random) -> Fault:
        target = draw.choice(AGENCIES)
        lasts = draw.uniform(0.3, 2.5)
        stage.network.set(target, **make(draw))
        time.sleep(lasts)
        stage.network.set(target)
        return Fault(kind, target, lasts)

    return strike


def _partition(stage: Stage, draw: random.Random) -> Fault:
    """Nobody reaches a gateway, but one."""
    spared = draw.choice(AGENCIES)
    for name in AGENCIES:
        stage.network.set(name, is_open=name == spared)
    lasts = draw.uniform(0.3, 2.0)
    time.sleep(lasts)
    for name in AGENCIES:
        stage.network.set(name)
    return Fault("partition", f"all but {spared}", lasts)


def _disk_full(stage: Stage, draw: random.Random) -> Fault:
    """The store of a node takes no further page."""
    target = draw.choice(ON_SQLITE)
    stage.tamper(target, max_pages=stage.pages(target))
    lasts = draw.uniform(0.5, 2.0)
    time.sleep(lasts)
    stage.tamper(target)
    return Fault("disk_full", target, lasts)


def _clock_stepped(stage: Stage, draw: random.Random) -> Fault:
    """A node's clock jumps, by less or by more than what others tolerate, and back."""
    target = draw.choice(CUSTODIANS)
    seconds = draw.choice((-1, 1)) * draw.choice((30, 200, 400, 1500))
    stage.tamper(target, clock_s=seconds)
    lasts = draw.uniform(0.3, 1.5)
    time.sleep(lasts)
    stage.tamper(target)
    return Fault(f"clock_stepped {seconds:+d} s", target, lasts)


def _gateways_killed(stage: Stage, draw: random.Random) -> Fault:
    """First one gateway, and the other one before the first is back."""
    time.sleep(_moment(draw))
    for name in draw.sample(GATEWAYS, len(GATEWAYS)):
        stage.kill(name)
        time.sleep(_moment(draw))
    for name in GATEWAYS:
        stage.start(name)
    return Fault("gateways_killed", "gw, gw2")


def _server_restarted(stage: Stage, draw: random.Random) -> Fault:
    """The database server of the hospital goes down, in good order or as in a crash, and comes back."""
    mode = draw.choice(("fast", "immediate"))
    time.sleep(_moment(draw))
    stage.server.stop(mode)
    lasts = draw.uniform(0.0, 1.5)
    time.sleep(lasts)
    stage.server.start()
    return Fault(f"server_restarted {mode}", "hospital", lasts)


STRIKES: tuple[tuple[int, Strike], ...] = (
    (8, _killed),
    (1, _all_killed),
    (1, _gateways_killed),
    (2, _server_restarted),
    (4, _halted),
    (2, _bad_weather("latency", lambda draw: {"delay_s": draw.uniform(0.02, 0.4)})),
    (2, _bad_weather("loss", lambda draw: {"loss": draw.uniform(0.05, 0.4)})),
    (2, _bad_weather("half_open", lambda draw: {"is_silent": True})),
    (2, _bad_weather("cut", lambda draw: {"is_open": False})),
    (1, _partition),
    (2, _disk_full),
    (2, _clock_stepped),
)


def strike(stage: Stage, draw: random.Random) -> Fault:
    """Draw a fault and let it happen; when this returns it is over, and its traces are still about."""
    weights = [weight for weight, _ in STRIKES]
    return draw.choices([found for _, found in STRIKES], weights)[0](stage, draw)
