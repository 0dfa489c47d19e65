"""Four agencies that take part in studies without a network: their stores, keys and a clock to turn."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from elsewhere.agreement.studies import HeldTable, Project, Research, Researcher
from elsewhere.agreement.terms import Agreement, Party, Validity
from elsewhere.research.query import Asking, Query, make_query, query_id, sign_query
from elsewhere.research.question import Question, ask
from elsewhere.roster import Member, Roster
from elsewhere.sealing import SealingKey
from elsewhere.signing import SigningKey
from elsewhere.statement import KeyStatement, OprfKeyEntry, SealingKeyEntry
from node.errors import LedgerSetBack
from node.keys.live import KeyView
from node.membership.trust import Trust
from node.pool import Pool
from node.store.engine import Store, open_store
from node.store.writer import Writer
from node.studies.answering import Prepared, Studies, StudyParts
from tests.partnership import anchor_of, first_roster, sole
from tests.stores import PLACES

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
NAMES = ("hospital", "police", "schools", "social")
RESEARCHER = SigningKey(b"r" * 32)
QUESTION = ask("referral", 2025, {}, ["nfa"])


@dataclass
class Clock:
    """Stands until it is turned."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now


@dataclass
class Counts:
    """Tables whose counts a test sets."""

    numbers: list[int] = field(default_factory=lambda: [7, 3])
    is_mapped: bool = True

    def holds(self, question: Question) -> bool:
        """Whether the question's table and columns are mapped."""
        return self.is_mapped

    def vector(self, question: Question) -> list[int]:
        """What was set."""
        return list(self.numbers)


@dataclass
class Agency:
    """One agency's part."""

    name: str
    folder: Path
    signing: SigningKey
    sealing: SealingKey
    trust: Trust
    clock: Clock
    tables: Counts = field(default_factory=Counts)
    declines: list[str] = field(default_factory=list)
    per_hour: int = 1000
    is_overtaken: bool = False  # whether others have seen this log go further
    pool: Pool = field(default_factory=lambda: Pool(1))
    _running: tuple[Store, Writer, Studies] | None = None

    @property
    def store(self) -> Store:
        """Its store, which is opened when it is first looked at."""
        return self._process()[0]

    @property
    def studies(self) -> Studies:
        """Its part in studies."""
        return self._process()[2]

    def _process(self) -> tuple[Store, Writer, Studies]:
        if self._running is None:
            self.start()
        assert self._running is not None
        return self._running

    def start(self) -> None:
        """Open the store, as a process does; what was in memory is gone."""
        store = open_store(PLACES.url(self.folder))
        writer = Writer(store)
        view = cast("KeyView", SimpleNamespace(signing=self.signing, sealing=(self.sealing,)))
        studies = Studies(
            StudyParts(
                agency=self.name,
                trust=self.trust,
                store=store,
                writer=writer,
                keys=lambda: view,
                tables=self.tables,
                pool=self.pool,
                clock=self.clock,
                random=secrets.token_bytes,
                declines=self.declines,
                per_hour=self.per_hour,
                is_sure=self._is_sure,
                check_ledger=self._check_ledger,
            )
        )
        self._running = store, writer, studies

    async def _is_sure(self) -> bool:
        return True

    def _check_ledger(self) -> None:
        if self.is_overtaken:
            raise LedgerSetBack("expected the newest state of this log")

    def stop(self) -> None:
        """Close it, as the end of the process does."""
        if self._running is not None:
            store, writer, _ = self._running
            writer.close()
            store.close()
            self._running = None


@dataclass
class World:
    """All of them, and what they have agreed."""

    agencies: dict[str, Agency]
    roster: Roster
    agreement: Agreement
    clock: Clock

    def query(self, question: Question = QUESTION, *, sigma: float = 12.0, **changes: Any) -> Query:
        """An honest query, and then what a liar would alter in it."""
        expires = self.clock().replace(microsecond=0) + timedelta(minutes=30)
        asking = Asking("early-help", "ana", round(sigma * 1e6), secrets.token_bytes(16), expires)
        return replace(make_query(question, asking, self.agreement, self.roster), **changes)

    async def prepare(self, envelope: bytes, names: Sequence[str] = NAMES) -> dict[str, Prepared]:
        """Have agencies prepare."""
        qid = query_id(envelope)
        return {name: await self.agencies[name].studies.prepare(qid, envelope) for name in names}

    async def commit(self, name: str, envelope: bytes, prepared: dict[str, Prepared]) -> bytes:
        """Have one agency commit to a roster."""
        seals = {other: one.seals[name] for other, one in prepared.items() if name in one.seals}
        prepares = [one.prepare for one in prepared.values()]
        return await self.agencies[name].studies.commit(query_id(envelope), envelope, prepares, seals)

    def restate(self, **changes: Any) -> None:
        """Have all agree on another research part."""
        self.adopt(research(**changes))

    def adopt(self, part: Research) -> None:
        """Have all agree on this research part."""
        self.agreement = agreement_of(part)
        for agency in self.agencies.values():
            agency.trust.agreement = self.agreement

    def stop(self) -> None:
        """Close everything."""
        for agency in self.agencies.values():
            agency.stop()
            agency.pool.shutdown()


