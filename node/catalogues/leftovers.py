"""Copies of others' catalogues in the folders of processes that do not run: nobody there drops them in time.

Promises: what a process that runs has is left to it; a process that starts meanwhile waits for nothing long.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from node.catalogues.holding import CatalogueName
from node.catalogues.peer_files import drop_kept, kept_names
from node.errors import NodeRunning
from node.processes.place import MAIN, Place, other_places

_log = structlog.get_logger(__name__)


def drop_leftovers(node: Path, known: frozenset[str], may_hold: Callable[[CatalogueName], bool]) -> None:
    """Remove what may be held no longer, and all that a process left which is not known any more. Blocks.

    Args:
        node: the node's folder.
        known: names of processes that run, or did a day ago.
        may_hold: whether a copy may be held now: its key is in force, its custodian an active member.
    """
    for place in (Place(node, MAIN), *other_places(node)):
        is_known = place.process in known
        gone = [name for name in kept_names(place.catalogues) if not (is_known and may_hold(name))]
        if not gone:
            continue
        try:
            with place.alone():  # nobody begins to use them meanwhile
                for name in gone:
                    drop_kept(place.catalogues, name)
        except NodeRunning:
            continue
        _log.info("process.copies_dropped", process=place.process, count=len(gone))
