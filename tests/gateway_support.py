"""A gateway in this process, and bare gRPC clients of it made from the generated stubs."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import grpc
import tomli_w
from grpc.aio import EOF  # type: ignore[attr-defined]  # its stubs lack it

from elsewhere.clock import Clock
from elsewhere.enrolment import Admission, JoinRequest, sign_request
from elsewhere.sealing import SealingKey
from elsewhere.signing import SigningKey
from elsewhere.statement import KeyStatement, OprfKeyEntry, SealingKeyEntry, sign_statement
from elsewhere.wire.channel import CLIENT_OPTIONS, client_credentials
from elsewhere.wire.convert.link import REPLY_BYTES, REQUEST_BYTES
from elsewhere.wire.tls import make_key, make_request
from elsewhere.wire.v1 import link_pb2, link_pb2_grpc
from gateway.config import load_config
from gateway.enrolment import Founding
from gateway.service import Gateway
from tests import partnership

PATIENCE_S = 20.0  # a test that waits longer than this for a frame has failed
SECTORS = {"police": "POLICE", "social": "SOCIAL_CARE", "hospital": "NHS_TRUST", "schools": "SCHOOL"}


def utc_now() -> datetime:
    """The real time: TLS itself compares certificates with it."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Agency:
    """The keys of one made-up agency, and what it was handed on joining."""

    agency_id: str
    signing: SigningKey
    tls_pem: bytes
    admission: Admission


def join_request(agency_id: str, signing: SigningKey, tls_pem: bytes, sector: str = "POLICE") -> bytes:
    """A request as a node would make it."""
    request = JoinRequest(
        agency_id=agency_id,
        name=f"Agency {agency_id}",
        sector=sector,
        contact_in_hours="0000 000 001",
        contact_out_of_hours="0000 000 002",
        signing_key=signing.public,
        csr_pem=make_request(tls_pem, agency_id),
    )
    return sign_request(signing, request)


def found(folder: Path, **settings: object) -> None:
    """Found a federation whose gateway listens on any free port."""
    founding = Founding(federation="northshire", listen="127.0.0.1:0")
    partnership.init(folder, founding, now=utc_now(), random=secrets.token_bytes)
    base: dict[str, object] = {"federation": "northshire", "listen": "127.0.0.1:0"}
    (folder / "gateway.toml").write_text(tomli_w.dumps(base | {"poll_s": 0.05, "push_ms": 10} | settings))


def join(folder: Path, agency_id: str) -> Agency:
    """Make an agency's keys and admit it."""
    signing, tls_pem = SigningKey.generate(secrets.token_bytes), make_key()
    request = join_request(agency_id, signing, tls_pem, SECTORS.get(agency_id, "POLICE"))
    admission = partnership.admit(folder, request, now=utc_now())
    return Agency(agency_id, signing, tls_pem, admission)


@asynccontextmanager
async def running(folder: Path, clock: Clock = utc_now) -> AsyncIterator[Gateway]:
    """Run a gateway until the block ends, then stop it in good order."""
    gateway = Gateway(load_config(folder), clock=clock)
    await gateway.start()
    serving = asyncio.create_task(gateway.serve())
    try:
        yield gateway
    finally:
        gateway.stop()
        async with asyncio.timeout(PATIENCE_S):
            await serving


def state_keys(gateway: Gateway, agency: Agency, *names: tuple[str, int], version: int = 1) -> None:
    """Have the gateway hold an agency's statement, with a key for each of these collections and epochs."""
    gateway.directory.publish_statement(agency.agency_id, statement(agency, *names, version=version))


def statement(agency: Agency, *names: tuple[str, int], version: int = 1) -> bytes:
    """An agency's signed statement, with a key for each of these collections and epochs."""
    now = utc_now().replace(microsecond=0)
    until = now + timedelta(days=300)
    made = KeyStatement(
        agency=agency.agency_id,
        version=version,
        issued_utc=now,
        sealing_keys=(SealingKeyEntry(SealingKey.generate(secrets.token_bytes).public, until),),
        oprf_keys=tuple(
            OprfKeyEntry(collection, epoch, _made_up_key(agency, collection, epoch), now, until)
            for collection, epoch in names
        ),
        protocol_versions=(1,),
        match_key_versions=("1",),
    )
    return sign_statement(agency.signing, made)


