"""The running gateway: its services on one port, its parts put together, and an end in good order.

Holds:    the TLS key while it serves.
Sees:     constant-size ciphertext, agency ids, times.
Refuses:  to start with key files that others can read, or when its port is taken.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime

import grpc
import structlog

from elsewhere.clock import Clock
from elsewhere.errors import ConfigInvalid, ElsewhereError, GatewayDraining, NotActive
from elsewhere.fields import format_instant
from elsewhere.keyfiles import read_secret
from elsewhere.wire.channel import SERVER_OPTIONS
from elsewhere.wire.health import Health
from elsewhere.wire.socket_path import SocketAddress
from elsewhere.wire.tls import certificate_end
from elsewhere.wire.v1 import (
    catalogue_pb2_grpc,
    directory_pb2_grpc,
    enrolment_pb2_grpc,
    ledger_pb2_grpc,
    link_pb2,
    link_pb2_grpc,
    research_pb2_grpc,
    study_pb2_grpc,
)
from gateway.attach import LinkService
from gateway.catalogues import Catalogues, CatalogueService
from gateway.config import GatewayConfig
from gateway.directory import Directory, Newest
from gateway.directory_service import DirectoryService
from gateway.ends import End, is_soon, nearest
from gateway.folder import (
    CERTIFICATE_FILE,
    TLS_KEY,
    certificate,
    owner_id,
    read_anchor,
    running_alone,
    serving_credentials,
)
from gateway.joining import EnrolmentService
from gateway.ledgers import Ledgers, LedgerService
from gateway.links import Link, Links
from gateway.lookups import Limits, Lookups
from gateway.mirror import Mirror
from gateway.store import Store
from gateway.studies.attending import Attending, StudyService
from gateway.studies.service import ResearchService
from gateway.timing import Alarm, LoopTiming

TELL_END_S = 86_400.0
HEALTH_SOCKET = "health.sock"
SEEN_S = 60.0  # how often the attached agencies are written down, for a gateway that is killed

_log = structlog.get_logger("elsewhere.gateway")


class Gateway:
    """One gateway process. `start`, then `serve` until `stop` is called, by a signal or by a test."""

    def __init__(self, config: GatewayConfig, *, clock: Clock) -> None:
        self._config = config
        self._renewed: bytes | None = None  # the gateway's own certificate, until it is shown
        self._credentials = serving_credentials(config, now=clock(), renewed=self._take_renewed)
        self._certificate = (config.dir / CERTIFICATE_FILE).read_bytes()
        timing = self._timing = LoopTiming(clock)
        self._store = Store(config.store_url, config.store_password)
        try:
            self._store.claim(owner_id(config.dir, secrets.token_bytes))
        except BaseException:
            self._store.close()
            raise
        self.directory = Directory(config.dir, self._store, timing, push_s=config.push_ms / 1000)
        self.links = Links(
            timing,
            beat_ms=config.link.beat_ms,
            last_seen=self._store.last_seen(),
            left=self._left,
            most=config.link.of_agency,
        )
        limits = Limits(of_agency=config.lookup.of_agency, of_all=config.lookup.of_all)
        self.lookups = Lookups(self.links, timing, random=secrets.token_bytes, limits=limits)
        self.catalogues = Catalogues(config.dir / "catalogues", self._store, config.catalogue, self.directory)
        mirror = Mirror(config.dir / "logs", config.log.quota_mb * 2**20)
        self.ledgers = Ledgers(mirror, self._store, self.directory)
        self.attending = Attending()
        for custodian in {name.custodian for name, _ in self.catalogues.newest()}:
            self.catalogues.drop_unstated(custodian)  # what a crash has kept it from
        for name, version in self.catalogues.newest():
            self.directory.show_catalogue(name, version)
        self._is_store_well = True
        self._health = Health(
            {
                "elsewhere.wire.v1.LinkService": self._is_relaying,
                "elsewhere.wire.v1.DirectoryService": self._is_keeping,
                "elsewhere.wire.v1.CatalogueService": self._is_keeping,
                "elsewhere.wire.v1.LedgerService": self._is_keeping,
                "elsewhere.wire.v1.ResearchService": self._is_relaying,
                "elsewhere.wire.v1.StudyService": self._is_relaying,
            }
        )
        # Made only to be started: gRPC 1.85 can bring the process down when one that never was is collected.
        self._server: grpc.aio.Server
        self._local: grpc.aio.Server  # for this machine's own account, which has no certificate
        self._stopped = asyncio.Event()
        self._alarms: dict[str, Alarm] = {}
        self.port = 0

    def _build_server(self) -> grpc.aio.Server:
        """Register the services."""
        link = self._config.link
        bounds = (
            ("grpc.max_allowed_incoming_connections", link.connections),
            ("grpc.server_handshake_timeout_ms", round(link.handshake_s * 1000)),
        )
        server = grpc.aio.server(options=(*SERVER_OPTIONS, *bounds))
        link_pb2_grpc.add_LinkServiceServicer_to_server(
            LinkService(
                self.links,
                self.lookups,
                self.directory,
                config=link,
                timing=self._timing,
            ),
            server,
        )
        directory_pb2_grpc.add_DirectoryServiceServicer_to_server(
            DirectoryService(self.directory, self.catalogues, self._config.dir), server
        )
        catalogue_pb2_grpc.add_CatalogueServiceServicer_to_server(
            CatalogueService(self.catalogues, self.directory, fetches=self._config.catalogue.fetches), server
        )
        ledger_pb2_grpc.add_LedgerServiceServicer_to_server(
            LedgerService(self.ledgers, self.directory), server
        )
        enrolment_pb2_grpc.add_EnrolmentServiceServicer_to_server(
            EnrolmentService(self.directory, self._config.dir, self._timing), server
        )
        study_pb2_grpc.add_StudyServiceServicer_to_server(
            StudyService(self.attending, self.directory, self._timing), server
        )
        research = ResearchService(self.attending, self.directory, self._config, self._timing)
        research_pb2_grpc.add_ResearchServiceServicer_to_server(research, server)
        self._health.add_to(server)
        return server

    async def start(self) -> None:
        """Listen. `port` then tells where.

        Raises:
            ConfigInvalid: the address cannot be listened on.
        """
        self._server, self._local = self._build_server(), grpc.aio.server()
        self._health.add_to(self._local)
        try:
            self.port = self._server.add_secure_port(self._config.listen, self._credentials)
        except RuntimeError:
            raise ConfigInvalid(
                f"expected to listen on {self._config.listen}; it is taken or not ours"
            ) from None
        await self._server.start()
        await self._listen_locally()
        self.directory.watch(
            self._config.poll_s,
            push=self._show,
            tell=self._tell,
            drop=self._drop,
        )
        self._note_seen()
        self._tell_end()
        _log.info("gateway listening", port=self.port)

    async def serve(self) -> None:
        """Wait for `stop`, let the lookups under way end, then end links and calls."""
        await self._stopped.wait()
        self.lookups.is_closing = True
        idle = asyncio.Event()
        self.lookups.when_idle(idle.set)
        try:
            async with asyncio.timeout(self._config.drain_s):
                await idle.wait()
        except TimeoutError:
            _log.warning("drain ended early", under_way=self.lookups.under_way)
        self.links.end_all(GatewayDraining("the gateway is going down"))
        self.attending.end_all(GatewayDraining("the gateway is going down"))
        await asyncio.gather(self._server.stop(grace=1), self._local.stop(grace=1))
        (self._config.dir / HEALTH_SOCKET).unlink(missing_ok=True)
        self.directory.unwatch()
        for alarm in self._alarms.values():
            alarm.cancel()
        self._store.close()
        _log.info("gateway stopped")

    def stop(self) -> None:
        """Begin the end."""
        self._stopped.set()

    async def _listen_locally(self) -> None:
        """Tell of health on a socket that only this account can open."""
        path = self._config.dir / HEALTH_SOCKET
        path.unlink(missing_ok=True)
        before = os.umask(0o177)  # as gRPC binds, so that there is no moment at which others could connect
        try:
            with SocketAddress(path) as address:
                self._local.add_insecure_port(address.target)
        finally:
            os.umask(before)
        await self._local.start()

    def _is_relaying(self) -> bool:
        """Whether members may attach and ask: not while it ends, nor on a roster that has run out."""
        is_in_force = self._timing.utc_now() < self.directory.roster.valid_until_utc
        return is_in_force and not self.lookups.is_closing and not self._stopped.is_set()

    def _is_keeping(self) -> bool:
        """Whether what is published can be kept as well."""
        return self._is_store_well and self._is_relaying()

    def _show(self, frame: link_pb2.AttachResponse) -> None:
        """Send a changed directory down every link."""
        for link in self.links.all():
            link.show_directory(frame)

    def _tell(self, newest: Newest) -> None:
        """Send notices of catalogues down every link."""
        for link in self.links.all():
            link.show_catalogues(newest)

    def _drop(self, agencies: frozenset[str]) -> None:
        """End the links of agencies that the roster no longer lists as active."""
        for agency in agencies:
            self.links.end_all(NotActive(agency, "not active"), agencies=[agency])
            self.attending.end_all(NotActive(agency, "not active"), agencies=[agency])

    def _left(self, link: Link) -> None:
        """Settle what a link leaves behind, and note the departure of an agency that has no other."""
        self.lookups.lost(link)
        absence = self.links.absence(link.agency)
        if self.links.get(link.agency) is None and absence is not None and absence.since_utc is not None:
            self._put_seen({link.agency: absence.since_utc})  # the very time that askers are told

    def _note_seen(self) -> None:
        """Write down who is attached, so that a gateway that is killed still knows since when."""
        now = self._timing.utc_now()
        self._put_seen({link.agency: now for link in self.links.all()})
        self._alarms["seen"] = self._timing.later(SEEN_S, self._note_seen)

    def nearest_end(self) -> End:
        """What runs out first of all that this gateway serves with."""
        own = End("certificate", certificate_end(self._certificate))
        return nearest([*self.directory.ends(), own])

    def renew_certificate(self) -> None:
        """Take up a newer certificate of this gateway for connections to come, made here if it is time."""
        before = self._certificate
        try:
            tls_key_pem = read_secret(self._config.dir / TLS_KEY)
            anchor, now = read_anchor(self._config.dir), self._timing.utc_now()
            self._certificate = certificate(self._config, anchor, tls_key_pem, now=now)
        except ElsewhereError as err:
            _log.error("certificate not renewed", code=err.code)
        if self._certificate != before:
            self._renewed = self._certificate

    def _take_renewed(self) -> bytes | None:
        """A newer certificate, once."""
        found, self._renewed = self._renewed, None
        return found

    def _tell_end(self) -> None:
        """Say at the start and once a day what runs out first: members could not ask each other any more."""
        self.renew_certificate()
        end = self.nearest_end()
        say = _log.warning if is_soon(end, self._timing.utc_now()) else _log.info
        say("runs out first", what=end.what, end=format_instant(end.at), remedy=end.remedy)
        self._alarms["end"] = self._timing.later(TELL_END_S, self._tell_end)

    def _put_seen(self, seen: Mapping[str, datetime]) -> None:
        """Write down times of contact; a full disk is no reason to stop relaying."""
        try:
            self._store.put_seen(seen)
            self._is_store_well = True
        except ElsewhereError as err:
            self._is_store_well = False
            _log.error("times of contact not kept", code=err.code)


async def run(config: GatewayConfig, *, clock: Clock, ready: Callable[[Gateway], None]) -> None:
    """Run a gateway until it is told to stop.

    Args:
        config: from `load_config`; port 0 takes any free port.
        clock: aware UTC time.
        ready: called once it listens, with the gateway, whose `port` and `stop` it may use.

    Raises:
        ConfigInvalid, KeyFileExposed, KeyFileMissing, GatewayRunning, StoreTaken: it did not start.
    """
    with running_alone(config.dir):
        gateway = Gateway(config, clock=clock)
        await gateway.start()
        ready(gateway)
        await gateway.serve()
