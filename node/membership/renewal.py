"""The node's TLS certificate is renewed at half its life, over the very link that it has opened.

Holds:    the next TLS key, from its making until it is in the node's folder.
Refuses:  a certificate for another key, another agency, or of another authority, whoever signed it.
Promises: the pair in force stays as it was until a whole new one is on the disk; one process of a node renews
          at a time, and the others take the new pair up from the folder.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import structlog

from elsewhere.clock import Clock
from elsewhere.errors import CertificateInvalid, GatewayUnreachable
from elsewhere.fields import format_instant
from elsewhere.renewal import sign_renewal
from elsewhere.signing import SigningKey
from elsewhere.wire.channel import CLIENT_OPTIONS, client_credentials
from elsewhere.wire.tls import check_issued, make_key, make_request
from elsewhere.wire.v1 import enrolment_pb2, enrolment_pb2_grpc
from node.config import NodeConfig
from node.keys.ring import read_signing
from node.links.calls import CallBroke, breaking
from node.membership.hop import Hop, read_hop, write_hop
from node.processes.rights import hold_right_to_keys
from node.store.engine import Store

RENEW_TIMEOUT_S = 10.0
LOOK_EVERY_S = 60.0  # whether it is time; after a failure too
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RenewalParts:
    """What renewing needs."""

    directory: Path
    agency: str
    ca_pem: bytes
    store: Store
    channels: Callable[[], Sequence[grpc.aio.Channel]]  # to gateways, as they are linked now
    key: Callable[[], SigningKey]  # this agency's, as it is now
    clock: Clock
    look_s: float = LOOK_EVERY_S


class Renewal:
    """Renews when it is time. `run` is for the process that leads."""

    def __init__(self, parts: RenewalParts) -> None:
        self._parts = parts

    async def run(self) -> None:
        """Look once a minute, for ever."""
        while True:
            held = await asyncio.to_thread(read_hop, self._parts.directory)
            if self.is_due(held):
                await self.renew(held)
            await asyncio.sleep(self._parts.look_s)

    def is_due(self, held: Hop) -> bool:
        """Whether half of a certificate's life is over."""
        return self._parts.clock() >= held.renews_utc

    async def renew(self, held: Hop) -> bool:
        """Ask each gateway in turn to certify a new key; tells whether a new pair is in the folder.

        Args:
            held: the pair in force when that was decided; if another process has changed it since, nothing
                is written.
        """
        parts = self._parts
        key_pem = make_key()
        csr_pem = make_request(key_pem, parts.agency)
        request = enrolment_pb2.RenewRequest(renewal=sign_renewal(parts.key(), csr_pem, parts.clock()))
        for channel in parts.channels():
            try:
                with breaking():
                    stub = enrolment_pb2_grpc.EnrolmentServiceStub(channel)
                    answer = await stub.Renew(request, timeout=RENEW_TIMEOUT_S)
                now, made = parts.clock(), answer.certificate_pem
                check_issued(made, parts.ca_pem, agency=parts.agency, now=now)
                new = Hop(key_pem, made)
            except (CallBroke, CertificateInvalid) as err:
                _log.warning("certificate.not_renewed", code=err.code)
                continue
            return await asyncio.to_thread(self._keep, held, new)
        return False

    def _keep(self, held: Hop, new: Hop) -> bool:
        with hold_right_to_keys(self._parts.directory, self._parts.store):
            if read_hop(self._parts.directory).cert_pem != held.cert_pem:
                return False
            write_hop(self._parts.directory, new)
        _log.info("certificate.renewed", end=format_instant(new.ends_utc))
        return True


async def renew_now(config: NodeConfig, ca_pem: bytes, store: Store, clock: Clock) -> Hop:
    """Renew over connections of one's own, whether or not the node runs; its processes take the pair up.

    Raises:
        GatewayUnreachable: no gateway certified the new key; the log says why. Nothing was changed.
        NotAdmitted, CertificateInvalid, KeyFileExposed: as `read_hop`.
    """
    held = read_hop(config.dir)
    shown = client_credentials(ca_pem=ca_pem, key_pem=held.key_pem, cert_pem=held.cert_pem)
    async with contextlib.AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.secure_channel(address, shown, options=CLIENT_OPTIONS))
            for address in config.gateways
        ]
        own = read_signing(config.dir)
        parts = RenewalParts(config.dir, config.agency, ca_pem, store, lambda: channels, lambda: own, clock)
        if not await Renewal(parts).renew(held):
            raise GatewayUnreachable("expected a gateway to certify the new key; none did")
    return read_hop(config.dir)
