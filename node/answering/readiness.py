"""Whether this agency's own store can answer under an epoch: else "nothing returned" would be untrue.

Sees:     which sets the newest load is tagged in and which catalogue versions were made; no record, no tag.
Refuses:  an epoch in which not every record in force is tagged by these match keys under the key held, as in
          a store that was restored from before the epoch, or came from another node, or that a load was
          brought into that a change of keys had overtaken.
Promises: one indexed read, the same whatever is asked.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, bindparam, exists, func, select

from elsewhere.database.ready import Ready
from elsewhere.lookup import Decision, EvaluateRequest, Ruling
from elsewhere.matchkeys import version
from node.errors import CatalogueAhead, RecordsUntagged
from node.store.caseload import DONE, load, load_set, tag_set
from node.store.exchange import published


def find_unready(connection: Connection, request: EvaluateRequest, key: bytes) -> Ruling | None:
    """Say why a question cannot be answered from this store; None where it can.

    Args:
        connection: the one on which the rest of the question is decided, so that all see one state.
        request: signed by its searcher, which may still lie about what it holds: that harms nobody else.
        key: digest of the key that is held for the epoch asked under.
    """
    found = _read(connection, request, key)
    if not _is_tagged(found):
        remedy = "that agency's records are not all tagged under the key it states; call its duty desk"
        return Ruling(Decision.ERROR, RecordsUntagged.code, remedy=remedy)
    if request.held.version > (found.made or 0):
        # So it says. If it is true our store was set back, and "nothing returned" would mislead it.
        remedy = "a newer catalogue of that agency is held here than it knows of; call its duty desk"
        return Ruling(Decision.ERROR, CatalogueAhead.code, remedy=remedy)
    return None


def is_tagged(connection: Connection, request: EvaluateRequest, key: bytes) -> bool:
    """Whether every record in force is tagged under the key of a question's epoch by these match keys."""
    return _is_tagged(_read(connection, request, key))


def _read(connection: Connection, request: EvaluateRequest, key: bytes) -> Any:
    asked = {"collection": request.collection, "epoch": request.epoch, "key": key}
    return _state().row(connection, asked)


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
    return Ready(
        select(
            newest.label("current"),
            select(load.c.rules).where(load.c.id == newest).scalar_subquery().label("rules"),
            in_set.label("is_in_set"),
            select(published.c.version).where(*_is_asked(published)).scalar_subquery().label("made"),
        )
    )


def _is_asked(table: Table) -> list[ColumnElement[bool]]:
    """The collection and epoch of the question."""
    return [table.c[name] == bindparam(name) for name in ("collection", "epoch")]
