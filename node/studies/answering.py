"""One node's part in studies: take part or not, then at most one share a query, charged before it leaves.

Holds:    for each query prepared, an X25519 key and drawn secrets, in memory only, until its share is made.
Sees:     queries of researchers, prepares of other members, and this agency's own counts.
Refuses:  what the agreement, this agency's policy or its budget does not bear out; a second roster for one
          query; to go on when ledger or clock cannot be trusted.
Promises: whether it takes part never depends on what the data say. The charge is durable before the share
          leaves, and the same roster asked again gets the same bytes.
Source:   docs/protocol.md, "Studies"; docs/privacy-proof.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final, Protocol, TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from elsewhere.agreement.terms import Agreement
from elsewhere.clock import Clock
from elsewhere.errors import LogUnavailable, NotActive, RosterExpired
from elsewhere.pace import Pace
from elsewhere.random import RandomBytes
from elsewhere.research.budget import BudgetStatement, open_budget_request, sign_budget
from elsewhere.research.cost import charge_of, check_charge
from elsewhere.research.errors import AgreementRefused
from elsewhere.research.query import Query, check_terms, open_query, terms_of
from elsewhere.research.question import Question
from elsewhere.sealing import SealingPublic
from elsewhere.securesum.masks import mask
from elsewhere.securesum.noise import noised, share_scale
from elsewhere.securesum.prepare import sign_prepare
from elsewhere.securesum.rounds import FixedRoster, Preparing, fix_roster
from elsewhere.securesum.share import Share, sign_share
from node.keys.live import KeyView
from node.membership.trust import Trust
from node.pool import Pool
from node.store.engine import Store
from node.store.writer import Writer
from node.studies import budget, logged
from node.studies.budget import Caps, Charge, Left, Spender
from node.studies.errors import (
    LedgerUnwritten,
    LocalVeto,
    NotMapped,
    NotMember,
    NotPrepared,
    QueryAnswered,
    SecondRoster,
    TooManyStudies,
)

EVERY: Final = "*"
AT_ONCE: Final = 64  # queries prepared and not yet answered
COUNTS: Final = 2  # tables counted at once
HOUR_S: Final = 3600
T = TypeVar("T")
_log = structlog.get_logger(__name__)


class Tables(Protocol):
    """This agency's own tables, as `node.studies.tables` reads them."""

    def holds(self, question: Question) -> bool:
        """Whether the table and every column that a question names are mapped."""
        ...

    def vector(self, question: Question) -> list[int]:
        """Count exactly, each child within the table's clamp. Blocks."""
        ...


@dataclass(frozen=True, slots=True)
class StudyParts:
    """What taking part needs."""

    agency: str
    trust: Trust
    store: Store
    writer: Writer
    keys: Callable[[], KeyView]  # as they are now
    tables: Tables
    pool: Pool
    clock: Clock
    random: RandomBytes
    declines: Sequence[str]  # projects in which this agency takes no part; "*": all of them
    per_hour: int  # queries of one researcher
    is_sure: Callable[[], Awaitable[bool]]  # whether it is known by now if this node's log is the newest
    check_ledger: Callable[[], None]  # raises LedgerSetBack where this node's log is not the newest there is


@dataclass(frozen=True, slots=True)
class Prepared:
    """What leaves with a yes."""

    prepare: bytes
    seals: Mapping[str, bytes] = field(repr=False)


@dataclass(slots=True, eq=False)
class _Open:
    """A query that was prepared."""

    preparing: Preparing
    expires: datetime
    answering: tuple[bytes, asyncio.Task[bytes]] | None = None  # for which roster, while it is under way


