"""What a gateway costs: CPU for each custodian in a lookup, both rounds, and memory.

Run it alone: `python -m bench.gateway`.

A real gateway process over mTLS; searchers and custodians are bare clients in this process that answer with
random bytes of the constant sizes, so nothing but the gateway is measured. Three ways of asking:

- *alone*: one lookup after the other, as fast as they come back.
- *in place*: with pauses as long as a custodian's and a searcher's cryptography take, each another, so that
  every frame wakes the gateway anew, as in a federation that is not busy.
- *busy*: many lookups at once.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import grpc
import tomli_w

from bench.usage import cpu_s, rss_mb
from elsewhere.enrolment import JoinRequest, sign_request
from elsewhere.signing import SigningKey
from elsewhere.wire.channel import CLIENT_OPTIONS, client_credentials
from elsewhere.wire.convert.link import REPLY_BYTES, REQUEST_BYTES
from elsewhere.wire.tls import make_key, make_request
from elsewhere.wire.v1 import link_pb2, link_pb2_grpc
from gateway import enrolment

PATIENCE_S = 30.0
EVALUATE_S, REDEEM_S = 0.008, 0.003  # about what custodian and searcher take between the frames, in place
_REPLIES = {round_: secrets.token_bytes(size) for round_, size in REPLY_BYTES.items()}
_QUESTION, _REDEEM = (secrets.token_bytes(REQUEST_BYTES[round_]) for round_ in (1, 2))


@dataclass(frozen=True, slots=True)
class Cost:
    """What one way of asking cost the gateway."""

    name: str
    lookups: int
    custodians: int
    cpu_s: float
    wall_s: float
    rss_mb: float

    @property
    def us_per_custodian(self) -> float:
        """Processor time of one custodian's part, both rounds, in microseconds."""
        return self.cpu_s / self.lookups / self.custodians * 1e6


