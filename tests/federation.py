"""A whole federation in this process: a real gateway and real nodes over mTLS on loopback, one store each."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import os
import secrets
import tomllib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import tomli_w

from elsewhere.asking import Ask, Coverage, CustodianAnswer, Done, Started, State
from elsewhere.freshness import HARD
from elsewhere.person.identity import Person
from gateway.config import load_config as load_gateway_config
from gateway.enrolment import Founding
from gateway.service import Gateway
from node.caseload.job import LoadJob
from node.caseload.load import load_file
from node.caseload.mapping import parse_mapping
from node.caseload.tagkeys import FolderKeys
from node.catalogues.stated import stated_heads
from node.config import load_config
from node.membership import enrol
from node.program import Node
from node.store.engine import open_store
from tests import partnership
from tests.caseload import MAPPING
from tests.stores import PLACES

PATIENCE_S = 30.0
SECTORS = {"social": "SOCIAL_CARE", "police": "POLICE", "hospital": "NHS_TRUST", "schools": "SCHOOL"}
# One child known to the police and to the hospital, who write it differently; one child for each alone.
ZOE = {"given": "Zofia", "family": "Wielopolska-Hart", "dob": "02/03/2015", "postcode": "AB1 2CD"}
KAI = {"given": "Kai", "family": "Okonkwo-Fell", "dob": "11/12/2016", "postcode": "AB3 4EF"}
EVA = {"given": "Evangeline", "family": "Marchbanks", "dob": "21/07/2012", "postcode": "AB5 6GH"}


def person(row: Mapping[str, str], **changes: Any) -> Person:
    """The person of a row, as an asker would type it."""
    day, month, year = row["dob"].split("/")
    written: dict[str, Any] = {**row, "dob": f"{year}-{month}-{day}", **changes}
    return Person.of(**written)


def ask_about(row: Mapping[str, str], *, custodians: Sequence[str] = (), **changes: Any) -> Ask:
    """A question in the commonest form."""
    terms: dict[str, Any] = {"purpose": "S47_ENQUIRY", "urgency": "RED", "case_reference": "C-1"}
    terms |= {"asker": "worker-1", "custodians": tuple(custodians)} | changes
    return Ask(person=person(row), **terms)


@dataclass
class Shifted:
    """The real clock, moved: TLS compares certificates with the real one, so a test moves a node's only."""

    by: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.by


@dataclass
class Lookup:
    """Everything that came of one question."""

    started: Started
    answers: dict[str, CustodianAnswer]
    done: Done

    def state(self, custodian: str) -> State:
        return self.answers[custodian].state

    @property
    def coverage(self) -> Coverage:
        return self.done.coverage


