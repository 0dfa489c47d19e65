"""A small partnership for tests of catalogues: two or three agencies, their stores, and a clock to turn."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
from sqlalchemy import delete, insert, select

from elsewhere.agreement.terms import Agreement
from elsewhere.catalogue.tags import ShortTags
from elsewhere.random import RandomBytes
from elsewhere.roster import Member
from elsewhere.sealing import SealingKey
from elsewhere.signing import SigningKey
from elsewhere.statement import KeyStatement, OprfKeyEntry, SealingKeyEntry
from node.catalogues.own import OwnCatalogue, OwnParts
from node.membership.trust import Trust
from node.processes.lead import Lead, LeadParts
from node.store.caseload import DONE, entry, load, tag_set
from node.store.engine import Store, open_store
from node.store.writer import Writer
from tests.partnership import anchor_of, first_roster, sole
from tests.stores import PLACES

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
AGENCIES = ("police", "schools", "health")
NAMES = (("involvement", 1), ("protected", 1))
DELTA_TAGS = 16
SIGNING = {name: SigningKey.from_seed(name.encode().ljust(32, b".")) for name in AGENCIES}
MEMBERS = tuple(
    Member(name, name.title(), "POLICE", name.title(), "active", SIGNING[name].public) for name in AGENCIES
)


def fixed_random(label: bytes) -> RandomBytes:
    """A stream of bytes that is the same in every run."""
    count = 0

    def draw(size: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_256(label + count.to_bytes(4)).digest(size)

    return draw


def numbers(count: int, label: int) -> ShortTags:
    """Short tags that stand for records."""
    return np.random.default_rng(label).integers(0, 2**64, count, dtype=np.uint64)


@dataclass
class Turning:
    """A clock that stands until it is turned."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Agency:
    """One agency: its keys, its view of the others, its store."""

    name: str
    folder: Path
    signing: SigningKey
    sealing: SealingKey
    trust: Trust
    clock: Turning
    random: RandomBytes
    local: bytes
    store: Store = field(init=False)
    writer: Writer = field(init=False)
    executor: ThreadPoolExecutor = field(init=False)
    lead: Lead = field(init=False)

    def start(self, process: str = "main") -> None:
        """Open the store, as a process does, and look who leads."""
        self.store = open_store(PLACES.url(self.folder))
        self.writer = Writer(self.store)
        self.executor = ThreadPoolExecutor(2)
        self.lead = Lead(LeadParts(self.store, self.writer, process))
        self.lead.look()

    def beside(self, process: str) -> Agency:
        """Another process of the same node: the same folder and store, opened once more."""
        made = replace(self)
        made.start(process)
        return made

    def stop(self) -> None:
        """Close it, as the end of the process does."""
        self.executor.shutdown()
        self.writer.close()
        self.store.close()

    @property
    def own_parts(self) -> OwnParts:
        """What its own catalogues are made with."""
        (self.folder / "catalogues").mkdir(exist_ok=True)
        return OwnParts(
            agency=self.name,
            folder=self.folder / "catalogues",
            local=self.local,
            signing=lambda: self.signing,
            earlier=tuple,
            store=self.store,
            writer=self.writer,
            lead=self.lead,
            clock=self.clock,
            random=self.random,
            delta_tags=DELTA_TAGS,
        )

    def opened(self, collection: str = "involvement") -> OwnCatalogue:
        """Its own catalogue as a new process finds it."""
        found = OwnCatalogue(self.own_parts, collection, 1)
        found.open()
        return found

    def add_tags(self, tags: ShortTags, names: Iterable[tuple[str, int]] = NAMES) -> None:
        """Load records whose tags are these."""
        with self.store.write() as conn:
            done = conn.execute(insert(load).values(source="s", state=DONE, started_utc=1, finished_utc=2))
            load_id = done.inserted_primary_key[0] if done.inserted_primary_key else 0
            for collection, epoch in names:
                which = (tag_set.c.collection == collection) & (tag_set.c.epoch == epoch)
                found = conn.execute(select(tag_set.c.id).where(which)).scalar()
                if found is None:
                    made = conn.execute(insert(tag_set).values(collection=collection, epoch=epoch))
                    found = made.inserted_primary_key[0] if made.inserted_primary_key else 0
                rows = [{"set_id": found, "short": int(t).to_bytes(8), "load_id": load_id} for t in tags]
                if rows:
                    conn.execute(insert(entry), rows)

    def forget_entries(self) -> None:
        """Remove everything that the caseload says a catalogue is to show."""
        with self.store.write() as conn:
            conn.execute(delete(entry))


def make_agencies(root: Path) -> dict[str, Agency]:
    """Agencies that know each other's keys; nothing is started."""
    clock = Turning()
    sealing = {name: SealingKey(hashlib.shake_256(name.encode()).digest(96)) for name in AGENCIES}
    roster = first_roster(*MEMBERS, issued=NOW - timedelta(days=1), until=NOW + timedelta(days=400))
    succession = sole(roster)
    statements = {name: make_statement(name, sealing[name]) for name in AGENCIES}
    found = {}
    for name in AGENCIES:
        folder = root / name
        folder.mkdir(mode=0o700)
        trust = Trust(name, folder, anchor_of(roster), succession, agreement_of(*AGENCIES), dict(statements))
        found[name] = Agency(
            name=name,
            folder=folder,
            signing=SIGNING[name],
            sealing=sealing[name],
            trust=trust,
            clock=clock,
            random=fixed_random(name.encode()),
            local=hashlib.sha256(name.encode()).digest(),
        )
    return found


def make_statement(name: str, sealing: SealingKey, *, version: int = 1) -> KeyStatement:
    """A key statement that lasts for a year."""
    until = NOW + timedelta(days=365)
    return KeyStatement(
        agency=name,
        version=version,
        issued_utc=NOW,
        sealing_keys=(SealingKeyEntry(sealing.public, until),),
        oprf_keys=tuple(
            OprfKeyEntry(
                collection, epoch, hashlib.sha256(f"{name}{collection}{epoch}".encode()).digest(), NOW, until
            )
            for collection, epoch in NAMES
        ),
        protocol_versions=(1,),
        match_key_versions=("1",),
    )


def agreement_of(*parties: str) -> Agreement:
    """An agreement, as far as catalogues look into it: who is a party."""
    return cast("Agreement", SimpleNamespace(party={name: object() for name in parties}.get))


def set_state(trust: Trust, agency: str, state: str) -> None:
    """Let a node's view of the roster say that a member is in another state."""
    members = tuple(replace(m, state=state) if m.agency_id == agency else m for m in trust.roster.members)
    trust.succession = replace(trust.succession, roster=replace(trust.roster, members=members))
