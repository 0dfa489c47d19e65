"""Loads an export: read, check, group by child, tag on all cores, and bring it into force all at once.

Holds:    the OPRF keys of the tag sets while a load runs.
Sees:     all records of the agency in the clear.
Promises: until the last transaction nothing of a load is visible, and after it all of it is: a load that is
          killed, refused or out of disk changes nothing, and the next load clears its leftovers away.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from elsewhere.errors import StoreBusy, StoreUnavailable
from elsewhere.grouping import Groupable, group_records
from elsewhere.matchkeys import version
from elsewhere.oprf.voprf import OprfKey
from elsewhere.person.identity import Person
from node.caseload.mapping import SourceMapping
from node.caseload.reading import Reading, read_rows
from node.caseload.report import LoadReport, Progress, Tally, no_progress
from node.caseload.shields import INVOLVEMENT, NONE, PROTECTED, SHIELD_IDENTITY, strictest
from node.caseload.sources import Source, open_source
from node.caseload.spill import BUCKETS, Spill
from node.caseload.staging import BATCH, SourceFacts, Staging, batches
from node.caseload.sweep import sweep
from node.caseload.workers import CHUNK_RECORDS, TagSet, Untagged, Workers, strong_hashes, tag_rows
from node.caseload.workplace import hold_right_to_load, open_spill
from node.errors import LoadRefused
from node.store.engine import Store


@dataclass(frozen=True, slots=True)
class LoadJob:
    """Everything a load needs beside the file and its mapping."""

    store: Store
    keys: Mapping[tuple[str, int], OprfKey] = field(repr=False)  # by collection and epoch, all in use
    now: datetime.datetime  # aware
    work: Path  # an existing folder of the node's own, for the right to load and for spilled tags
    exported: datetime.datetime | None = None  # when the export was made; None: when its file was written
    allow_fewer: bool = False  # load though more than half of the records held would be gone
    workers: int = 0  # processes; 0: one a core


def dry_run(
    path: Path, mapping: SourceMapping, today: datetime.date, progress: Progress = no_progress
) -> LoadReport:
    """Read a file as a load would, and change nothing.

    Returns: what a load would take and refuse; groups and tags are not worked out.

    Raises:
        SourceUnreadable, SourceEmpty, ColumnMissing, LoadRefused: as `load_file`.
    """
    reading = Reading(Tally(mapping.source.name, is_dry_run=True))
    try:
        with open_source(path, mapping.source) as source:
            for _ in read_rows(source, mapping, reading, today, progress):
                pass
    except LoadRefused as refusal:
        refusal.report = reading.tally.report()
        raise
    return reading.tally.report()


def load_file(
    path: Path, mapping: SourceMapping, job: LoadJob, progress: Progress = no_progress
) -> LoadReport:
    """Replace all records of the mapping's source by those of a file, opened as the mapping says.

    Raises: as `load_source`, and SourceUnreadable for a file that cannot be opened.
    """
    with open_source(path, mapping.source) as source:
        return load_source(source, mapping, job, progress)


def load_source(
    source: Source, mapping: SourceMapping, job: LoadJob, progress: Progress = no_progress
) -> LoadReport:
    """Replace all records of the mapping's source by those of an export.

    Args:
        source: the export, from its first row.
        mapping: what its columns mean.
        job: store, keys and time.
        progress: told of each phase: read, group, tag, store.

    Returns: what was loaded, refused and noted.

    Raises:
        SourceUnreadable, SourceEmpty, ColumnMissing: the export is not what its mapping says.
        LoadRefused: too many rows were refused, or too few are left; `.report` has the counts.
        LoadRunning, StoreBusy: another process is at the store; try again.
        StoreUnavailable: the disk is full, or the store is gone.
    In every case nothing has changed.
    """
    reading = Reading(Tally(mapping.source.name, is_dry_run=False))
    try:
        with hold_right_to_load(job.work):
            sweep(job.store)
            try:
                _Load(source, mapping, job, reading, progress).run()
            finally:
                # What cannot be cleared away now is invisible, and the next load tries again.
                with contextlib.suppress(StoreUnavailable, StoreBusy):
                    sweep(job.store)
    except LoadRefused as refusal:
        refusal.report = reading.tally.report()
        raise
    return reading.tally.report()


class _Load:
    """One load on its way; each step works on what the one before has staged."""

    def __init__(
        self, export: Source, mapping: SourceMapping, job: LoadJob, reading: Reading, progress: Progress
    ) -> None:
        self._export, self._mapping, self._job = export, mapping, job
        self._reading, self._tally, self._progress = reading, reading.tally, progress
        self._source = mapping.source.name
        self._staging = Staging(job.store, self._source, job.now)

    def run(self) -> None:
        """Read, group, tag, store, switch."""
        self._read()
        shields = self._shields()
        ids = self._staging.tag_set_ids(
            name for name in sorted(self._job.keys) if name[0] in (INVOLVEMENT, PROTECTED)
        )
        sets = [TagSet(number, name[0], self._job.keys[name]) for name, number in ids.items()]
        with Workers(sets, self._job.workers) as workers, open_spill(self._job.work) as spill:
            self._group(workers, shields)
            # A record keeps its tags for as long as they were made by these rules and keys.
            tagged_for = f"{version()}/{','.join(map(str, sorted(ids.values())))}"
            self._tag(workers, spill, tagged_for)
            self._tally.tags = spill.rows
            self._tally.new_entries = spill.insert(
                self._job.store, self._staging.id, lambda done: self._progress("store", done, BUCKETS)
            )
        self._staging.mark_tagged(tagged_for)
        self._staging.switch(shields, self._facts())

    def _read(self) -> None:
        """Stage the rows of the file, and the records of all other sources."""
        today = self._job.now.date()
        rows = read_rows(self._export, self._mapping, self._reading, today, self._progress)
        held = self._staging.held_rows()
        for batch in batches(rows, BATCH):
            self._tally.unchanged += self._staging.add(batch)
        if withheld := self._staging.withhold(self._reading.withheld):
            # A sibling of a refused row with a shield would show the child that the shield was to hide.
            self._tally.good -= withheld
            self._tally.refused["person.withheld"] += withheld
        if self._tally.good * 2 < held and not self._job.allow_fewer:
            raise LoadRefused(
                f"expected at least half of the {held} records held; {self._tally.good} came: "
                "is the export cut short? If it is right, allow fewer"
            )
        self._tally.removed = self._staging.removed_persons()
        self._staging.carry_others()

    def _shields(self) -> dict[tuple[str, str], str]:
        """The shields that hold from now on: those held, as changed by what the rows state."""
        shields = self._staging.standing_shields()
        for person_ref, shield in self._reading.stated.items():
            shields[self._source, person_ref] = shield
        return {person: shield for person, shield in shields.items() if shield != NONE}

    def _group(self, workers: Workers, shields: Mapping[tuple[str, str], str]) -> None:
        """Find the records of each child; the strictest shield among them holds for all."""
        own: dict[int, str] = {}
        groups = group_records(self._groupables(workers, shields, own))
        self._tally.children = len(groups)
        shielded = [(ids, strictest(own[n] for n in ids if n in own)) for ids in groups]
        self._staging.set_groups(shielded)
        for ids, shield in shielded:
            self._tally.shields[shield] += len(ids)

    def _groupables(
        self, workers: Workers, shields: Mapping[tuple[str, str], str], own: dict[int, str]
    ) -> Iterator[Groupable[int]]:
        """Every record to be in force with its strong keys, hashed; notes shielded ones in `own`."""
        total, done = self._tally.good, 0
        for batch in self._staging.candidates():
            chunks = list(batches(batch, CHUNK_RECORDS))
            hashes = workers.map(strong_hashes, [[item.person for item in chunk] for chunk in chunks])
            for chunk, found in zip(chunks, hashes, strict=True):
                for item, strong in zip(chunk, found, strict=True):
                    shield = shields.get((item.source, item.person_ref), NONE)
                    if shield != NONE:
                        own[item.id] = shield
                    yield Groupable(
                        ref=item.id,
                        source_person_id=f"{item.source}\0{item.person_ref}",
                        person=Person.from_canonical(item.person),
                        strong=tuple(strong),
                        apart=shield == SHIELD_IDENTITY,
                    )
            done += len(batch)
            self._progress("group", done, max(total, done))

    def _tag(self, workers: Workers, spill: Spill, tagged_for: str) -> None:
        """Tag the records that have no tags yet, or whose tags no longer fit shield, rules or keys."""
        total = self._tally.good - self._tally.unchanged
        done = 0
        chunks = batches(self._untagged(tagged_for), CHUNK_RECORDS)
        for rows in workers.map(tag_rows, chunks):
            spill.add(rows)
            done += CHUNK_RECORDS
            self._progress("tag", min(done, total), total)

    def _untagged(self, tagged_for: str) -> Iterator[Untagged]:
        """The records to tag; one tagged otherwise is still in force, so that a copy takes its place."""
        copies: set[int] = set()
        for batch in self._staging.candidates():
            for item in batch:
                if item.id in copies or (item.tagged_as, item.tagged_for) == (item.shield, tagged_for):
                    continue
                number = item.id
                if item.tagged_as is not None:
                    number = self._staging.clone(item.id)
                    copies.add(number)
                origin = f"{item.source}\0{item.person_ref}".encode()
                yield Untagged(id=number, person=item.person, shield=item.shield, origin=origin)

    def _facts(self) -> SourceFacts:
        """What to keep of the source; an export is as old as it says, unless its maker says otherwise."""
        now = int(self._job.now.timestamp())
        made = self._job.exported or self._export.made_utc or self._job.now
        return SourceFacts(
            format=self._mapping.source.format,
            digest=self._export.digest,
            read_utc=min(now, int(made.timestamp())),
            loaded_utc=now,
            max_age_days=self._mapping.source.max_age_days,
            rows=self._tally.good,
            refused=self._tally.refused.total(),
        )
