"""Studies in a federation of this process: tables as CSV, a project agreed, a researcher's calls."""

from __future__ import annotations

import asyncio
import csv
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import tomli_w

from elsewhere.agreement.studies import Display, HeldTable, Project, Research, Researcher
from elsewhere.research.query import Asking, Query, make_query, sign_query
from elsewhere.research.question import Question
from elsewhere.sdk.researcher.enrolling import enrol
from elsewhere.sdk.researcher.folder import About
from elsewhere.signing import SigningKey
from elsewhere.wire.channel import CLIENT_OPTIONS, client_credentials
from elsewhere.wire.tls import make_key, make_request, sign_node
from elsewhere.wire.v1 import research_pb2, research_pb2_grpc
from gateway.folder import read_anchor, read_authority
from gateway.researchers import InvitedResearcher, invite_researcher
from node.errors import LedgerSetBack
from node.program import Node
from tests import partnership
from tests.federation import PATIENCE_S, Federation

COLUMNS = ("id", "child", "day", "source", "nfa", "need", "age_band", "factors")
KEY = SigningKey(bytes(range(32)))


def research(holders: Sequence[str], **changes: Any) -> Research:
    """A project that may ask about referrals and assessments."""
    now = datetime.now(UTC).replace(microsecond=0)
    project: dict[str, Any] = {
        "id": "early-help",
        "title": "Does early help reach children in time?",
        "purpose": "RESEARCH_AGG",
        "bases": ("A6E_TASK", "A9J_RESEARCH"),
        "people": ("ana",),
        "tables": ("referral",),
        "setting": "a locked room",
        "data": "referrals only",
        "output": "a public report",
        "cap_nrho": 2_000_000_000,
        "researcher_cap_nrho": 1_000_000_000,
        "floor_nrho": 500_000_000,
        "min_roster": 3,
        "valid_from": now - timedelta(days=1),
        "valid_until": now + timedelta(days=300),
        "display": Display(),
    }
    whole: dict[str, Any] = {
        "most_agencies": len(holders),
        "node_cap_nrho": 4_000_000_000,
        "period_days": 365,
        "tables": changes.get("held", (HeldTable("referral", tuple(holders), min_holders=1),)),
        "researchers": (Researcher("ana", "Ana Okafor", "University of Northshire", KEY.public),),
    }
    project |= {name: value for name, value in changes.items() if name in project}
    whole |= {name: value for name, value in changes.items() if name in whole}
    return Research(**whole, projects=(Project(**project),))


def agree(folder: Path, part: Research) -> None:
    """Put a research part into the agreement's text, and have every steward sign it."""
    path = folder / "gw" / "agreement.toml"
    text = path.read_text("utf-8").split("\n[research]\n")[0]
    path.write_text(text + "\n" + tomli_w.dumps({"research": part.to_json()}))
    partnership.resign(folder / "gw", now=datetime.now(UTC))


async def ready(made: Federation) -> None:
    """Wait until every node attends, and has compared its log with the gateway's copy."""
    assert made.gateway is not None
    async with asyncio.timeout(PATIENCE_S):
        while set(made.gateway.attending.agencies()) < made.nodes.keys() or not all(
            _is_compared(node) for node in made.nodes.values()
        ):
            await asyncio.sleep(0.02)


def _is_compared(node: Node) -> bool:
    try:
        node.showing.check_newest()
    except LedgerSetBack:
        return False
    return True


def write_table(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write an agency's own table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        for number, row in enumerate(rows):
            writer.writerow({"id": str(number), **row})


def mapping(file: str = "referrals.csv", **changes: Any) -> dict[str, Any]:
    """How that table is mapped, for `[research]` of a node's settings."""
    columns = {"source": "source", "nfa": "nfa", "need": "need", "age_band": "age_band"}
    table = {"file": file, "child": "child", "date": "day", "row": "id", "columns": columns, **changes}
    return {"tick_ms": 10, "tables": {"referral": table}}


def enrolled(made: Federation, folder: Path) -> About:
    """Invite and enrol a researcher, as two programs would; blocks."""
    assert made.gateway is not None
    path = made.folder / "gw" / "gateway.toml"
    settings = path.read_text("utf-8")
    path.write_text(tomli_w.dumps({"federation": "northshire", "listen": f"127.0.0.1:{made.gateway.port}"}))
    who = InvitedResearcher("ana", "Ana Okafor", "University of Northshire")
    token = invite_researcher(
        made.folder / "gw", who, now=datetime.now(UTC), random=secrets.token_bytes
    ).to_text()
    about = enrol(folder, token, passphrase="", now=datetime.now(UTC), random=secrets.token_bytes)
    path.write_text(settings)
    return about


@dataclass
class Ended:
    """What a study came to."""

    states: dict[str, tuple[int, str]] = field(default_factory=dict)
    prepares: list[bytes] = field(default_factory=list)
    shares: dict[str, bytes] = field(default_factory=dict)
    end: int = 0


@dataclass
class Asker:
    """A researcher's program, with nothing of ours but the documents."""

    made: Federation
    name: str = "researcher:ana"

    def channel(self) -> grpc.aio.Channel:
        """Dial the gateway with a researcher's certificate."""
        folder, key = self.made.folder / "gw", make_key()
        cert = sign_node(
            read_authority(folder), make_request(key, self.name), agency=self.name, now=datetime.now(UTC)
        )
        credentials = client_credentials(ca_pem=read_anchor(folder).tls_ca_pem, key_pem=key, cert_pem=cert)
        assert self.made.gateway is not None
        address = f"127.0.0.1:{self.made.gateway.port}"
        return grpc.aio.secure_channel(address, credentials, options=CLIENT_OPTIONS)

    def query(self, question: Question, sigma: float = 12.0, **asked: Any) -> Query:
        """A query under the documents that the gateway has in force."""
        assert self.made.gateway is not None
        agreement, roster = self.made.gateway.directory.agreement, self.made.gateway.directory.roster
        assert agreement is not None
        expires = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=10)
        asking = Asking("early-help", "ana", round(sigma * 1e6), secrets.token_bytes(16), expires)
        return make_query(question, asking, agreement, roster, **asked)

    async def ask(self, query: Query, *, key: SigningKey = KEY, accept_missing: bool = False) -> Ended:
        """Sign and run one study."""
        return await self.run(sign_query(key, query), accept_missing=accept_missing)

    async def run(self, envelope: bytes, *, accept_missing: bool = False) -> Ended:
        """Run one study to its end."""
        found = Ended()
        async with self.channel() as channel:
            request = research_pb2.StudyRequest(query=envelope, accept_missing=accept_missing)
            async for event in research_pb2_grpc.ResearchServiceStub(channel).Study(request, timeout=60):
                kind = event.WhichOneof("event")
                if kind == "changed":
                    found.states[event.changed.agency] = (event.changed.state, event.changed.code)
                elif kind == "fixed":
                    found.prepares = list(event.fixed.prepares)
                elif kind == "share":
                    found.shares[event.share.agency] = event.share.share
                elif kind == "ended":
                    found.end = event.ended.end
        return found
