"""A node works with its own store: every command looks whose it is, a running process again and again.

Sees:     ids of agency, federation and signing key; no record.
Refuses:  another's store; to take a store over that a process still works with.
Promises: a store has an owner from the first load, start or upgrade on. One that changes hands says so in its
          log, and keeps nothing that only the node before could open.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection, delete, func, inspect, select, update
from sqlalchemy.exc import SQLAlchemyError

from elsewhere.database.owning import StoreTaken
from elsewhere.errors import ElsewhereError, KeyFileMissing, NotAdmitted
from elsewhere.signing import key_id
from node.config import NodeConfig
from node.errors import NodeRunning
from node.keys.ring import read_coming, read_earlier, read_signing
from node.ledger import book
from node.membership.trust import read_anchor
from node.processes.lead import LEASE_S
from node.processes.rights import LOADS
from node.store.caseload import ABANDONED, STAGING, load, member, record
from node.store.engine import Store, open_store
from node.store.exchange import opening, waiting
from node.store.owner import Owner, check_owner, claim, is_owner, owner_of, put_owner
from node.store.processes import lease, process

LOOK_EVERY_S: Final = 1.0
_WATCH_EVERY_S: Final = 0.25
_LOADS_SEEN: Final = 4  # the newest: a load under way is among them
_log = structlog.get_logger(__name__)


def whose(config: NodeConfig) -> Owner:
    """Say who a node's folder makes it; of no federation before it is admitted. Raises KeyFileMissing."""
    federation = ""
    with contextlib.suppress(NotAdmitted):
        federation = read_anchor(config.dir).federation_id
    coming = read_coming(config.dir)  # first: a moment later it may be the one in force
    return Owner(
        config.agency,
        federation,
        read_signing(config.dir).key_id,
        coming.key_id if coming is not None else "",
        frozenset(map(key_id, read_earlier(config.dir))),
    )


@contextlib.contextmanager
def open_own(config: NodeConfig, *, claims: bool = False) -> Iterator[Store]:
    """Open a node's own store; it is closed when the block ends.

    Args:
        config: of the node's folder.
        claims: whether a store of nobody is this node's from now on.

    Raises:
        StoreTaken: it is another's.
        StoreUnavailable, StoreExposed, StoreVersionWrong: as `open_store`.
        KeyFileMissing, KeyFileExposed: as `whose`.
    """
    with contextlib.closing(open_store(config.store_url, config.store_password)) as store:
        settle(store, config, claims=claims)
        yield store


def settle(store: Store, config: NodeConfig, *, claims: bool) -> None:
    """Return if a store is this node's or nobody's, as far as its tables say. Arguments as `open_own`."""
    with store.read() as conn:
        if not inspect(conn).has_table("owner"):
            return
        is_free = owner_of(conn) is None
    if is_free and not claims:
        return
    try:
        who = whose(config)
    except KeyFileMissing:
        if is_free:
            return  # the folder is no node yet
        raise
    if claims:
        claim(store, who)
        return
    with store.read() as conn:
        check_owner(conn, who)