@dataclass
class Federation:
    """Folders of a gateway and nodes; start and stop any of them."""

    folder: Path
    gateway: Gateway | None = None
    nodes: dict[str, Node] = field(default_factory=dict)
    clocks: dict[str, Shifted] = field(default_factory=dict)
    random: Callable[[int], bytes] = secrets.token_bytes
    beat_ms: int = 3000  # so that no busy machine makes a link fall silent
    _serving: asyncio.Task[None] | None = None
    _port: int = 0
    _without_records: set[str] = field(default_factory=set)

    def found(self) -> None:
        """Write the gateway's folder."""
        founding = Founding(federation="northshire", listen="127.0.0.1:0")
        partnership.init(self.folder / "gw", founding, now=datetime.now(UTC), random=secrets.token_bytes)

    async def start_gateway(self) -> None:
        """Start it, on the same port as before if it ran before."""
        settings: dict[str, Any] = {
            "federation": "northshire",
            "listen": f"127.0.0.1:{self._port}",
            "poll_s": 0.05,
            "push_ms": 5,
            "link": {"beat_ms": self.beat_ms},
        }
        if PLACES.server is not None:
            settings["store"] = {"url": PLACES.url(self.folder / "gw")}
        (self.folder / "gw" / "gateway.toml").write_text(tomli_w.dumps(settings))
        self.gateway = Gateway(load_gateway_config(self.folder / "gw"), clock=lambda: datetime.now(UTC))
        await self.gateway.start()
        self._port = self.gateway.port
        self._serving = asyncio.create_task(self.gateway.serve())

    async def kill_gateway(self) -> None:
        """End it at once, as a crash would: no drain, no goodbye."""
        assert self.gateway is not None
        await self.gateway._server.stop(grace=None)
        self.gateway.lookups.is_closing = True
        self.gateway.stop()
        assert self._serving is not None
        await self._serving
        self.gateway = None

    def join(self, agency: str, rows: Sequence[Mapping[str, str]] = (), **settings: Any) -> None:
        """Make a node, admit it, load rows into its store."""
        directory = self.folder / agency
        sector = SECTORS.get(agency, "SOCIAL_CARE")
        applicant = enrol.Applicant(agency, f"Agency {agency}", sector, "0000 000 001", "0000 000 002")
        request, _ = enrol.init(directory, applicant, random=secrets.token_bytes)
        admission = partnership.admit(self.folder / "gw", request, now=datetime.now(UTC))
        enrol.accept(directory, admission.to_bytes(), now=datetime.now(UTC))
        if not rows:
            self._without_records.add(agency)
        self.configure(agency, **settings)
        if rows:
            self.load(agency, rows)

    def configure(self, agency: str, **settings: Any) -> None:
        """Write a node's settings."""
        base: dict[str, Any] = {
            "agency": agency,
            "name": f"Agency {agency}",
            "gateways": [f"127.0.0.1:{self._port}"],
            "catalogue": {"tick_s": 60.0},
            "lookup": {"deadline_ms": 20_000},
        }
        if "research" in settings:
            base["log"] = {"watch_s": 0.5}  # who takes part in studies waits for a witness first
        if PLACES.server is not None:
            base["store"] = {"url": PLACES.url(self.folder / agency)}
        if agency in self._without_records:
            base["lookup"]["asks_only"] = True
        for name, value in settings.items():
            base[name] = {**base.get(name, {}), **value} if isinstance(value, dict) else value
        (self.folder / agency / "node.toml").write_text(tomli_w.dumps(base))

    def load(self, agency: str, rows: Sequence[Mapping[str, str]], source: str = "cases") -> None:
        """Load rows of tests.caseload's columns into a node's store."""
        directory = self.folder / agency
        path = directory / f"{source}.csv"
        columns = sorted({name for row in rows for name in row} | {"id"})
        header = tomllib.loads(MAPPING)
        needed = ["id", "given", "family", "dob", "accuracy", "postcode", "past", "nhs", "upn", "alias"]
        needed += ["mother_given", "mother_family", "due", "service", "status", "seen", "phone", "shield"]
        needed += ["cp", "cp_start", "cp_end"]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*needed, *(c for c in columns if c not in needed)], restval="")
            writer.writeheader()
            for number, row in enumerate(rows):
                writer.writerow({"id": f"{agency}-{number}", "service": "Front door", **row})
        header["source"]["name"] = source
        config = load_config(directory)
        store = open_store(config.store_url, config.store_password)
        try:
            job = LoadJob(
                store=store,
                keys=FolderKeys(directory, store),
                now=datetime.now(UTC),
                work=directory,
                workers=1,
                allow_fewer=True,
            )
            load_file(path, parse_mapping(header), job)
        finally:
            store.close()

    async def start(self, *agencies: str) -> None:
        """Start nodes and wait until each holds everybody's catalogues."""
        for agency in agencies:
            await self.begin(agency)
        await self.settle()

    async def begin(self, agency: str) -> None:
        """Start a node and wait for nothing more."""
        clock = self.clocks.setdefault(agency, Shifted())
        node = Node(load_config(self.folder / agency), clock=clock, random=self.random)
        self.nodes[agency] = node
        await node.start()

    async def settle(self) -> None:
        """Wait until every running node is ready and holds all running others' catalogues."""
        async with asyncio.timeout(PATIENCE_S):
            while not all(self._is_settled(node) for node in self.nodes.values()):
                await asyncio.sleep(0.02)

    def _is_settled(self, node: Node) -> bool:
        status = node.status()
        held = {m.custodian for m in status.members if m.catalogue_version > 0}
        return status.is_ready and held >= self.nodes.keys() - {node.config.agency} and self._states(node)

    def _states(self, node: Node) -> bool:
        """Whether a node states what it published: others may hold that a moment before."""
        with node._store.read() as connection:
            heads = stated_heads(connection)
        return all(name in heads and heads[name].version for name in node.keys.view.names)

    async def vouch(self) -> None:
        """Wait until others have vouched for every node's roster again, where all clocks moved by a week."""
        if len({self.clocks[agency].by for agency in self.nodes}) > 1:
            return  # one clock that is wrong is no time that passed
        async with asyncio.timeout(PATIENCE_S):
            while self.gateway is not None and any(map(self._is_stale, self.nodes.values())):
                await asyncio.sleep(0.02)

    def _is_stale(self, node: Node) -> bool:
        newest = node.trust.vouched.newest(node.trust.roster)
        return self.clocks[node.config.agency]() - newest >= HARD

    async def stop(self, agency: str) -> None:
        """Stop one node in good order."""
        await self.nodes.pop(agency).stop()

    async def ask(self, searcher: str, ask: Ask) -> Lookup:
        """Ask through a node's own searcher, to the end."""
        await self.vouch()
        started: Started | None = None
        answers: dict[str, CustodianAnswer] = {}
        done: Done | None = None
        async for event in self.nodes[searcher].searcher.ask(ask):
            if isinstance(event, Started):
                started = event
            elif isinstance(event, CustodianAnswer):
                answers[event.custodian] = event
            else:
                done = event
        assert started is not None
        assert done is not None
        return Lookup(started, answers, done)


@asynccontextmanager
async def federation(folder: Path, **given: Any) -> AsyncIterator[Federation]:
    """A founded federation with its gateway running; everything is stopped at the end."""
    made = Federation(folder, **given)
    made.found()
    await made.start_gateway()
    try:
        yield made
    finally:
        for agency in list(made.nodes):
            with contextlib.suppress(Exception):
                await made.stop(agency)
        if made.gateway is not None:
            await made.kill_gateway()


@asynccontextmanager
async def small_federation(folder: Path, **settings: Any) -> AsyncIterator[Federation]:
    """Social care asks; police and hospital know Zofia, the police alone know Kai."""
    async with federation(folder) as made:
        made.join("social", [], **settings)
        made.join("police", [ZOE, KAI], **settings)
        made.join("hospital", [{**ZOE, "given": "Zophia"}], **settings)
        await made.start("social", "police", "hospital")
        yield made


__all__ = ["EVA", "KAI", "ZOE", "Federation", "Lookup", "ask_about", "federation", "small_federation"]
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
