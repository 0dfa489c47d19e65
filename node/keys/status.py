"""Which keys a node has in force, how old they are and when the next ones come; for its own people.

Sees:     all keys; of these, only what the statement says of them is told.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from elsewhere.errors import ElsewhereError
from elsewhere.fields import format_instant
from elsewhere.statement import KeyStatement
from node.errors import KeysOverdue
from node.keys.identity import read_own
from node.keys.orders import read_order
from node.keys.ring import KeyRing, read_coming
from node.keys.stating import LINGER, Schedule
from node.membership.hop import read_hop
from node.storemark import read_mark


@dataclass(frozen=True, slots=True)
class EpochStatus:
    """One epoch of one collection."""

    collection: str
    epoch: int
    state: str  # "coming": tagged and stated; "in force"; "ending": a newer one is in force
    begins_utc: datetime
    ends_utc: datetime  # it is destroyed soon after


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """All of it."""

    version: int  # of the statement
    epochs: tuple[EpochStatus, ...]
    sealing_keys: int
    next_sealing_utc: datetime
    next_epoch_utc: datetime
    certificate_ends_utc: datetime | None  # of the links to gateways; None: it cannot be read
    certificate_due_utc: datetime | None  # when the next one is asked for
    is_rotating: bool  # new epochs were ordered and are not stated yet
    overdue_since_utc: datetime | None  # when a change was due that should have come about by now
    is_rekeying: bool = False  # a signing key waits for the stewards to list it
    missing_sources: tuple[
        str, ...
    ] = ()  # to be loaded again, or nothing is stated: docs/store.md, "Restore"


def key_status(directory: Path, schedule: Schedule, now: datetime) -> KeyStatus | None:
    """Say how a node's keys stand, whether or not it runs; None before its first start.

    Raises: as `KeyRing.load` and `read_own`.

    Args:
        directory: the node's folder.
        schedule: its settings.
        now: aware UTC time.
    """
    own = read_own(directory, KeyRing.load(directory).signing)
    if own is None:
        return None
    stated, hop = own.statement, None
    with contextlib.suppress(ElsewhereError):
        hop = read_hop(directory)
    newest = {entry.collection: entry for entry in stated.oprf_keys}  # the last one counts
    order = read_order(directory)
    next_epoch = min((e.valid_from_utc + schedule.epoch for e in newest.values()), default=now)
    due = [order.ordered_utc if order is not None else next_epoch]
    due += [e.valid_until_utc + LINGER for e in stated.oprf_keys if e != newest[e.collection]]
    return KeyStatus(
        version=stated.version,
        epochs=_epochs(stated, now),
        sealing_keys=len(stated.sealing_keys),
        next_sealing_utc=max(e.not_after_utc for e in stated.sealing_keys) - schedule.sealing_overlap,
        next_epoch_utc=next_epoch,
        certificate_ends_utc=hop.ends_utc if hop is not None else None,
        certificate_due_utc=hop.renews_utc if hop is not None else None,
        is_rotating=order is not None,
        overdue_since_utc=min((moment for moment in due if moment + schedule.alarm < now), default=None),
        is_rekeying=read_coming(directory) is not None,
        missing_sources=tuple(sorted(read_mark(directory).awaited or ())),
    )


def check_on_time(directory: Path, schedule: Schedule, now: datetime) -> None:
    """Return unless a change of keys should have come about by now.

    Raises:
        KeysOverdue: one should. Look for what it waits for.
        As `key_status`.
    """
    found = key_status(directory, schedule, now)
    if found is not None and found.overdue_since_utc is not None:
        raise KeysOverdue(
            f"expected the keys to change within {schedule.alarm / timedelta(hours=1):g} hours of "
            f"{format_instant(found.overdue_since_utc)}; they have not. See docs/keys.md, "
            "'When a change does not end'"
        )


def _epochs(stated: KeyStatement, now: datetime) -> tuple[EpochStatus, ...]:
    """Every epoch stated."""
    found = []
    for entry in stated.oprf_keys:
        current = stated.epochs_in_force(entry.collection, now)
        is_newest = bool(current) and current[0] == entry
        state = "in force" if is_newest else "coming" if now < entry.valid_from_utc else "ending"
        found.append(
            EpochStatus(entry.collection, entry.epoch, state, entry.valid_from_utc, entry.valid_until_utc)
        )
    return tuple(found)