class Studies:
    """Takes part. All calls on the event loop of one process, the one that leads."""

    def __init__(self, parts: StudyParts) -> None:
        self._parts = parts
        self._open: dict[bytes, _Open] = {}
        self._pace = Pace(parts.per_hour, HOUR_S / parts.per_hour)
        self._is_restored = False  # whether every charge that the log holds is in the budget
        # Threads of its own: a slow table keeps no thread from lookups, which share the event loop's.
        self._counting = ThreadPoolExecutor(COUNTS, thread_name_prefix="counting")

    async def prepare(self, qid: bytes, envelope: bytes) -> Prepared:
        """Say that this node takes part in a query.

        Args:
            qid: as the gateway names it; it must be the query's own.
            envelope: the researcher's signed query.

        Raises:
            ElsewhereError: nothing was charged, and no data read.
        """
        parts, now = self._parts, self._parts.clock()
        self._open = {one: held for one, held in self._open.items() if held.expires > now}
        query, agreement = self._verified(qid, envelope, now)
        await self._restore()
        if qid in self._open:
            # A second key for one query would be a second mask for one share.
            raise QueryAnswered("expected a query that was not prepared before; ask with a new one")
        if not self._pace.take(query.researcher, now.timestamp()):
            raise TooManyStudies(f"expected at most {parts.per_hour} queries of one researcher in an hour")
        self._make_room()
        caps, spender = caps_of(agreement, query.project), Spender(query.project, query.researcher)
        cost = await self._do(partial(charge_of, query))
        check_charge(cost)
        read = partial(budget.read_left, spender=spender, caps=caps, now=now)
        left = await asyncio.to_thread(self._read, partial(_afford, qid=qid, cost=cost, read=read))
        after = [agency for agency in query.participants if agency > parts.agency]
        sealing = {agency: self._sealing_key(agency, now) for agency in after}
        preparing = Preparing.begin(parts.agency, qid, sealing, left_nrho=left, random=parts.random)
        self._open[qid] = _Open(preparing, query.expires_utc)
        return Prepared(sign_prepare(parts.keys().signing, preparing.prepare), preparing.seals)

    async def commit(
        self, qid: bytes, envelope: bytes, prepares: Sequence[bytes], seals: Mapping[str, bytes]
    ) -> bytes:
        """Charge, and give this node's share for one roster.

        Args:
            qid: as the gateway names it.
            envelope: the researcher's signed query.
            prepares: what every participant signed.
            seals: what others sealed to this node, by who did.

        Returns: the signed share; the same bytes whenever the same roster is asked for again.

        Raises:
            ElsewhereError: nothing was charged.
        """
        parts, now = self._parts, self._parts.clock()
        query, agreement = self._verified(qid, envelope, now)
        terms = terms_of(query, qid, agreement, parts.trust.roster)
        roster = await self._do(partial(fix_roster, terms, prepares, parts.trust.roster))
        held = self._open.get(qid)
        if held is None:
            kept = await asyncio.to_thread(self._read, partial(budget.read_kept, qid=qid))
            if kept is None:
                raise NotPrepared("expected a query that this node has prepared")
            return _again(kept, roster)
        if held.answering is None:
            keys = held.preparing.mask_keys(roster, seals, parts.keys().sealing)
            is_holder = _is_holder(parts.agency, agreement, query)
            count = partial(parts.tables.vector, query.question) if is_holder else partial(_zeros, query)
            work = asyncio.create_task(self._answer(held, roster, envelope, (count, keys)))
            held.answering = roster.rh, work
        rh, work = held.answering
        if rh != roster.rh:
            raise SecondRoster("expected the roster that this query is being answered for; this is another")
        return await asyncio.shield(work)  # whoever asked may go away and ask again meanwhile

    async def _answer(
        self,
        held: _Open,
        roster: FixedRoster,
        envelope: bytes,
        work: tuple[Callable[[], list[int]], Mapping[str, bytes]],
    ) -> bytes:
        """Count, make the share, and charge it, if the query may still be answered by then."""
        qid, (count, keys) = roster.terms.qid, work
        try:
            counts = await asyncio.get_running_loop().run_in_executor(self._counting, count)
            # Counting takes its time. Meanwhile a project may have been closed, or its researcher struck off.
            query, agreement = self._verified(qid, envelope, self._parts.clock())
            made = await self._do(partial(self._make, query, roster, counts, keys))
            await self._put(made, caps_of(agreement, query.project))
        finally:
            held.answering = None
        self._open.pop(qid, None)
        return made.share

    async def state_budget(self, qid: bytes, envelope: bytes) -> bytes:
        """Say what is left for the researcher who asks; raises ElsewhereError."""
        parts, now = self._parts, self._parts.clock()
        agreement = self._agreement(now)
        asked, found = open_budget_request(envelope, agreement)
        asked.check_time(now)
        if found != qid:
            raise QueryAnswered("expected the request that the gateway names")
        await self._restore()
        spender, caps = Spender(asked.project, asked.researcher), caps_of(agreement, asked.project)
        read = partial(budget.read_left, spender=spender, caps=caps, now=now)
        left = await asyncio.to_thread(self._read, read)
        statement = BudgetStatement(parts.agency, qid, left.project, left.researcher, left.node)
        return sign_budget(parts.keys().signing, statement)

    def _make_room(self) -> None:
        """Forget the query that was prepared first and never answered, so that such fill no room for good."""
        if len(self._open) < AT_ONCE:
            return
        idle = [qid for qid, held in self._open.items() if held.answering is None]
        if not idle:
            raise TooManyStudies(f"expected at most {AT_ONCE} queries at once")
        del self._open[idle[0]]

    def _verified(self, qid: bytes, envelope: bytes, now: datetime) -> tuple[Query, Agreement]:
        """A query that this node may answer, as far as can be said without its ledger and data."""
        parts, agreement = self._parts, self._agreement(now)
        query, found = open_query(envelope, agreement)
        if found != qid:
            raise QueryAnswered("expected the query that the gateway names")
        check_terms(query, agreement, parts.trust.roster, now=now)
        if parts.agency not in query.participants:
            raise NotMember("expected a query that names this agency")
        if {query.project, EVERY} & set(parts.declines):
            raise LocalVeto("expected a project in which this agency takes part; its own policy does not")
        if _is_holder(parts.agency, agreement, query) and not parts.tables.holds(query.question):
            # Before anybody is charged; it looks at settings alone.
            raise NotMapped("expected a mapping of the table and its columns, which this agency is to hold")
        parts.check_ledger()
        return query, agreement

    def _agreement(self, now: datetime) -> Agreement:
        """The agreement in force, if it binds this agency."""
        parts = self._parts
        try:
            parts.trust.self_member(now)
        except (NotActive, RosterExpired):
            raise NotMember("expected this agency to be an active member on a current roster") from None
        agreement = parts.trust.agreement
        if agreement is None or parts.agency not in agreement.signed_by:
            raise AgreementRefused("expected an agreement that this agency's steward has signed")
        return agreement

    def _sealing_key(self, agency: str, now: datetime) -> SealingPublic:
        """What to seal to: the newest key that another member states and that is still good."""
        self._parts.trust.member(agency, now)
        statement = self._parts.trust.statements.get(agency)
        keys = [entry for entry in statement.sealing_keys if entry.not_after_utc > now] if statement else []
        if not keys:
            raise NotMember("expected a sealing key of every participant; one states none")
        return max(keys, key=lambda entry: entry.not_after_utc).public

    def _make(
        self, query: Query, roster: FixedRoster, counts: Sequence[int], keys: Mapping[str, bytes]
    ) -> Charge:
        """Add noise, hide it, and sign."""
        parts, now = self._parts, self._parts.clock()
        scale = share_scale(
            sigma=query.sigma,
            sensitivity_squared=query.sensitivity_squared,
            operators=roster.operators,
            colluding=query.colluding,
            floor_nrho=query.floor_nrho,
        )
        body = mask(noised(counts, scale), parts.agency, keys)
        spender, cost = Spender(query.project, query.researcher), charge_of(query)
        facts = budget.facts_of(roster.terms.qid, roster.rh, query.question.to_json(), list(keys))
        entry = budget.make_entry(facts, spender, cost, now, parts.random)
        share = Share(parts.agency, roster.terms.qid, roster.rh, body, entry.digest)
        signed = sign_share(parts.keys().signing, share)
        return Charge(roster.terms.qid, roster.rh, spender, cost, query.expires_utc, signed, entry)

    async def _put(self, made: Charge, caps: Caps) -> None:
        """Make it durable."""
        change = partial(budget.put_charge, made=made, caps=caps, now=self._parts.clock())
        try:
            await self._write(change)
        except IntegrityError:
            raise QueryAnswered("expected a query that has no share yet; another process gave one") from None

    async def _restore(self) -> None:
        """See to it, once a process, that the budget holds every charge that the log holds."""
        if self._is_restored:
            return
        count = await self._write(logged.restore)
        if count:
            _log.error("studies.charges_restored", count=count)
        self._is_restored = True

    async def _write(self, change: Callable[[Connection], T]) -> T:
        """Have something made durable."""
        self._parts.check_ledger()
        try:
            return await self._parts.writer.run(change)
        except IntegrityError:
            raise
        except (LogUnavailable, SQLAlchemyError):
            raise LedgerUnwritten("expected to make the charge durable; the store takes nothing") from None

    async def _do(self, step: Callable[[], T]) -> T:
        """Have a step done on a thread: arithmetic of milliseconds."""
        return await asyncio.wrap_future(self._parts.pool.submit(step))

    def _read(self, what: Callable[[Connection], T]) -> T:
        with self._parts.store.read() as connection:
            return what(connection)


