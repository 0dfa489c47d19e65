"""Whether this agency's own store can answer under an epoch: else "nothing returned" would be untrue.

Sees:     which sets the newest load is tagged in, which catalogue versions were made and stated, and up to
          which load; no record, no tag.
Refuses:  an epoch in which not every record in force is tagged by these match keys under the key held, as in
          a store that was restored from before the epoch, or came from another node, or that a load was
          brought into that a change of keys had overtaken. To answer before anything was loaded or once
          every source was dropped, and once something has been loaded for long that no stated catalogue
          shows, whatever keeps it.
Promises: one indexed read, the same whatever is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, bindparam, exists, func, select

from elsewhere.canonical import parse_canonical
from elsewhere.database.ready import Ready
from elsewhere.lookup import Decision, EvaluateRequest, Head, Ruling
from elsewhere.matchkeys import version
from elsewhere.signing import unverified_payload
from elsewhere.statement import CATALOGUE_STATEMENT_TYPE
from node.errors import CatalogueAhead, CatalogueOverdue, RecordsMissing, RecordsUntagged
from node.store.caseload import DONE, load, load_set, source, tag_set
from node.store.exchange import published, published_piece


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of an agency's own records before it answers."""

    publish_within: timedelta  # until what was loaded is in the catalogue that it states
    asks_only: bool  # it holds no records, and says so


def find_unready(
    connection: Connection, request: EvaluateRequest, key: bytes, expected: Expected, now: datetime
) -> Ruling | None:
    """Say why a question cannot be answered from this store; None where it can.

    Args:
        connection: the one on which the rest of the question is decided, so that all see one state.
        request: signed by its searcher, which may still lie about what it holds: that harms nobody else.
        key: digest of the key that is held for the epoch asked under.
        expected: of this agency.
        now: aware UTC time.
    """
    found = _read(connection, request, key)
    if not found.sources and not expected.asks_only:
        remedy = "that agency has not loaded its records yet; call its duty desk"
        return Ruling(Decision.ERROR, RecordsMissing.code, remedy=remedy)
    if not _is_tagged(found):
        remedy = "that agency's records are not all tagged under the key it states; call its duty desk"
        return Ruling(Decision.ERROR, RecordsUntagged.code, remedy=remedy)
    if _is_ahead(request.held, found):
        # So it says. If it is true our store was set back, and "nothing returned" would mislead it.
        remedy = "a newer catalogue of that agency is held here than it knows of; call its duty desk"
        return Ruling(Decision.ERROR, CatalogueAhead.code, remedy=remedy)
    if found.waits_since is not None and now.timestamp() - found.waits_since > _seconds(expected):
        # Whatever the reason, and whoever's fault: of a child in that load nothing would be found.
        remedy = "that agency has loaded records that nobody can find yet; call its duty desk"
        return Ruling(Decision.ERROR, CatalogueOverdue.code, remedy=remedy)
    return None


def _is_ahead(held: Head, found: Any) -> bool:
    """Whether a searcher holds a version of our catalogue that this store has not made.

    A version that is stated is compared by the searcher itself. One above it may be on its way to the
    gateways, or be of a store that came after this one: then its number may be made here a second time.
    """
    if held.version > (found.made or 0):
        return True
    if held.version <= (found.stated or 0) or found.held is None:
        return False
    statement = parse_canonical(unverified_payload(found.held, CATALOGUE_STATEMENT_TYPE))
    return not isinstance(statement, dict) or statement.get("root") != held.root.hex()


def is_tagged(connection: Connection, request: EvaluateRequest, key: bytes) -> bool:
    """Whether every record in force is tagged under the key of a question's epoch by these match keys."""
    return _is_tagged(_read(connection, request, key))


def _read(connection: Connection, request: EvaluateRequest, key: bytes) -> Any:
    asked = {"collection": request.collection, "epoch": request.epoch, "key": key}
    asked["held"] = request.held.version
    return _state().row(connection, asked)


def _seconds(expected: Expected) -> float:
    return expected.publish_within.total_seconds()


def _is_tagged(found: Any) -> bool:
    """Before the first load there is nothing to be tagged."""
    return found.current is None or (found.rules == version() and found.is_in_set)


@cache
def _state() -> Ready:
    """The statement, built once."""
    newest = select(func.max(load.c.id)).where(load.c.state == DONE).scalar_subquery()
    in_set = exists().where(
        load_set.c.load_id == newest,
        load_set.c.set_id == tag_set.c.id,
        *_is_asked(tag_set),
        tag_set.c.key_digest == bindparam("key"),
    )
    # The first load of which something is in no version that is stated; before one is, nobody can look there.
    waits = select(func.min(load.c.finished_utc)).where(
        load.c.state == DONE,
        load.c.id > published.c.stated_load,
        published.c.stated_version.is_not(None),
        *_is_asked(published),
    )
    return Ready(
        select(
            newest.label("current"),
            select(func.count()).select_from(source).scalar_subquery().label("sources"),
            waits.scalar_subquery().label("waits_since"),
            select(load.c.rules).where(load.c.id == newest).scalar_subquery().label("rules"),
            in_set.label("is_in_set"),
            select(published.c.version).where(*_is_asked(published)).scalar_subquery().label("made"),
            select(published.c.stated_version).where(*_is_asked(published)).scalar_subquery().label("stated"),
            select(published_piece.c.statement)
            .where(*_is_asked(published_piece), published_piece.c.version == bindparam("held"))
            .scalar_subquery()
            .label("held"),
        )
    )


def _is_asked(table: Table) -> list[ColumnElement[bool]]:
    """The collection and epoch of the question."""
    return [table.c[name] == bindparam(name) for name in ("collection", "epoch")]
