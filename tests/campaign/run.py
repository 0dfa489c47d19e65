"""A campaign: faults at random points of a busy federation, and after each of them every invariant checked.

Promises: the same seed draws the same faults, targets and lengths. What the processes are doing when one
          strikes is theirs: that is what repeating it many times is for.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from elsewhere.agreement.terms import Limits
from tests.campaign.asking import Crowd
from tests.campaign.faults import Fault, plan
from tests.campaign.invariants import Watch
from tests.campaign.stage import PATIENCE_S, stage

HEALED_S = 60.0
# What has leaked into a file, a log or a memory stays there, and reading all of them takes seconds.
LEAKS_EVERY = 5  # faults


@dataclass
class Report:
    """What a campaign did and found."""

    seed: int
    faults: list[Fault] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    lookups: int = 0
    whole: int = 0
    states: Counter[str] = field(default_factory=Counter)  # of answers and errors of lookups
    codes: Counter[str] = field(default_factory=Counter)  # why a custodian gave no answer
    healed_s: list[float] = field(default_factory=list)  # from the end of a fault to the next whole lookup


def run(
    folder: Path,
    *,
    seed: int,
    faults: int,
    leaks_every: int = LEAKS_EVERY,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Run a campaign in a folder of its own; everything it started is ended. `say`: told how far it is."""
    report, draw, began = Report(seed), random.Random(seed), time.monotonic()
    with stage(folder, seed) as made:
        watch = Watch(made, Limits())
        crowd = Crowd(folder, seed=seed)
        try:
            for number, (kind, target) in enumerate(plan(draw, faults)):
                fault = Fault(kind.name, target, kind.strike(made, draw, target))
                report.faults.append(fault)
                passed = f"{(time.monotonic() - began) / 60:.1f} min"
                say(f"{number + 1} of {faults}: {fault.kind} of {fault.target}; {passed}")
                broken = _look(watch, crowd, report, fault)
                if number % leaks_every == leaks_every - 1 or number == faults - 1:
                    broken += watch.leaked()
                report.broken += [f"{number} {fault.kind} of {fault.target}: {words}" for words in broken]
                if broken:
                    break
        finally:
            crowd.stop(PATIENCE_S)
    return report


def _look(watch: Watch, crowd: Crowd, report: Report, fault: Fault) -> list[str]:
    """Wait until lookups are whole again, then check everything that has happened since the last check."""
    ended, seen = time.monotonic(), []
    while True:
        fresh = crowd.take()
        seen += fresh
        whole = [o for o in fresh if o.is_whole and o.began_s > ended]
        if whole:
            report.healed_s.append(whole[0].ended_s - ended)
            break
        if time.monotonic() - ended > HEALED_S:
            return [f"no whole lookup within {HEALED_S:g} s"]
        watch.stage.check_alive()
        time.sleep(0.05)
    report.lookups += len(seen)
    report.whole += sum(outcome.is_whole for outcome in seen)
    for outcome in seen:
        report.states.update([outcome.error] if outcome.error else [a.state.value for a in outcome.answers])
        report.codes.update(answer.code for answer in outcome.answers if answer.code)
    halted = fault.kind == "halted" and fault.target == "social"
    return watch.after(seen, searcher_was_halted=halted, machine_late_s=crowd.late_s())