def caps_of(agreement: Agreement | None, project: str) -> Caps:
    """The caps that an agreement sets for a project; raises AgreementRefused for none."""
    research = agreement.research if agreement is not None else None
    found = research.project(project) if research is not None else None
    if research is None or found is None:
        raise AgreementRefused("expected a project of the agreement")
    return Caps(found.cap_nrho, found.researcher_cap_nrho, research.node_cap_nrho, research.period)


def _is_holder(agency: str, agreement: Agreement, query: Query) -> bool:
    """Whether an agency is to hold the table that a query asks."""
    held = agreement.research.table(query.question.table) if agreement.research is not None else None
    return held is not None and agency in held.holders


def _zeros(query: Query) -> list[int]:
    """What an agency adds that does not hold the table, and takes part all the same."""
    return [0] * query.width


def _afford(connection: Connection, qid: bytes, cost: int, read: Callable[[Connection], Left]) -> int:
    """Check that a query can be paid for; gives what would be left."""
    if budget.read_kept(connection, qid) is not None:
        raise QueryAnswered("expected a query that was not answered before; ask with a new one")
    left = read(connection)
    budget.check_affordable(left, cost)
    return left.least - cost


def _again(kept: budget.Kept, roster: FixedRoster) -> bytes:
    """The share that was given before, to the same roster only."""
    if kept.rh != roster.rh:
        # The difference of two sums over different rosters is one node's answer with little noise.
        raise SecondRoster("expected the roster that this query was answered for; this is another")
    if kept.share is None:
        raise QueryAnswered("expected a query that has not run out")
    return kept.share
