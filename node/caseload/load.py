"""Loads an export: read, check, group by child, tag on all cores, and bring it into force all at once.

Sees:     all records of the agency in the clear.
Promises: until the last transaction nothing of a load is visible, and after it all of it is: a load that is
          killed, refused or out of disk changes nothing. The next load clears the rows it staged away and
          goes on with the tags it made, which are nearly all of the work.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elsewhere.errors import StoreBusy, StoreUnavailable
from node.caseload.ending import drop_replaced
from node.caseload.fields import check_kept, held_fields
from node.caseload.former import Loads, keep_former
from node.caseload.job import LoadJob
from node.caseload.mapping import SourceMapping
from node.caseload.reading import Reading, read_rows
from node.caseload.renewal import Loading, renew, tag_sets
from node.caseload.report import LoadReport, Progress, Tally, no_progress
from node.caseload.sources import Source, open_source
from node.caseload.staging import BATCH, SourceFacts, Staging, batches
from node.caseload.sweep import sweep
from node.caseload.workers import Workers
from node.errors import LoadRefused
from node.keys.ring import key_ids
from node.processes.rights import hold_right_to_keys, hold_right_to_load
from node.storemark import follow, read_mark, stop_awaiting, write_mark


def dry_run(
    path: Path | None,
    mapping: SourceMapping,
    today: datetime.date,
    progress: Progress = no_progress,
    folder: Path = Path(),
) -> LoadReport:
    """Read an export as a load would, and change nothing.

    Args:
        path, folder: as `open_source`.

    Returns: what a load would take and refuse; groups and tags are not worked out.

    Raises:
        SourceUnreadable, SourceEmpty, ColumnMissing, LoadRefused: as `load_file`.
    """
    reading = Reading(Tally(mapping.source.name, is_dry_run=True), today, progress)
    try:
        with open_source(path, mapping, folder) as source, Workers((), 0) as workers:
            for _ in read_rows(source, mapping, reading, workers):
                pass
    except LoadRefused as refusal:
        refusal.report = reading.tally.report()
        raise
    return reading.tally.report()


def load_file(
    path: Path | None, mapping: SourceMapping, job: LoadJob, progress: Progress = no_progress
) -> LoadReport:
    """Replace all records of the mapping's source by those of a file or table, opened as the mapping says.

    Raises: as `load_source` and `open_source`.
    """
    with open_source(path, mapping, job.work) as source:
        return load_source(source, mapping, job, progress)


def load_source(
    source: Source, mapping: SourceMapping, job: LoadJob, progress: Progress = no_progress
) -> LoadReport:
    """Replace all records of the mapping's source by those of an export.

    Args:
        source: the export, from its first row.
        mapping: what its columns mean.
        job: store, keys and time.
        progress: told of each phase: read, tag, group, again, store.

    Returns: what was loaded, refused and noted.

    Raises:
        SourceUnreadable, SourceEmpty, ColumnMissing: the export is not what its mapping says.
        LoadRefused: too many rows were refused, too few are left, or a field of them is lost; `.report` has
            the counts.
        LoadRunning, LoadOvertaken, StoreBusy: another process is at store or keys; try again.
        StoreUnavailable: the disk is full, or the store is gone.
    In every case nothing has changed.
    """
    reading = Reading(Tally(mapping.source.name, is_dry_run=False), job.now.date(), progress)
    try:
        with _alone(job):
            staging = Staging(job.store, mapping.source.name, job.now)
            reading.tally.load = staging.id
            reading.shielded = staging.shielded_before()
            given = _Input(source, mapping, reading)
            with Workers(tag_sets(job, staging), job.workers, job.keys) as workers:
                _stage(given, job, staging, workers)
                stated = {(mapping.source.name, ref): shield for ref, shield in reading.stated.items()}
                facts = _facts(given, job)
                renew(Loading(job, staging, workers, reading.tally, progress), stated, facts)
    except LoadRefused as refusal:
        refusal.report = reading.tally.report()
        raise
    return reading.tally.report()


def retag(job: LoadJob, progress: Progress = no_progress) -> LoadReport:
    """Group the records held and tag them in every set of the job's keys in which they are not yet.

    Returns: counts of groups and tags; no row was read.

    Raises:
        LoadRunning, LoadOvertaken, StoreBusy, StoreUnavailable: as `load_source`; nothing has changed.
    """
    tally = Tally("", is_dry_run=False)
    with _alone(job):
        staging = Staging(job.store, None, job.now)
        staging.carry_others()
        with Workers(tag_sets(job, staging), job.workers, job.keys) as workers:
            renew(Loading(job, staging, workers, tally, progress), {}, None)
    return tally.report()


def drop_source(name: str, job: LoadJob) -> LoadReport:
    """Take all records of a source out of force; it is one of this node's no more, nor awaited.

    Shields that it told of stay on the records that other sources hold of the same children.

    Returns: how many persons are gone.

    Raises:
        LoadRunning, LoadOvertaken, StoreBusy, StoreUnavailable: as `load_source`; nothing has changed.
    """
    tally = Tally(name, is_dry_run=False)
    with _alone(job):
        staging = Staging(job.store, name, job.now)
        tally.load, tally.removed = staging.id, staging.removed_persons()
        staging.carry_others()
        with Workers(tag_sets(job, staging), job.workers, job.keys) as workers:
            renew(Loading(job, staging, workers, tally, no_progress), {}, None)
        stop_awaiting(job.work, job.store, name)
    return tally.report()


@contextlib.contextmanager
def _alone(job: LoadJob) -> Iterator[None]:
    """Be the only load, and clear away what this one or a killed one leaves."""
    with hold_right_to_load(job.work, job.store):
        _mark(job)  # before anything is loaded into a store that was set back
        stated = job.keys.stated()  # more of them cannot come while this lasts
        sweep(job.store, stated)
        drop_replaced(job.store, key_ids(job.keys.read()), job.now)
        try:
            yield
            with contextlib.suppress(StoreUnavailable, StoreBusy, OSError):  # else the next step does it
                _mark(job)
        finally:
            # What cannot be cleared away now is invisible, and the next load tries again.
            with contextlib.suppress(StoreUnavailable, StoreBusy):
                sweep(job.store, stated)


def _mark(job: LoadJob) -> None:
    """Have the mark outside the store follow it; if the store was set back, it says so from now on."""
    with hold_right_to_keys(job.work, job.store), job.store.read() as conn:
        held = read_mark(job.work)
        if (mark := follow(held, conn)) != held:
            write_mark(job.work, mark)


@dataclass(frozen=True, slots=True)
class _Input:
    """An export with what reading it needs."""

    source: Source
    mapping: SourceMapping
    reading: Reading


def _stage(given: _Input, job: LoadJob, staging: Staging, workers: Workers) -> None:
    """Stage the rows of an export, and the records of all other sources."""
    tally = given.reading.tally
    rows = read_rows(given.source, given.mapping, given.reading, workers)
    held = staging.held_rows()
    for batch in batches(rows, BATCH):
        tally.unchanged += staging.add(batch)
    if withheld := staging.withhold(given.reading.withheld):
        # A sibling of a refused row with a shield would show the child that the shield was to hide.
        tally.good -= withheld
        tally.refused["person.withheld"] += withheld
    if tally.good * 2 < held and not job.allow_fewer:
        raise LoadRefused(
            f"expected at least half of the {held} records held; {tally.good} came: "
            "is the export cut short? If it is right, allow fewer"
        )
    if not job.allow_fewer:
        with job.store.read() as conn:
            check_kept(given.reading.fields, held_fields(conn, tally.source, staging.before))
    tally.removed = staging.removed_persons()
    staging.carry_others()
    keep_former(Loads(job.store, staging.before, staging.id), tally.source, job.now.date())


def _facts(given: _Input, job: LoadJob) -> SourceFacts:
    """What to keep of a source; an export is as old as it says, unless its maker says otherwise."""
    now = int(job.now.timestamp())
    made = job.exported or given.source.made_utc or job.now
    tally, form = given.reading.tally, given.mapping.source
    return SourceFacts(
        format=form.format,
        digest=given.source.digest,
        read_utc=min(now, int(made.timestamp())),
        loaded_utc=now,
        max_age_days=form.max_age_days,
        rows=tally.good,
        refused=tally.refused.total(),
    )
