"""A federation of real processes over loopback mTLS, its stores kept between runs.

Holds:    a folder under `build/bench` with made-up agencies' keys and stores; nothing of a real agency.
Promises: gateway and nodes are started as an operator starts them, and none is left running,
          not even by a benchmark that was killed.
"""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import tomli_w

from bench.bound import bound
from bench.stores import TAGS_A_RECORD, fill, forget_questions, load, make_filler
from bench.timedload import load_timed
from elsewhere.demo.processes import Command, Workbench, program
from elsewhere.errors import ElsewhereError
from elsewhere.matchkeys import version
from elsewhere.proposal import Proposal, sign_proposal
from elsewhere.roster import Steward
from elsewhere.sdk.desk import Desk
from elsewhere.signing import SigningKey
from gateway import enrolment
from gateway.agreed import TEXT_FILE
from gateway.enacting import enact
from gateway.proposing import Change, propose
from node.membership import enrol
from node.store.schema import SCHEMA

CACHE = Path("build/bench")
REAL = 200  # records that are really loaded beside fillers; questions ask about them
KEPT_S = 5 * 86_400.0  # then keys and certificates are made anew
ASKED_IN = "protected"  # the collection that these questions are asked in
SEARCHER = "agency-0"
TIMED = (sys.executable, "-P", "-m", "bench.timed")
_READY_S = 180.0
_READY_A_MILLION_S = 1200.0  # more, for building and fetching a catalogue of a million records

Stock = Callable[[Path, int], None]  # puts records into the folder of the custodian of that number


@dataclass(frozen=True, slots=True)
class Shape:
    """What a federation for timing consists of."""

    custodians: int
    records: int  # of each custodian, fillers included
    all_ask: bool = False  # every node holds the catalogues, not the searcher alone
    collections: tuple[str, ...] = (ASKED_IN,)  # in which there are fillers
    is_real: bool = False  # every record is really loaded; there are no fillers
    kind: str = ""  # of stock other than those

    @property
    def name(self) -> str:
        """The folder's name."""
        both = "-both" if len(self.collections) > 1 else ""
        return f"{self.custodians}x{self.records}{both}{'-real' if self.is_real else ''}{self.kind}"

    @property
    def agencies(self) -> tuple[str, ...]:
        """The searcher, then the custodians."""
        return tuple(f"agency-{number}" for number in range(self.custodians + 1))

    @property
    def ready_s(self) -> float:
        """How long it may take until everybody holds every catalogue."""
        return _READY_S + self.custodians * self.records / 1e6 * _READY_A_MILLION_S


@dataclass(frozen=True, slots=True)
class Settings:
    """What differs from one measurement to the next."""

    redeem_tick_ms: int = 0
    in_flight: int = 4
    timed: bool = False  # the searcher notes when outcomes reach it


@dataclass(frozen=True, slots=True)
class Running:
    """A federation that is up: process ids by role."""

    folder: Path
    gateway: int
    nodes: dict[str, int]

    @property
    def searcher(self) -> Path:
        """The searcher's folder, which its desk is reached by."""
        return self.folder / SEARCHER

    @property
    def roles(self) -> dict[str, tuple[int, ...]]:
        """Whose processor time is counted as what."""
        custodians = tuple(pid for name, pid in self.nodes.items() if name != SEARCHER)
        return {"gateway": (self.gateway,), "searcher": (self.nodes[SEARCHER],), "custodians": custodians}


def made(
    shape: Shape, say: Callable[[str], None], *, stock: Stock | None = None, afresh: bool = False
) -> Path:
    """Give the folder of a federation, made now (with `stock`, if given) unless an earlier run's will do."""
    folder = CACHE.absolute() / shape.name
    mark = {"schema": SCHEMA.head, "keys": version(), "agencies": shape.agencies, "filled": TAGS_A_RECORD}
    stamp = folder / "made.json"
    if stamp.exists():
        found = json.loads(stamp.read_text("utf-8"))
        fresh = time.time() - found.pop("made_s") < KEPT_S
        if fresh and not afresh and found == json.loads(json.dumps(mark)):
            return folder
    say(f"making {shape.name}: {len(shape.agencies)} agencies")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found_federation(folder, shape.agencies)
    load(folder / SEARCHER, seed=1, count=REAL, workers=1)
    for number, agency in enumerate(shape.agencies[1:], 1):
        (stock or partial(_stock, shape))(folder / agency, number)
    stamp.write_text(json.dumps({**mark, "made_s": time.time()}), "utf-8")
    return folder


def _stock(shape: Shape, node: Path, number: int) -> None:
    """Load every record, or a few and random tags beside them."""
    if shape.is_real:
        load_timed(node, seed=1, records=shape.records).write(node)
        return
    load(node, seed=1, count=REAL, workers=1)
    if shape.records > REAL:
        filler = CACHE.absolute() / f"filler-{shape.records}x{TAGS_A_RECORD}.sqlite"
        if not filler.exists():
            make_filler(filler, shape.records - REAL)
        fill(node / "store.sqlite", filler, shape.collections)