def research(**changes: Any) -> Research:
    """What was agreed of research."""
    project: dict[str, Any] = {
        "id": "early-help",
        "title": "Does early help reach children in time?",
        "purpose": "RESEARCH_AGG",
        "bases": ("A6E_TASK", "A9J_RESEARCH"),
        "people": ("ana",),
        "tables": ("referral", "contact"),
        "setting": "a locked room",
        "data": "referrals only",
        "output": "a public report",
        "cap_nrho": 2_000_000_000,
        "researcher_cap_nrho": 1_000_000_000,
        "floor_nrho": 500_000_000,
        "min_roster": 3,
        "valid_from": NOW - timedelta(days=1),
        "valid_until": NOW + timedelta(days=300),
    }
    whole: dict[str, Any] = {
        "most_agencies": 2,
        "node_cap_nrho": 4_000_000_000,
        "period_days": 365,
        "tables": (
            HeldTable("referral", ("social", "schools"), min_holders=1),
            HeldTable("contact", ("social",), min_holders=1),
        ),
        "researchers": (
            Researcher("ana", "Ana Okafor", "University of Northshire", RESEARCHER.public),
            Researcher("ben", "Ben Lowe", "University of Northshire", SigningKey(b"b" * 32).public),
        ),
    }
    project |= {
        name: value for name, value in changes.items() if name in project or name in ("state", "participants")
    }
    whole["tables"] = changes.get("held", whole["tables"])  # `tables` are the project's
    of_whole = {*whole, "colluding", "why"} - {"tables"}
    whole |= {name: value for name, value in changes.items() if name in of_whole}
    return Research(**whole, projects=(Project(**project),))


def agreement_of(part: Research | None, names: Sequence[str] = NAMES) -> Agreement:
    """An agreement that all have signed."""
    parties = tuple(Party(name, name.title(), "POLICE", "01632 960001", "01632 960002") for name in names)
    validity = Validity(NOW - timedelta(days=1), NOW + timedelta(days=300), NOW + timedelta(days=200))
    found = Agreement("northshire", 1, "Northshire", validity, parties, (), (), research=part)
    return found.signed_by_all()


def make_world(root: Path, *, operators: dict[str, str] | None = None, names: Sequence[str] = NAMES) -> World:
    """Agencies that know each other's keys."""
    signing = {name: SigningKey(name.encode().ljust(32, b".")) for name in names}
    sealing = {name: SealingKey(hashlib.shake_256(name.encode()).digest(96)) for name in names}
    members = tuple(
        Member(
            name, name.title(), "POLICE", (operators or {}).get(name, name), "active", signing[name].public
        )
        for name in names
    )
    roster = first_roster(*members, issued=NOW - timedelta(days=1), until=NOW + timedelta(days=400))
    clock, agreement, succession = Clock(), agreement_of(research(), names), sole(roster)
    statements = {name: _statement(name, sealing[name]) for name in names}
    agencies = {}
    for name in names:
        folder = root / name
        folder.mkdir(mode=0o700, exist_ok=True)
        trust = Trust(name, folder, anchor_of(roster), succession, agreement, dict(statements))
        trust.vouched.at = NOW + timedelta(days=400)
        agencies[name] = Agency(name, folder, signing[name], sealing[name], trust, clock)
    return World(agencies, roster, agreement, clock)


def signed(query: Query, key: SigningKey = RESEARCHER) -> bytes:
    """A query as its researcher signs it."""
    return sign_query(key, query)


def _statement(name: str, sealing: SealingKey) -> KeyStatement:
    """A key statement that lasts for a year."""
    until = NOW + timedelta(days=365)
    public = hashlib.sha256(name.encode()).digest()
    return KeyStatement(
        agency=name,
        version=1,
        issued_utc=NOW,
        sealing_keys=(SealingKeyEntry(sealing.public, until),),
        oprf_keys=(OprfKeyEntry("involvement", 1, public, NOW, until),),
        protocol_versions=(1,),
        match_key_versions=("1",),
    )
