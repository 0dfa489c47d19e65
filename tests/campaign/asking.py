"""Practitioners who go on asking while faults happen, and what became of every question."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from elsewhere.asking import CustodianAnswer, State
from elsewhere.errors import ElsewhereError
from elsewhere.sdk.desk import Desk
from elsewhere.sdk.lookup import Gathering
from tests.federation import EVA, KAI, ZOE, ask_about

KNOWN: Mapping[str, frozenset[str]] = {
    "zoe": frozenset({"police", "hospital"}),
    "kai": frozenset({"police"}),
    "eva": frozenset(),
}
ROWS = {"zoe": ZOE, "kai": KAI, "eva": EVA}
# Over the day's burst of one person, so that this one is turned away sooner or later, and nobody else is.
GREEDY_SHARE = 0.3
_BEAT_S = 0.02


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one question."""

    child: str
    asker: str
    began_s: float
    ended_s: float
    answers: tuple[CustodianAnswer, ...]
    error: str  # stable code; empty if the lookup came to its end

    @property
    def is_whole(self) -> bool:
        """Whether every custodian gave an answer."""
        return not self.error and all(answer.state.is_answer for answer in self.answers)

    def wrong(self) -> list[str]:
        """Answers that do not fit what the custodian knows: the one thing that must never happen."""
        found = []
        for answer in self.answers:
            knows = answer.custodian in KNOWN[self.child]
            expected = State.KNOWN_CURRENT if knows else State.NOTHING_RETURNED
            if answer.state.is_answer and answer.state is not expected:
                found.append(f"{answer.custodian} said {answer.state.value} about {self.child}")
        return found


class Crowd:
    """A few threads that ask one question after another until they are told to stop."""

    def __init__(self, folder: Path, *, seed: int, askers: int = 2, pause_s: float = 0.05) -> None:
        self._folder, self._pause_s = folder, pause_s
        self._stop = threading.Event()
        self._number = itertools.count()
        self._lock = threading.Lock()
        self._outcomes: list[Outcome] = []
        self._threads = [
            threading.Thread(target=self._ask_on, args=(random.Random(f"{seed}/{n}"),), daemon=True)
            for n in range(askers)
        ]
        self._late_s = 0.0
        self._threads.append(threading.Thread(target=self._feel_the_machine, daemon=True))
        for thread in self._threads:
            thread.start()

    def late_s(self) -> float:
        """The most that this machine kept a thread of ours waiting beyond its time, since last asked."""
        with self._lock:
            most, self._late_s = self._late_s, 0.0
        return most

    def _feel_the_machine(self) -> None:
        """Look how late a wait of ours ends: what this process suffers, others suffer too."""
        while not self._stop.is_set():
            began = time.monotonic()
            self._stop.wait(_BEAT_S)
            with self._lock:
                self._late_s = max(self._late_s, time.monotonic() - began - _BEAT_S)

    def take(self) -> list[Outcome]:
        """What has ended since this was last called."""
        with self._lock:
            taken, self._outcomes = self._outcomes, []
        return taken

    def stop(self, patience_s: float) -> None:
        """Let everybody finish the question at hand; fail if somebody does not."""
        self._stop.set()
        for thread in self._threads:
            thread.join(patience_s)
            assert not thread.is_alive(), "a question has no outcome"

    def _ask_on(self, draw: random.Random) -> None:
        desk = Desk(self._folder / "social", timeout_s=60)
        try:
            while not self._stop.is_set():
                child = draw.choice(sorted(ROWS))
                is_greedy = draw.random() < GREEDY_SHARE
                asker = "greedy" if is_greedy else f"worker-{next(self._number)}"
                outcome = self._ask(desk, child, asker)
                with self._lock:
                    self._outcomes.append(outcome)
                self._stop.wait(self._pause_s if not outcome.error else 0.2)
        finally:
            desk.close()

    def _ask(self, desk: Desk, child: str, asker: str) -> Outcome:
        began, gathering, error = time.monotonic(), Gathering(), ""
        answers: list[CustodianAnswer] = []
        try:
            for event in desk.events(ask_about(ROWS[child], asker=asker)):
                gathering.take(event)
                if isinstance(event, CustodianAnswer):
                    answers.append(event)
            gathering.finish()
        except ElsewhereError as err:
            error = err.code
        return Outcome(child, asker, began, time.monotonic(), tuple(answers), error)
