"""For whoever looks at a node's log: says when lookups could succeed, and when they no longer could.

Promises: one line a change, none while nothing changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from elsewhere.asking import DeskStatus

LOOK_EVERY_S = 1.0
_log = structlog.get_logger(__name__)


async def tell_readiness(status: Callable[[], DeskStatus]) -> None:
    """Look once a second, for ever, and log each change."""
    said: bool | None = None
    while True:
        said = tell_change(status(), said)
        await asyncio.sleep(LOOK_EVERY_S)


def tell_change(found: DeskStatus, said: bool | None) -> bool:
    """Log whether the node is ready if that is not what was said last.

    Args:
        found: the status now.
        said: what was said last; None for nothing yet, when only good news is worth a line.

    Returns:
        What has been said now.
    """
    if found.is_ready == bool(said):
        return bool(said)
    missing = [m.custodian for m in found.members if not (m.has_statement and m.catalogue_version)]
    if found.is_ready:
        # An agency that cannot be reached keeps nobody from being ready.
        _log.info("node.ready", members=len(found.members), **({"missing": missing} if missing else {}))
    else:
        _log.warning("node.not_ready", remedy="see the lines above; 'elsewhere node status' says more")
    return found.is_ready
