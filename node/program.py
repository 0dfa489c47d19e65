"""One process of a node as a running program: store, keys, links, catalogues, both sides of a lookup, desk.

Holds:    every part of it, wired together in one place. What all processes of a node share is in its folder
          and its store.
Refuses:  to start without an admission, with an exposed key, or on a store of another version or agency; to
          go on when another has taken its store over.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

import grpc
import structlog

from elsewhere.asking import CustodianAnswer, DeskStatus, ProcessStatus
from elsewhere.catalogue.tags import SHORT_TAG_SIZE
from elsewhere.clock import Clock
from elsewhere.errors import ElsewhereError, NotActive
from elsewhere.oprf.group import library
from elsewhere.random import RandomBytes
from elsewhere.wire.v1 import directory_pb2
from node.answering.custodian import Custodian
from node.answering.guard import make_guard
from node.answering.noticing import Notices
from node.answering.queueing import BEYOND_WORKERS, Pace, Turns
from node.answering.reviewing import Reviews
from node.answering.service import Answering
from node.asking.history import History
from node.asking.questions import QuestionMaker
from node.asking.retrying import Retrier, RetrierParts
from node.asking.rounds import ExchangeParts
from node.asking.searcher import Searcher, SearcherParts
from node.asking.secondlook import SecondLooks
from node.catalogues.own import OwnParts
from node.catalogues.peers import Peers, PeersParts
from node.catalogues.publisher import Publisher, PublisherParts
from node.config import NodeConfig
from node.desk.callers import Callers, make_callers
from node.desk.service import DeskParts, DeskServer, DeskService
from node.desk.tls import load_tls
from node.forgetting import Forgetting
from node.keys.live import open_keys
from node.keys.rotation import Rotation
from node.keys.rotator import Rotator
from node.keys.status import check_on_time
from node.keys.vault import Vault
from node.ledger.parts import LedgerParts
from node.ledger.showing import Showing
from node.ledger.witness import Witness
from node.links.link import Link, LinkParts
from node.links.linked import Linked
from node.membership.directory import DirectoryIntake, IntakeParts
from node.membership.freshness import Freshness, FreshnessParts
from node.membership.hop import ShownHop
from node.membership.renewal import Renewal, RenewalParts
from node.membership.trust import Trust
from node.owning import claim_own, keep_looking, unless_own
from node.pool import Pool
from node.processes.lead import Lead, LeadParts
from node.processes.parts import Parts, Work
from node.processes.place import MAIN, Place
from node.processes.presence import Condition, Presence, processes
from node.store.engine import open_store
from node.store.writer import Writer
from node.studies.answering import StudyParts
from node.studies.attending import make_attending
from node.studies.tables.reading import Tables
from node.watch import tell_ends, tell_readiness

LOOK_AT_KEYS_S = 1.0
_log = structlog.get_logger(__name__)


class Node:
    """One process of a node that can be started and stopped, by the command line or inside a test."""

    def __init__(self, config: NodeConfig, *, clock: Clock, random: RandomBytes, process: str = MAIN) -> None:
        self.config, self._clock = config, clock
        self.place = Place(config.dir, process)
        self.place.make()
        trust = self.trust = Trust.load(config.dir, config.agency)
        desk_tls = load_tls(config, self.trust.anchor.tls_ca_pem)
        callers = make_callers(config, clock)
        self._store = open_store(config.store_url, config.store_password)
        try:
            self.keys = open_keys(config.dir, config.agency, config.keys.schedule(), self._store, clock())
            self._owner = claim_own(self._store, config)
        except BaseException:
            self._store.close()  # a connection left open keeps the store's own node from an upgrade
            raise
        self._writer = Writer(self._store)
        self.presence = Presence(process, self._writer, clock, self._condition)
        gives_way = unless_own(self._owner, self.presence.is_cut_off)
        self.lead = Lead(LeadParts(self._store, self._writer, process, yields=gives_way))
        workers = config.lookup.workers or os.cpu_count() or 1
        self._pool = Pool(workers)
        self.rotation = Rotation(self.keys, self._store, clock, random, self.lead.check_now, trust.own_key)
        self.rotator = Rotator(
            config.dir,
            self.rotation.step,
            lambda: check_on_time(config.dir, config.keys.schedule(), clock()),
        )
        # Catalogues may take seconds; they must not keep lookups from the cores' own threads.
        self._background = ThreadPoolExecutor(2, "catalogues")
        self.parts = Parts()
        self.publisher = Publisher(self._publisher_parts(random))
        self.custodian = Custodian(
            keys=self.keys,
            guard=make_guard(config, self.trust),
            store=self._store,
            clock=clock,
            random=random,
        )
        # On each link of its own: one gateway's noise in a member's name must not use up another's.
        pace = Pace(config.lookup.others_per_s, config.lookup.others_burst)
        self.answering = Answering(
            self.custodian,
            self._writer,
            self._pool,
            config.lookup.redeem_tick_ms / 1000,
            Turns(workers + BEYOND_WORKERS, pace),
        )
        places = range(len(config.gateways))
        self._intakes = [DirectoryIntake(self._intake_parts(place, random)) for place in places]
        self._hop = ShownHop(config.dir, self.trust.anchor.tls_ca_pem)
        self._linked = Linked(self._link_parts(random), self.parts.begin)
        self.renewal = Renewal(self._renewal_parts())
        self.showing = Showing(self._ledger_parts(), config.log.show_s)
        self.witness = Witness(self._ledger_parts(), config.log.watch_s)
        self.studies = make_attending(config, self._study_parts(random), self._sources())
        self.peers = Peers(self._peers_parts(random))
        history = self._history = History(Vault(self.keys.view.ring.local), random)
        self.retrier = Retrier(
            RetrierParts(
                self.trust,
                self._store,
                self._writer,
                history,
                clock,
                timedelta(seconds=config.lookup.retry_s),
                timedelta(seconds=config.lookup.review_s),
            )
        )
        self.searcher = Searcher(
            SearcherParts(
                exchange=ExchangeParts(
                    maker=QuestionMaker(self.keys, self.trust, clock, random),
                    peers=self.peers,
                    links=self._linked.attached,
                    pool=self._pool,
                    clock=clock,
                    random=random,
                    deadline_ms=config.lookup.deadline_ms,
                ),
                check_welcome=self.check_welcome,
                writer=self._writer,
                history=history,
                retrier=self.retrier,
                in_flight=config.lookup.in_flight,
            )
        )
        self.desk = DeskServer(
            DeskService(self._desk_parts(callers)),
            self.place.desk_socket,
            desk_tls,
            connections=config.desk.connections,
        )

    async def start(self) -> None:
        """Begin to listen, publish and dial; readiness comes with the first directory and catalogues."""
        # Before anybody can ask: no epoch is stated then that would find nothing of what is there.
        await asyncio.to_thread(self.rotation.withdraw)
        await self.peers.open()
        await self.desk.start()
        leading: list[Work] = [self.publisher.run, self._forget, self._retry, self.rotator.run]
        leading += [self.showing.run, self.witness.run, self.renewal.run, self.studies.run]
        works: list[Work] = [self.lead.run, *(partial(self.lead.during, work) for work in leading)]
        works += [self.presence.run, self.peers.run, self._follow_keys, self._freshen]
        works += [partial(tell_ends, self._ends, self._clock), partial(tell_readiness, self.status)]
        works += [partial(keep_looking, self._store, self._owner)]
        works += [intake.run for intake in self._intakes]
        for work in works:
            self.parts.begin(work)
        self._linked.start()
        _log.info("node.started", agency=self.config.agency, libsodium=library().origin)

    async def stop(self) -> None:
        """Drain: announce it, finish what is at hand, then stop."""
        await self._linked.drain()
        await self.searcher.drain()
        await self.desk.close()
        self.publisher.close()
        await self.peers.close()
        self._linked.close()
        await self.parts.end()
        with contextlib.suppress(ElsewhereError):  # whoever follows waits a moment longer then
            await asyncio.to_thread(self.lead.release)
            await asyncio.to_thread(self.presence.leave)
        self._pool.shutdown()
        self._background.shutdown()
        self._writer.close()
        self._store.close()

    def status(self) -> DeskStatus:
        """Whether a lookup could succeed now, and what is held of whom."""
        now = self._clock()
        members = self.peers.status(now)
        try:
            self.trust.self_member(now)
            is_member = True
        except ElsewhereError:
            is_member = False
        linked = bool(self._linked.attached())
        is_ready = is_member and linked and self.trust.agreement is not None and self.peers.ready(now)
        is_ready = is_ready and self.publisher.is_current
        return DeskStatus(self.config.agency, is_ready, members)

    def answers(self, lookup_id: str) -> list[CustodianAnswer]:
        """What was told so far about an earlier question, late answers included."""
        with self._store.read() as connection:
            return self._history.answers(connection, lookup_id)

    def asker(self, lookup_id: str) -> str | None:
        """Who asked an earlier question; None once it cannot be opened any more."""
        with self._store.read() as connection:
            what = self._history.opening(connection, lookup_id)
        return what.ask.asker if what is not None else None

    def processes(self) -> tuple[ProcessStatus, ...]:
        """Which processes of this node there are; none where the store cannot be read now. Blocks."""
        with contextlib.suppress(ElsewhereError), self._store.read() as connection:
            return processes(connection, self._clock)
        return ()

    def check_welcome(self) -> None:
        """Return unless a gateway turns this node away for what its agency is; raises NotActive.

        A gateway tells a member that was suspended so and no more, hence before the roster that says it can
        come down the link. Its word is good enough to explain why nobody can be asked.
        """
        if not self._linked.attached() and any(link.refusal == NotActive.code for link in self.links):
            raise NotActive(self.config.agency, "not active, as the gateway says")

    def _condition(self) -> Condition:
        return Condition(bool(self._linked.attached()), self.status().is_ready)

    @property
    def links(self) -> Sequence[Link]:
        """The links that are in use, one for each gateway."""
        return self._linked.links

    def _link_parts(self, random: RandomBytes) -> list[LinkParts]:
        process = "" if self.place.process == MAIN else self.place.process
        return [
            LinkParts(
                address,
                self._hop.credentials,
                partial(self.answering.handle, link=address),
                intake,
                self._clock,
                random,
                process,
            )
            for intake, address in zip(self._intakes, self.config.gateways, strict=True)
        ]

    def _renewal_parts(self) -> RenewalParts:
        config, kept = self.config, (self._store, self._linked.channels, self._ledger_parts().key)
        return RenewalParts(config.dir, config.agency, self.trust.anchor.tls_ca_pem, *kept, self._clock)

    def _desk_parts(self, callers: Callers) -> DeskParts:
        kept = (self._store, self._writer, self._clock)
        told = (self.status, self.processes, self.answers, self.asker)
        return DeskParts(self.searcher, callers, *told, Reviews(*kept), SecondLooks(*kept), Notices(*kept))

    def _publisher_parts(self, random: RandomBytes) -> PublisherParts:
        config = self.config
        own = OwnParts(
            agency=config.agency,
            folder=config.dir / "catalogues",
            local=self.keys.view.ring.local,
            signing=lambda: self.keys.view.signing,
            earlier=lambda: self.keys.view.ring.earlier,
            store=self._store,
            writer=self._writer,
            lead=self.lead,
            clock=self._clock,
            random=random,
            delta_tags=config.catalogue.delta_tags,
        )
        return PublisherParts(
            own=own,
            names=lambda: self.keys.view.names,
            trust=self.trust,
            gateways=self._sources(),
            executor=self._background,
            tick_s=config.catalogue.tick_s,
            set_back=partial(self.rotation.withdraw, is_set_back=True),
        )

    def _study_parts(self, random: RandomBytes) -> StudyParts:
        own, kept = self.config.research, (self.trust, self._store, self._writer, lambda: self.keys.view)
        work = (Tables(own, self.config.dir, self._store), self._pool, self._clock, random)
        ledger = (self.showing.is_sure, self.showing.check_newest)
        return StudyParts(self.config.agency, *kept, *work, own.declines, own.per_hour, *ledger)

    def _sources(self) -> list[Callable[[], grpc.aio.Channel | None]]:
        """For each gateway, its channel while it is linked."""
        return [partial(self._channel, place) for place in range(len(self.config.gateways))]

    def _ledger_parts(self) -> LedgerParts:
        return LedgerParts(
            agency=self.config.agency,
            store=self._store,
            writer=self._writer,
            ring=lambda: self.keys.view.ring,
            roster=lambda: self.trust.roster,
            gateways=self._sources(),
            clock=self._clock,
        )

    def _peers_parts(self, random: RandomBytes) -> PeersParts:
        return PeersParts(
            folder=self.place.catalogues,
            local=self.keys.view.ring.local,
            sealing=lambda: self.keys.view.sealing,
            trust=self.trust,
            channels=lambda: self._linked.channels(),
            executor=self._background,
            clock=self._clock,
            random=random,
            max_held_tags=self.config.catalogue.max_held_mb * 2**20 // SHORT_TAG_SIZE,
        )

    def _channel(self, place: int) -> grpc.aio.Channel | None:
        return self._linked.channel(place)

    def _intake_parts(self, place: int, random: RandomBytes) -> IntakeParts:
        return IntakeParts(
            trust=self.trust,
            statement=lambda: self.keys.view.own.envelope,
            channel=partial(self._channel, place),
            random=random,
            tell=partial(self._take_notices, place),
            changed=self._compare,
        )

    def _compare(self) -> None:
        """Have every gateway compared with what is held now."""
        for intake in self._intakes:
            intake.compare()

    def _take_notices(self, place: int, notices: Sequence[directory_pb2.CatalogueNotice]) -> None:
        self.publisher.take_notices(place, notices)
        self.peers.take_notices(notices)

    async def _retry(self) -> None:
        await self.retrier.run(self.searcher.again)

    async def _follow_keys(self) -> None:
        """Take up changed keys and documents, and have every gateway told what is stated now."""
        stated, documents = self.keys.view, (self.trust.roster, self.trust.agreement)
        while True:
            await asyncio.sleep(LOOK_AT_KEYS_S)
            await asyncio.to_thread(self.trust.look)
            if (self.trust.roster, self.trust.agreement) != documents:
                documents = self.trust.roster, self.trust.agreement
                self._compare()
                self.rotator.look_soon()
            await asyncio.to_thread(self.keys.look)
            if self.keys.view is not stated:
                if self.keys.view.signing.key_id != stated.signing.key_id:
                    self.publisher.make_soon()
                stated = self.keys.view
                for intake in self._intakes:
                    intake.restate()
            if await asyncio.to_thread(self._hop.look):
                self._linked.renew(self._hop.credentials)

    async def _forget(self) -> None:
        shared = (self.config.dir, self._store, self._writer, self._history)
        await Forgetting(*shared, self.peers.may_hold, self._clock).run()

    async def _freshen(self) -> None:
        kept = (self.keys.newest, self._writer, self._sources(), self._clock)
        await Freshness(FreshnessParts(self.trust, *kept)).run()

    def _ends(self) -> dict[str, datetime]:
        """What this node cannot work without, and when it runs out."""
        ends = {"roster": self.trust.roster.valid_until_utc, "certificate": self._hop.shown.ends_utc}
        if self.trust.agreement is not None:
            ends["agreement"] = self.trust.agreement.validity.valid_until
        return ends
