"""A gateway and four nodes in processes of their own, and a researcher who notes whatever comes back."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import tomli_w
from sqlalchemy import select

from elsewhere.demo.processes import Command, Workbench, program
from elsewhere.research.query import Asking, make_query, sign_query
from elsewhere.research.question import ask
from elsewhere.securesum.share import open_share
from elsewhere.wire.channel import CLIENT_OPTIONS, client_credentials
from elsewhere.wire.tls import make_key, make_request, sign_node
from elsewhere.wire.v1 import research_pb2, research_pb2_grpc
from gateway.folder import read_anchor, read_authority
from gateway.inforce import read_agreement, read_succession
from node.ledger.verify import read_whole
from node.store.engine import open_store
from node.store.exchange import log
from node.store.studies import charge
from tests.federation import Federation
from tests.studying import KEY, agree, mapping, research, write_table

AGENCIES = ("hospital", "police", "schools", "social")
GATEWAY = "gw"
SIGMA = 200.0  # so that no cap is reached
READY_S, CALL_S, LOOK_S = 90.0, 30.0, 0.1
ROWS = [{"child": f"c{n}", "day": "2025-03-04", "source": "1A", "nfa": "N"} for n in range(20)]
OnEvent = Callable[[str], None]


@dataclass
class Seen:
    """What one call of a researcher brought."""

    end: int = 0  # 0: the call broke
    shares: dict[str, bytes] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)  # of those that refused


class Processes:
    """Everything that runs. Nothing of a federation is in this process but its files."""

    def __init__(self, folder: Path) -> None:
        made = Federation(folder)
        made.found()
        self.folder, made._port = folder, _free_port()
        self._address = f"127.0.0.1:{made._port}"
        settings = {"federation": "northshire", "listen": self._address, "link": {"beat_ms": 1000}}
        (folder / GATEWAY / "gateway.toml").write_text(tomli_w.dumps(settings))
        for agency in AGENCIES:
            held: dict[str, Any] = mapping() if agency == "social" else {"tick_ms": 10}
            held["per_hour"] = 1_000_000
            made.join(agency, [], research=held)
        write_table(folder / "social" / "referrals.csv", ROWS)
        caps = dict.fromkeys(("cap_nrho", "researcher_cap_nrho", "node_cap_nrho"), 10**12)
        agree(folder, research(["social"], **caps))
        self._bench = Workbench(folder, say=lambda typed: None, check_end=lambda: None, program=program())
        self._running: dict[str, Command] = {}
        for name in (GATEWAY, *AGENCIES):
            self.start(name)
        # The onlooker has an allowance of calls of its own: looking often costs the researcher none.
        self._channels = [self._dialled("researcher:ana"), self._dialled("researcher:onlooker")]
        self._stub, self._onlooker = map(research_pb2_grpc.ResearchServiceStub, self._channels)

    def start(self, name: str) -> None:
        """Start a gateway or a node."""
        kind = "gateway" if name == GATEWAY else "node"
        self._running[name] = self._bench.start(kind, "run", "--dir", name)

    def kill(self, name: str) -> None:
        """End it as a crash would, and see it gone, also for the gateway."""
        process = self._running[name].process
        os.kill(process.pid, signal.SIGKILL)
        process.wait(CALL_S)
        if name != GATEWAY:
            self._wait(lambda attending: name not in attending)

    def stop(self) -> None:
        """End everything."""
        for channel in self._channels:
            channel.close()
        self._bench.stop()

    def wait_attended(self) -> None:
        """Wait until the gateway says that every node attends."""
        self._wait(lambda attending: attending >= set(AGENCIES))

    def _wait(self, condition: Callable[[set[str]], bool]) -> None:
        """Wait for something to be true of who attends."""
        end = time.monotonic() + READY_S
        while True:
            with contextlib.suppress(grpc.RpcError):  # the gateway is down, or we look too often
                shown = self._onlooker.Describe(research_pb2.DescribeRequest(), timeout=CALL_S)
                if condition(set(shown.attending)):
                    return
            assert time.monotonic() < end, self._tails()
            time.sleep(LOOK_S)

    def query(self) -> bytes:
        """A new query, signed."""
        gw = self.folder / GATEWAY
        roster = read_succession(gw).roster
        agreed = read_agreement(gw, roster)
        assert agreed is not None
        expires = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=55)
        asking = Asking("early-help", "ana", round(SIGMA * 1e6), secrets.token_bytes(16), expires)
        return sign_query(KEY, make_query(ask("referral", 2025, {}, ["nfa"]), asking, agreed[1], roster))

    def ask(self, envelope: bytes, on_event: OnEvent = lambda step: None) -> Seen:
        """Run a study to its end, or until the call breaks.

        Args:
            envelope: the signed query.
            on_event: hears what has happened, as soon as it is known: asked, prepared, fixed and so on.
        """
        seen = Seen()
        try:
            for event in self._stub.Study(research_pb2.StudyRequest(query=envelope), timeout=CALL_S):
                if event.HasField("share"):
                    seen.shares[event.share.agency] = event.share.share
                if event.changed.code:
                    seen.codes[event.changed.agency] = event.changed.code
                on_event(_step(event))
                seen.end = event.ended.end or seen.end
        except grpc.RpcError:
            seen.end = 0
        return seen

    def check_ledgers(self, released: dict[tuple[str, str], str]) -> int:
        """Look into every node's store, once nothing runs: each share released is the one that was charged.

        Args:
            released: SHA-256 of the share by query and agency.

        Returns: how many charges there are in all.
        """
        roster, charges = read_succession(self.folder / GATEWAY).roster, 0
        for agency in AGENCIES:
            signer = roster.active(agency).signing_key
            with closing(open_store(f"sqlite:///{self.folder / agency / 'store.sqlite'}")) as store:
                with store.read() as connection:
                    rows = {bytes(row.qid).hex(): row.share for row in connection.execute(select(charge))}
                    logged = select(log.c.digest).where(log.c.kind == "study")
                    entries = sorted(bytes(one) for one in connection.execute(logged).scalars())
                    read_whole(connection, f"northshire/{agency}/log", signer)
                # Shares of queries that have run out in a long run are gone; their charges stay.
                held = {query: bytes(share) for query, share in rows.items() if share is not None}
                digests = {query: hashlib.sha256(share).hexdigest() for query, share in held.items()}
                of_this = {query: digest for (query, who), digest in released.items() if who == agency}
                assert of_this.keys() <= rows.keys(), f"{agency} released what it has not charged"
                assert all(of_this[query] == digests[query] for query in of_this.keys() & held.keys())
                assert {open_share(share, signer).leaf for share in held.values()} <= set(entries)
                assert len(entries) == len(rows)
                charges += len(rows)
        return charges

    def _dialled(self, name: str) -> grpc.Channel:
        """A channel with a researcher's certificate, which dials again at once."""
        folder, key = self.folder / GATEWAY, make_key()
        request = make_request(key, name)
        cert = sign_node(read_authority(folder), request, agency=name, now=datetime.now(UTC))
        ca_pem = read_anchor(folder).tls_ca_pem
        credentials = client_credentials(ca_pem=ca_pem, key_pem=key, cert_pem=cert)
        soon = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 200)]
        return grpc.secure_channel(self._address, credentials, options=[*CLIENT_OPTIONS, *soon])

    def _tails(self) -> str:
        return "; ".join(f"{name}: {one.tail[-300:]}" for name, one in self._running.items())


def _step(event: research_pb2.StudyResponse) -> str:
    """What an event says has happened."""
    if event.HasField("changed"):
        return (
            research_pb2.ParticipantState.Name(event.changed.state).removeprefix("PARTICIPANT_STATE_").lower()
        )
    return str(event.WhichOneof("event"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