def take_over(
    store: Store,
    who: Owner,
    now: datetime,
    *,
    watch_s: float = LEASE_S,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Make a store that another has used this node's.

    Args:
        store: opened.
        who: of a federation.
        now: aware.
        watch_s: how long a process that did not say that it ended is watched for a sign of life.
        sleep: waits some seconds.

    Raises:
        NodeRunning: a process works with it, or loads into it. Nothing was changed.
        StoreUnavailable: the store's server is gone.
    """
    # Where the store is on a server a load is seen by its right, at once; elsewhere by what it writes.
    with store.hold(LOADS) as nobody_loads:
        if not nobody_loads:
            raise NodeRunning(
                "expected no load into this store; one is running. Let it end, or stop it, first"
            )
        _take(store, who, now, (watch_s, sleep))


def _take(store: Store, who: Owner, now: datetime, watching: tuple[float, Callable[[float], None]]) -> None:
    """Take a store over that no server says is being loaded into."""
    watch_s, sleep = watching
    with store.read() as conn:
        seen, may_run = _signs(conn), _may_run(conn)
    for _ in range(int(watch_s / _WATCH_EVERY_S) + 1 if may_run else 0):
        sleep(_WATCH_EVERY_S)
        with store.read() as conn:
            _check_still(conn, seen)
    with store.write() as conn:
        _check_still(conn, seen)
        old = owner_of(conn)
        if old == who:
            return
        put_owner(conn, who)
        # One that was asleep all the while does not come into force.
        conn.execute(update(load).where(load.c.state == STAGING).values(state=ABANDONED))
        # A lead that was asleep, not gone, does nothing more in its term.
        conn.execute(update(lease).values(holder="", number=lease.c.number + 1))
        if old is None:
            return
        book.append(conn, book.make_entry("owner", {"from": {**old.to_row()}, "to": {**who.to_row()}}, now))
        # Only the local key of the node before opens what these hold.
        for table in (waiting, opening):
            conn.execute(delete(table))


def _signs(conn: Connection) -> list[tuple[object, ...]]:
    """What changes while any process works with a store."""
    beats = [tuple(row) for table in (lease, process) for row in conn.execute(select(table).order_by("name"))]
    loads = conn.execute(select(load.c.id, load.c.state).order_by(load.c.id.desc()).limit(_LOADS_SEEN)).all()
    written = (func.max(table.c[key]) for table, key in ((record, "id"), (member, "load_id")))
    return [*beats, *map(tuple, loads), *((conn.execute(select(one)).scalar(),) for one in written)]


def _may_run(conn: Connection) -> bool:
    """Whether a process has not said that it ended: it runs, or it was killed."""
    leads = conn.execute(select(lease.c.name).where(lease.c.holder != "")).first()
    runs = conn.execute(select(process.c.name).where(process.c.has_ended.is_(False))).first()
    loads = conn.execute(select(load.c.id).where(load.c.state == STAGING)).first()
    return any(found is not None for found in (leads, runs, loads))


def _check_still(conn: Connection, seen: list[tuple[object, ...]]) -> None:
    """Return while nothing shows that a process works with a store."""
    if _signs(conn) != seen:
        raise NodeRunning(
            "expected no process at this store; one works with it. Stop the node that has it for good, first"
        )


def claim_own(store: Store, config: NodeConfig) -> Callable[[], Owner]:
    """Have a store of nobody be this node's, as `claim`, for as long as its process runs.

    Returns:
        What says at any moment who this node is, as its signing key may change meanwhile. While the folder
        cannot be read, that is who it was when it last could.
    """
    held = [whose(config)]
    claim(store, held[0])

    def ask() -> Owner:
        with contextlib.suppress(ElsewhereError, OSError):
            held[0] = whose(config)
        return held[0]

    return ask


def unless_own(
    who: Callable[[], Owner], yields: Callable[[Connection], bool]
) -> Callable[[Connection], bool]:
    """Have a lead also give way where the store is another's by now."""
    return lambda conn: yields(conn) or not is_owner(conn, who())


async def keep_looking(store: Store, who: Callable[[], Owner]) -> None:
    """Look whether the store is still this node's, until cancelled.

    Raises:
        StoreTaken: it is another's by now. The process is to stop.
    """
    while True:
        try:
            await asyncio.to_thread(partial(_look, store, who))
        except StoreTaken as err:
            _log.error("store.taken", code=err.code, why=str(err))
            raise
        except (ElsewhereError, SQLAlchemyError) as err:
            _log.warning("store.owner_unsure", code=getattr(err, "code", "store.unavailable"))
        await asyncio.sleep(LOOK_EVERY_S)


def _look(store: Store, who: Callable[[], Owner]) -> None:
    """Raise StoreTaken if a store is another's."""
    with store.read() as conn:
        check_owner(conn, who())
