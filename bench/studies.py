"""Studies through a gateway and node processes over loopback mTLS, asked as a researcher's program asks.

Promises: a study counts only if every share came, was checked and was added again. One agency holds the
          table, so that its SQL is told apart: that is timed alone and taken off. The tick is not; it is the
          shortest, 10 ms.
"""

from __future__ import annotations

import csv
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import grpc
import tomli_w

from bench.asking import median, percentile
from bench.federation import CACHE, found_federation, listen, processes
from bench.figures import Figure
from bench.studysum import spent
from bench.usage import Meter
from elsewhere.agreement.studies import HeldTable, Project, Research, Researcher
from elsewhere.agreement.terms import Agreement
from elsewhere.research.query import Asking, make_query, query_id, sign_query, terms_of
from elsewhere.research.question import Metric, Question
from elsewhere.roster import Roster
from elsewhere.securesum.noise import central
from elsewhere.securesum.opening import open_shares
from elsewhere.securesum.rounds import fix_roster
from elsewhere.signing import SigningKey
from elsewhere.wire.channel import CLIENT_OPTIONS, client_credentials
from elsewhere.wire.tls import make_key, make_request, sign_node
from elsewhere.wire.v1 import research_pb2, research_pb2_grpc
from gateway.folder import read_anchor, read_authority
from gateway.inforce import read_agreement, read_succession
from node.studies.tables.counting import count
from node.studies.tables.engines import Within, open_table
from node.studies.tables.sections import TableSection

GROUP, TABLE, YEAR, ROWS = "studies", "missing", 2025, 1_000
SIGMA = 1200.0  # so that budget is left; what a draw costs does not depend on it
GROUPS = ("kind", "age_band", "eth7")
# Groups and bins in each make an answer; and what it is held to, in ms.
Answer = tuple[tuple[str, ...], int, float]
ANSWERS: tuple[Answer, ...] = ((GROUPS[:1], 10, 100), (GROUPS, 11, 300), (GROUPS, 103, 1_600))
_NAMES = ("id", "child", "day", "kind", "age", "eth7", "hours")
_MAPPED = {"kind": "kind", "age_band": "age", "eth7": "eth7", "hours": "hours"}
_READY_S, _CALL_S = 120.0, 60.0


@dataclass(frozen=True, slots=True)
class Asker:
    """A researcher's program."""

    stub: research_pb2_grpc.ResearchServiceStub
    key: SigningKey
    agreement: Agreement
    roster: Roster

    def ask(self, question: Question) -> list[int] | None:
        """Run one study and open it; None if it came to nothing."""
        expires = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=10)
        asking = Asking("bench", "ana", round(SIGMA * 1e6), secrets.token_bytes(16), expires)
        query = make_query(question, asking, self.agreement, self.roster)
        envelope = sign_query(self.key, query)
        prepares, shares = list[bytes](), dict[str, bytes]()
        for event in self.stub.Study(research_pb2.StudyRequest(query=envelope), timeout=_CALL_S):
            prepares += event.fixed.prepares
            if event.HasField("share"):
                shares[event.share.agency] = event.share.share
            if event.ended.end not in (0, research_pb2.STUDY_END_OPENED):
                return None
        terms = terms_of(query, query_id(envelope), self.agreement, self.roster)
        return open_shares(fix_roster(terms, prepares, self.roster), shares, self.roster, query.width)


def measure(
    members: int, studies: int, say: Callable[[str], None], answers: Sequence[Answer] = ANSWERS
) -> list[Figure]:
    """Run so many studies of each width, one after the other."""
    figures = []
    with _running(members, say) as (asker, folder, pids):
        for by, bins, target in answers:
            edges = tuple(range(0, 7 * bins + 1, 7))
            question = Question(TABLE, YEAR, Metric("histogram", "hours", edges), by=by)
            sql = median([_counted(folder, question) for _ in range(5)])
            meter, took = Meter.start(pids), list[float]()
            for _ in range(studies):
                began = time.monotonic()
                if asker.ask(question) is None:
                    raise SystemExit("a study was not answered")
                took.append(time.monotonic() - began)
            cpu = {role: f"{1e3 * seconds / studies:.0f} ms" for role, seconds in meter.read().items()}
            one = 1e3 * spent(partial(central, [0] * question.width, SIGMA))
            whole, middle = 1e3 * percentile(took, 0.95), 1e3 * median(took)
            figures.append(
                Figure(
                    GROUP, f"p95 of a study of {question.width:,} numbers, {members} nodes, beyond the SQL",
                    max(0.0, whole - 1e3 * sql), "ms", one * members / 2, target, plain=one,
                    note=f"{studies} studies; with the SQL p95 {whole:.0f} ms, median {middle:.0f} ms; SQL "
                    f"alone {1e3 * sql:.0f} ms; CPU a study: gateway {cpu['gateway']}, all nodes "
                    f"{cpu['nodes']}; floor: every node's noise from OpenDP alone, on two cores; plain: "
                    "noise drawn once, by one trusted party",
                )
            )  # fmt: skip
    return figures