def _made_up_key(agency: Agency, collection: str, epoch: int) -> bytes:
    """32 bytes in the place of a public key: every statement gives one name the same key."""
    return hashlib.sha256(repr((agency.signing.key_id, collection, epoch)).encode()).digest()


def channel_to(gateway: Gateway, agency: Agency) -> grpc.aio.Channel:
    """A connection with the agency's own certificate."""
    credentials = client_credentials(
        ca_pem=agency.admission.anchor.tls_ca_pem,
        key_pem=agency.tls_pem,
        cert_pem=agency.admission.certificate_pem,
    )
    return grpc.aio.secure_channel(f"127.0.0.1:{gateway.port}", credentials, options=CLIENT_OPTIONS)


@dataclass
class Peer:
    """One attached agency that says exactly what a test tells it to."""

    agency_id: str
    call: grpc.aio.StreamStreamCall[link_pb2.AttachRequest, link_pb2.AttachResponse]
    held: list[link_pb2.AttachResponse] = field(default_factory=list)

    async def say(self, **frame: object) -> None:
        """Send one frame, named by its kind."""
        await self.call.write(link_pb2.AttachRequest(**frame))  # type: ignore[arg-type]

    async def frame(self, kind: str) -> link_pb2.AttachResponse:
        """The next frame of a kind; others that come first are kept."""
        for index, frame in enumerate(self.held):
            if frame.WhichOneof("frame") == kind:
                return self.held.pop(index)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                frame = cast(link_pb2.AttachResponse, await self.call.read())
                if frame is EOF:
                    raise AssertionError(f"{self.agency_id}: the link ended before a {kind} came")
                if frame.WhichOneof("frame") == kind:
                    return frame
                self.held.append(frame)

    async def dispatch(self) -> link_pb2.Dispatch:
        """The next question handed to this agency."""
        return (await self.frame("dispatch")).dispatch

    async def outcome(self) -> link_pb2.Outcome:
        """The next outcome of this agency's own questions."""
        return (await self.frame("outcome")).outcome

    async def end(self) -> tuple[grpc.StatusCode, str]:
        """Read to the end of the link and tell how it ended."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                while await self.call.read() is not EOF:
                    pass
            except grpc.aio.AioRpcError:
                pass
            return await self.call.code(), await self.call.details()


async def attach(
    channel: grpc.aio.Channel, agency_id: str, *, low: int = 1, high: int = 1, process: str = ""
) -> Peer:
    """Dial and wait for the welcome."""
    call = link_pb2_grpc.LinkServiceStub(channel).Attach()  # type: ignore[call-arg]
    peer = Peer(agency_id, call)
    await peer.say(hello=link_pb2.Hello(protocol_min=low, protocol_max=high, process=process))
    await peer.frame("welcome")
    return peer


@asynccontextmanager
async def attached(gateway: Gateway, *agencies: Agency) -> AsyncIterator[list[Peer]]:
    """Attach agencies for as long as the block lasts."""
    channels = [channel_to(gateway, agency) for agency in agencies]
    try:
        yield [
            await attach(channel, agency.agency_id)
            for channel, agency in zip(channels, agencies, strict=True)
        ]
    finally:
        for channel in channels:
            await channel.close(None)


def question(custodian: str, sealed: bytes | None = None) -> link_pb2.Question:
    """A first round for one custodian: random bytes of the one size."""
    return link_pb2.Question(
        custodian=custodian,
        lookup_id=secrets.token_bytes(16),
        sealed=sealed or secrets.token_bytes(REQUEST_BYTES[1]),
    )


def ask(*questions: link_pb2.Question, deadline_ms: int = 20_000, ask_id: bytes = b"") -> link_pb2.Ask:
    """An Ask under a fresh id."""
    return link_pb2.Ask(
        ask_id=ask_id or secrets.token_bytes(16), deadline_ms=deadline_ms, questions=questions
    )


def redeem(ask_id: bytes, custodian: str, sealed: bytes | None = None) -> link_pb2.Redeem:
    """A second round: random bytes of the one size."""
    return link_pb2.Redeem(
        ask_id=ask_id, custodian=custodian, sealed=sealed or secrets.token_bytes(REQUEST_BYTES[2])
    )


def reply_to(dispatch: link_pb2.Dispatch, sealed: bytes | None = None) -> link_pb2.Reply:
    """A custodian's reply of the right size."""
    return link_pb2.Reply(
        route=dispatch.route, sealed=sealed or secrets.token_bytes(REPLY_BYTES[dispatch.round])
    )
