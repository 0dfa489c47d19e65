"""A node's folder with two records in its store, whose keys change without a gateway, step by step."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import tomli_w

from elsewhere.matchkeys import record_keys
from elsewhere.oprf.voprf import tag_each
from node.caseload.job import LoadJob
from node.caseload.load import load_file, retag
from node.caseload.tagkeys import FolderKeys
from node.errors import LoadRunning
from node.keys.live import LiveKeys, open_keys
from node.keys.ring import KeyRing
from node.keys.rotation import Rotation
from node.keys.stating import Schedule
from node.store.engine import Store, open_store
from tests.caseload import ANN, BOB, mapping, person, write_csv
from tests.held import find_tag
from tests.stores import PLACES

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SCHEDULE = Schedule(announce=timedelta(minutes=5))
OVERLAP = timedelta(hours=1)
STEP = timedelta(minutes=10)
STEPS = 40  # at most: others may be ahead in time, and state late what begins later still


@dataclass
class World:
    """One agency's folder; as the store is opened anew each time, it may be put back in between."""

    folder: Path
    url: str = ""
    step: int = field(default=0)  # of time, since START

    def __post_init__(self) -> None:
        self.url = self.url or f"sqlite:///{self.folder / 'store.sqlite'}"

    @property
    def now(self) -> datetime:
        return START + self.step * STEP

    def opened(self) -> Store:
        return open_store(self.url)

    def keys(self, store: Store) -> LiveKeys:
        return open_keys(self.folder, "police", SCHEDULE, store, self.now)

    def rotation(self, store: Store) -> Rotation:
        now = self.now
        return Rotation(self.keys(store), store, lambda: now, secrets.token_bytes)

    def job(self, store: Store, now: datetime = START) -> LoadJob:
        return LoadJob(store=store, keys=FolderKeys(self.folder, store), now=now, work=self.folder, workers=1)

    def load(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Load rows as the one source."""
        store, export = self.opened(), write_csv(self.folder / "cases.csv", rows)
        try:
            in_turn(lambda: load_file(export, mapping(), self.job(store, self.now)))
        finally:
            store.close()

    def live(self, until: Callable[[Rotation], bool]) -> None:
        """Run as a node would, while time goes on, until it came about."""
        store = self.opened()
        try:
            for step in range(self.step, self.step + STEPS):
                self.step = step
                rotation = self.rotation(store)
                if rotation.step():
                    in_turn(lambda: retag(self.job(store, self.now)))
                if until(rotation):
                    return
        finally:
            store.close()
        raise AssertionError("it did not come about")

    def finds(self, store: Store, row: Mapping[str, str], epoch: int) -> bool:
        """Whether every tag of a person under an epoch's key finds a record."""
        key = KeyRing.load(self.folder).oprf["involvement", epoch]
        tags = tag_each(key, [match_key.data for match_key in record_keys(person(row))])
        with store.read() as conn:
            return all(find_tag(conn, "involvement", epoch, tag) for tag in tags)


def in_turn(work: Callable[[], object]) -> None:
    """Load once a server has noticed that who loaded before is gone, which takes it a moment."""
    until_s = time.monotonic() + 10
    while True:
        try:
            work()
            return
        except LoadRunning:
            if time.monotonic() > until_s:
                raise


def make_world(folder: Path) -> World:
    """A node that has loaded two records and stated its first epoch."""
    made = World(folder, PLACES.url(folder))
    (folder / "trust").mkdir(mode=0o700)
    KeyRing.create(folder, tls_pem=b"pem", random=Random(1).randbytes)
    settings = {"agency": "police", "name": "Police", "store": {"url": made.url}}
    (folder / "node.toml").write_text(tomli_w.dumps(settings), "utf-8")
    made.load([ANN, BOB])
    store = made.opened()
    made.keys(store)
    store.close()
    return made


def is_in_force(epoch: int) -> Callable[[Rotation], bool]:
    """Whether an epoch is stated, and no other."""
    return lambda rotation: rotation.keys.view.names == (("involvement", epoch), ("protected", epoch))


def is_stated(epoch: int) -> Callable[[Rotation], bool]:
    """Whether an epoch is stated, whatever else is."""
    return lambda rotation: ("involvement", epoch) in rotation.keys.view.names