def found_federation(folder: Path, agencies: Sequence[str], agreed: str = "") -> None:
    """Found a federation, and make and let in every agency, by stewards of whom all sign.

    Args:
        folder: there already, and empty.
        agencies: their ids.
        agreed: what the agreement says besides, as TOML.
    """
    now, gw = datetime.now(UTC), folder / "gw"
    keys = {agency: SigningKey.generate(secrets.token_bytes) for agency in agencies}
    stewards = tuple(Steward(agency, f"Steward of {agency}", key.public) for agency, key in keys.items())
    founding = enrolment.Founding("bench", "127.0.0.1:1", stewards=stewards)
    _enact(gw, enrolment.init(gw, founding, now=now, random=secrets.token_bytes), keys.values())
    with (gw / TEXT_FILE).open("a", encoding="utf-8") as text:
        text.write(agreed)
    requests = {}
    for agency in agencies:
        applicant = enrol.Applicant(agency, f"Agency {agency}", "SOCIAL_CARE", "0000 000 001", "0000 000 002")
        requests[agency], _ = enrol.init(folder / agency, applicant, random=secrets.token_bytes)
    _enact(gw, propose(gw, Change(admit=tuple(requests.values())), now=now), keys.values())
    for agency, request in requests.items():
        admission = enrolment.admit(gw, request, now=now)
        enrol.accept(folder / agency, admission.to_bytes(), now=datetime.now(UTC))


def _enact(gw: Path, proposal: Proposal, keys: Iterable[SigningKey]) -> None:
    """Have every steward sign, and put it in force."""
    enact(gw, proposal, [sign_proposal(key, proposal) for key in keys])


@contextmanager
def running(
    shape: Shape, settings: Settings, say: Callable[[str], None], *, folder: Path | None = None
) -> Iterator[Running]:
    """Run a federation, or a copy of it in `folder`, until the block ends; the searcher can ask everybody."""
    folder = folder or made(shape, say)
    with processes(folder) as (bench, timed):
        address = listen(folder)
        gateway = bench.serve("gateway", "run", "--dir", "gw")
        bench.wait_for_word(gateway, "ready", timeout_s=_READY_S)
        nodes: dict[str, Command] = {}
        for agency in shape.agencies:
            configure(folder / agency, address, settings, holds=shape.all_ask or agency == SEARCHER)
            forget_questions(folder / agency / "store.sqlite")
            starter = timed if settings.timed and agency == SEARCHER else bench
            nodes[agency] = starter.serve("node", "run", "--dir", agency)
        for agency, command in nodes.items():
            _wait(partial(_is_attached, command), agency, bench, shape.ready_s)
            if shape.all_ask or agency == SEARCHER:
                _wait(partial(_holds_all, folder / agency, shape.custodians), agency, bench, shape.ready_s)
        pids = {agency: command.process.pid for agency, command in nodes.items()}
        yield Running(folder, gateway.process.pid, pids)


@contextmanager
def processes(folder: Path, other: Sequence[str] = TIMED) -> Iterator[tuple[Workbench, Workbench]]:
    """Two ways of starting programs in a folder, `elsewhere` and another; all end with the block."""
    logs = [Path(tempfile.mkdtemp(prefix="bench-")) for _ in range(2)]
    benches = []
    for place, start in zip(logs, (program(), other), strict=True):
        bench = Workbench(place, say=lambda typed: None, check_end=lambda: None, program=bound(start))
        bench.folder = folder
        benches.append(bench)
    try:
        yield benches[0], benches[1]
    finally:
        for bench in reversed(benches):
            bench.stop()
        for place in logs:
            shutil.rmtree(place, ignore_errors=True)


def listen(folder: Path) -> str:
    """Have the gateway listen on a port that is free now; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    # A plain lookup has one round, so the gateway keeps it until its deadline: more than one agency may have.
    settings = {"federation": "bench", "listen": address, "lookup": {"of_agency": 2048}}
    (folder / "gw" / "gateway.toml").write_text(tomli_w.dumps(settings), "utf-8")
    return address


def configure(directory: Path, address: str, settings: Settings, *, holds: bool) -> None:
    """Write a node's settings: no ticks unless asked for, no pace that a measurement would run into."""
    lookup = {
        "redeem_tick_ms": settings.redeem_tick_ms,
        "in_flight": settings.in_flight,
        "deadline_ms": 30_000,
        "others_per_s": 10_000,
        "others_burst": 10_000,
        "others_in_all": 1000,
    }
    # A custodian that only answers here keeps no copies: twenty of them on one machine would fill its memory.
    catalogue = {"tick_s": 3600.0, "max_held_mb": 4096 if holds else 1}
    toml = {
        "agency": directory.name,
        "name": f"Agency {directory.name}",
        "gateways": [address],
        "lookup": lookup,
        "catalogue": catalogue,
    }
    (directory / "node.toml").write_text(tomli_w.dumps(toml), "utf-8")


def _wait(is_so: Callable[[], bool], agency: str, bench: Workbench, timeout_s: float) -> None:
    """Wait until something is so, unless a process ends before."""
    end = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > end:
            raise SystemExit(f"{agency} was not ready within {timeout_s:g} s")
        bench.check()
        time.sleep(0.1)


def _is_attached(node: Command) -> bool:
    """Whether a node has said that its link is up."""
    return b"link.attached" in node.err.read_bytes()


def _holds_all(directory: Path, others: int) -> bool:
    """Whether a node runs and holds the catalogues of all others."""
    try:
        with Desk(directory) as desk:
            found = desk.status()
    except ElsewhereError:
        return False
    return found.is_ready and sum(member.catalogue_version > 0 for member in found.members) >= others
