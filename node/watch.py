"""For whoever looks at a node's log: when lookups could succeed, when not, and what is about to run out.

Promises: one line a change, none while nothing changes; a line a day for what ends soon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog

from elsewhere.asking import DeskStatus
from elsewhere.clock import Clock
from elsewhere.fields import format_instant

LOOK_EVERY_S = 1.0
WARNED_BEFORE = timedelta(days=21)
CERTIFICATE_BEFORE = timedelta(days=12)  # three days after it should have been renewed
_DAY_S = 86_400.0
_REMEDIES = {
    "roster": "ask the gateway's operator for 'elsewhere gateway propose', and the stewards to sign it",
    "agreement": "ask the stewards to renew the agreement",
    "certificate": "see docs/keys.md, 'The TLS certificate': it should have been renewed by itself",
}
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
        _log.warning("node.not_ready")  # what came before it says why
    return found.is_ready


async def tell_ends(ends: Callable[[], Mapping[str, datetime]], clock: Clock) -> None:
    """Look once a day, for ever, and log what ends soon."""
    while True:
        for name, end in soon(ends(), clock()).items():
            _log.warning("node.ends_soon", what=name, end=format_instant(end), remedy=_REMEDIES[name])
        await asyncio.sleep(_DAY_S)


def soon(ends: Mapping[str, datetime], now: datetime) -> dict[str, datetime]:
    """Give what ends within three weeks, or has ended, the nearest first; a certificate once it is late."""
    near = (
        (name, end)
        for name, end in ends.items()
        if end - now <= (CERTIFICATE_BEFORE if name == "certificate" else WARNED_BEFORE)
    )
    return dict(sorted(near, key=lambda item: item[1]))