def _counted(folder: Path, question: Question) -> float:
    """Seconds that the holder's counting takes alone."""
    section = TableSection.model_validate(_section())
    began = time.monotonic()
    with open_table(section, Within(folder, 512, 60)) as opened:
        count(opened, section, question)
    return time.monotonic() - began


@contextmanager
def _running(
    members: int, say: Callable[[str], None]
) -> Iterator[tuple[Asker, Path, dict[str, tuple[int, ...]]]]:
    """A federation with one project, up until the block ends; the asker, the holder's folder, process ids."""
    folder, key = CACHE.absolute() / f"studies-{members}", SigningKey.generate(secrets.token_bytes)
    agencies = tuple(f"agency-{number}" for number in range(members))
    say(f"making {folder.name}: {members} agencies")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    agreed = {"research": _research(agencies, key).to_json()}
    found_federation(folder, agencies, "\n" + tomli_w.dumps(agreed))
    _write_rows(folder / agencies[0] / "missing.csv")
    with ExitStack() as ends:
        bench, _ = ends.enter_context(processes(folder))
        address = listen(folder)
        gateway = bench.serve("gateway", "run", "--dir", "gw")
        bench.wait_for_word(gateway, "ready", timeout_s=_READY_S)
        nodes = []
        for agency in agencies:
            tables = {TABLE: _section()} if agency == agencies[0] else {}
            settings = {
                "agency": agency,
                "name": f"Agency {agency}",
                "gateways": [address],
                "research": {"tick_ms": 10, "per_hour": 1_000_000, "tables": tables},
            }
            (folder / agency / "node.toml").write_text(tomli_w.dumps(settings), "utf-8")
            nodes.append(bench.serve("node", "run", "--dir", agency))
        asker = _asker(folder / "gw", ends.enter_context(_dialled(folder / "gw", address)), key)
        _wait_for_all(asker, bench.check)
        pids = {"gateway": (gateway.process.pid,), "nodes": tuple(node.process.pid for node in nodes)}
        yield asker, folder / agencies[0], pids
    shutil.rmtree(folder, ignore_errors=True)


def _wait_for_all(asker: Asker, check: Callable[[], None]) -> None:
    """Ask until all answer: nodes come up one after the other, and look at their ledgers first."""
    end = time.monotonic() + _READY_S
    question = Question(TABLE, YEAR)
    while asker.ask(question) is None:
        if time.monotonic() > end:
            raise SystemExit(f"not all nodes took part within {_READY_S:g} s")
        check()
        time.sleep(1)  # a gateway takes two calls of one researcher a second, and some more at first


def _asker(gw: Path, channel: grpc.Channel, key: SigningKey) -> Asker:
    """A researcher who has the documents in force."""
    roster = read_succession(gw).roster
    agreed = read_agreement(gw, roster)
    assert agreed is not None
    return Asker(research_pb2_grpc.ResearchServiceStub(channel), key, agreed[1], roster)


def _dialled(gw: Path, address: str) -> grpc.Channel:
    """A channel with a researcher's certificate."""
    key, name = make_key(), "researcher:ana"
    cert = sign_node(read_authority(gw), make_request(key, name), agency=name, now=datetime.now(UTC))
    credentials = client_credentials(ca_pem=read_anchor(gw).tls_ca_pem, key_pem=key, cert_pem=cert)
    return grpc.secure_channel(address, credentials, options=CLIENT_OPTIONS)


def _section() -> dict[str, object]:
    return {"file": "missing.csv", "child": "child", "date": "day", "row": "id", "columns": dict(_MAPPED)}


def _write_rows(path: Path) -> None:
    """Some rows; how long many take to count is measured elsewhere."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_NAMES)
        for number in range(ROWS):
            day = f"{YEAR}-{1 + number % 12:02}-03"
            cells = ("M", "10-15", "U", number % 700)
            writer.writerow((number, f"c{number % 300}", day, *cells))


def _research(agencies: Sequence[str], key: SigningKey) -> Research:
    """One project with budget enough."""
    now = datetime.now(UTC).replace(microsecond=0)
    project = Project(
        id="bench",
        title="Benchmark",
        purpose="RESEARCH_AGG",
        bases=("A6E_TASK", "A9J_RESEARCH"),
        people=("ana",),
        tables=(TABLE,),
        setting="this machine",
        data="made up",
        output="a table of figures",
        cap_nrho=10**12,
        researcher_cap_nrho=10**12,
        floor_nrho=10**9,
        min_roster=3,
        valid_from=now - timedelta(days=1),
        valid_until=now + timedelta(days=30),
    )
    return Research(
        most_agencies=len(agencies),
        node_cap_nrho=10**12,
        period_days=365,
        tables=(HeldTable(TABLE, (agencies[0],), min_holders=1),),
        researchers=(Researcher("ana", "Ana Okafor", "University of Northshire", key.public),),
        projects=(project,),
    )