@dataclass(slots=True, eq=False)
class Client:
    """One attached agency."""

    agency: str
    call: grpc.aio.StreamStreamCall[link_pb2.AttachRequest, link_pb2.AttachResponse]
    is_in_place: bool = False
    saying: asyncio.Lock = field(default_factory=asyncio.Lock)  # one write at a time is all gRPC takes
    waiting: dict[bytes, _Asked] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Answer every frame, each in its own time."""
        while isinstance(frame := await self.call.read(), link_pb2.AttachResponse):
            task = asyncio.create_task(self._answer(frame))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _answer(self, frame: link_pb2.AttachResponse) -> None:
        if frame.HasField("dispatch"):
            await self._pause(EVALUATE_S)
            sealed = _REPLIES[frame.dispatch.round]
            await self._say(reply=link_pb2.Reply(route=frame.dispatch.route, sealed=sealed))
        elif frame.HasField("outcome"):
            outcome = frame.outcome
            if outcome.non_answer:
                raise AssertionError(f"{outcome.custodian}: {outcome.non_answer}")
            asked = self.waiting[outcome.ask_id]
            if outcome.round == 1:
                await self._pause(REDEEM_S * asked.of)
                redeem = link_pb2.Redeem(ask_id=outcome.ask_id, custodian=outcome.custodian, sealed=_REDEEM)
                await self._say(redeem=redeem)
            else:
                asked.left -= 1
                if not asked.left:
                    asked.done.set()

    async def ask(self, custodians: list[str]) -> None:
        """One whole lookup."""
        ask = link_pb2.Ask(ask_id=secrets.token_bytes(16), deadline_ms=30_000)
        for custodian in custodians:
            ask.questions.add(custodian=custodian, lookup_id=secrets.token_bytes(16), sealed=_QUESTION)
        asked = self.waiting[ask.ask_id] = _Asked(len(custodians), len(custodians))
        await self._say(ask=ask)
        async with asyncio.timeout(PATIENCE_S):
            await asked.done.wait()
        del self.waiting[ask.ask_id]

    async def beat(self) -> None:
        """Say that it is there."""
        sequence = 0
        while True:
            await asyncio.sleep(5)
            sequence += 1
            await self._say(beat=link_pb2.Beat(sequence=sequence))

    async def _say(self, **frame: object) -> None:
        async with self.saying:
            await self.call.write(link_pb2.AttachRequest(**frame))  # type: ignore[arg-type]

    async def _pause(self, seconds: float) -> None:
        if self.is_in_place:
            await asyncio.sleep(2 * seconds * secrets.randbelow(1000) / 1000)


@dataclass(slots=True, eq=False)
class _Asked:
    """A lookup under way: how many parts it has, and how many of them are open."""

    of: int
    left: int
    done: asyncio.Event = field(default_factory=asyncio.Event)


@contextmanager
def gateway_process(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a gateway as its operator would; gives the process and where it listens."""
    settings = {"federation": "bench", "listen": "127.0.0.1:0", "lookup": {"of_agency": 512}}
    (folder / "gateway.toml").write_text(tomli_w.dumps(settings), "utf-8")
    command = [sys.executable, "-m", "gateway", str(folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        said = process.stderr or ()
        ready = next(line for line in said if line.startswith("ready "))
        try:
            yield process, ready.split()[1]
        finally:
            process.terminate()


def admitted(folder: Path, agency: str) -> grpc.ChannelCredentials:
    """Admit an agency and give what it dials with."""
    signing, tls = SigningKey.generate(secrets.token_bytes), make_key()
    request = JoinRequest(
        agency_id=agency,
        name=agency,
        sector="POLICE",
        contact_in_hours="0000 000 001",
        contact_out_of_hours="0000 000 002",
        signing_key=signing.public,
        csr_pem=make_request(tls, agency),
    )
    admission = enrolment.admit(folder, sign_request(signing, request), now=datetime.now(UTC))
    return client_credentials(
        ca_pem=admission.anchor.tls_ca_pem, key_pem=tls, cert_pem=admission.certificate_pem
    )


async def attached(address: str, agency: str, credentials: grpc.ChannelCredentials) -> Client:
    """Attach an agency; its link stays until the loop ends."""
    channel = grpc.aio.secure_channel(address, credentials, options=CLIENT_OPTIONS)
    call = link_pb2_grpc.LinkServiceStub(channel).Attach()  # type: ignore[call-arg]
    client = Client(agency, call)
    await call.write(link_pb2.AttachRequest(hello=link_pb2.Hello(protocol_min=1, protocol_max=1)))
    await call.read()
    client.tasks |= {asyncio.create_task(client.run()), asyncio.create_task(client.beat())}
    return client


async def measure(folder: Path, *, custodians: int, lookups: int) -> list[Cost]:
    """Run all three ways of asking against one gateway.

    Args:
        folder: of a founded federation.
        custodians: that each lookup asks.
        lookups: of each way.
    """
    names = [f"custodian-{number}" for number in range(custodians)]
    credentials = {name: admitted(folder, name) for name in ("searcher", *names)}
    with gateway_process(folder) as (process, address):
        clients = [await attached(address, name, found) for name, found in credentials.items()]
        searcher, pid = clients[0], process.pid
        found = []
        for way, at_once, is_in_place in (("alone", 1, False), ("in place", 1, True), ("busy", 8, False)):
            for client in clients:
                client.is_in_place = is_in_place
            await searcher.ask(names)
            before_s, began_s = cpu_s(pid), time.perf_counter()
            for _ in range(lookups // at_once):
                await asyncio.gather(*(searcher.ask(names) for _ in range(at_once)))
            spent_s, wall_s = cpu_s(pid) - before_s, time.perf_counter() - began_s
            done = lookups // at_once * at_once
            found.append(Cost(way, done, custodians, spent_s, wall_s, rss_mb(pid)))
    return found


def main() -> None:
    """Print a line for each way of asking."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--custodians", type=int, default=20)
    parser.add_argument("--lookups", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "gw"
        founding = enrolment.Founding(federation="bench", listen="127.0.0.1:0")
        enrolment.init(folder, founding, now=datetime.now(UTC), random=secrets.token_bytes)
        for cost in asyncio.run(measure(folder, custodians=given.custodians, lookups=given.lookups)):
            line = f"{cost.name:9} {cost.us_per_custodian:6.0f} us CPU a custodian, both rounds"
            sys.stdout.write(
                f"{line}; {cost.lookups / cost.wall_s:6.1f} lookups/s; RSS {cost.rss_mb:.0f} MB\n"
            )


if __name__ == "__main__":
    main()
