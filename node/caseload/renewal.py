"""Groups, tags and brings into force whatever has been staged: a new export, or what is held already.

Holds:    the OPRF keys of the tag sets while it runs.
Sees:     all records of the agency in the clear.
Promises: nothing is visible before the last transaction. A record is tagged in a set once: again only for
          another shield or other match keys, and then as a copy, as its old tags are in force meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from elsewhere.grouping import Groupable, group_records
from elsewhere.matchkeys import version
from elsewhere.person.identity import Person
from node.caseload.carried import PersonRef, carry_on, shields_with, still_carried
from node.caseload.job import LoadJob
from node.caseload.report import Progress, Tally
from node.caseload.shields import INVOLVEMENT, NONE, PROTECTED, SHIELD_IDENTITY, SHIELD_LOCATION, strictest
from node.caseload.spill import BUCKETS, Spill
from node.caseload.staging import Shields, SourceFacts, Staging, Tagged, batches
from node.caseload.workers import CHUNK_RECORDS, TagSet, Untagged, Workers, strong_hashes, tag_rows
from node.caseload.workplace import open_spill


class Renewal:
    """One load from its staged records on; each step works on what the one before has left."""

    def __init__(self, job: LoadJob, staging: Staging, tally: Tally, progress: Progress) -> None:
        self._job, self._staging = job, staging
        self._tally, self._progress = tally, progress

    def run(self, stated: Mapping[PersonRef, str], facts: SourceFacts | None) -> None:
        """Group, tag, store and switch.

        Args:
            stated: what the export says of shields, by source and person id there; NONE lifts one.
            facts: what to keep of the export; None if there was none.
        """
        before = self._staging.shields_before()
        standing = {**before.standing, **stated}
        standing = {person: shield for person, shield in standing.items() if shield != NONE}
        present = self._staging.present({*before.carried, *frozenset().union(*before.carried.values())})
        lost = still_carried(before.carried, standing, present)
        wanted = (name for name in sorted(self._job.keys) if name[0] in (INVOLVEMENT, PROTECTED))
        ids = self._staging.tag_set_ids(wanted)
        tagged = Tagged(version(), frozenset(ids.values()))
        sets = [TagSet(number, name[0], self._job.keys[name]) for name, number in ids.items()]
        with Workers(sets, self._job.workers) as workers, open_spill(self._job.work) as spill:
            self._group(workers, shields_with(standing, lost))
            self._tag(workers, spill, tagged)
            self._tally.tags = spill.rows
            self._tally.new_entries = spill.insert(
                self._job.store, self._staging.id, lambda done: self._progress("store", done, BUCKETS)
            )
        children = self._staging.children_under(SHIELD_LOCATION)
        shields = Shields(standing, carry_on(children, standing, lost, present))
        self._staging.switch(shields, tagged, facts)

    def _group(self, workers: Workers, shields: Mapping[PersonRef, str]) -> None:
        """Find the records of each child; the strictest shield among them holds for all."""
        own: dict[int, str] = {}
        groups = group_records(self._groupables(workers, shields, own))
        self._tally.children = len(groups)
        shielded = [(ids, strictest(own[n] for n in ids if n in own)) for ids in groups]
        self._staging.set_groups(shielded)
        for ids, shield in shielded:
            self._tally.shields[shield] += len(ids)

    def _groupables(
        self, workers: Workers, shields: Mapping[PersonRef, str], own: dict[int, str]
    ) -> Iterator[Groupable[int]]:
        """Every record to be in force with its strong keys, hashed; notes shielded ones in `own`."""
        total, done = self._staging.count(), 0
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
            self._progress("group", done, total)

    def _tag(self, workers: Workers, spill: Spill, tagged: Tagged) -> None:
        """Make the tags that are missing."""
        is_everything = tagged != self._staging.tagged_before
        total = self._staging.count() if is_everything else self._tally.good - self._tally.unchanged
        done = 0
        chunks = batches(self._untagged(tagged), CHUNK_RECORDS)
        for rows in workers.map(tag_rows, chunks):
            spill.add(rows)
            done += CHUNK_RECORDS
            self._progress("tag", min(done, total), total)

    def _untagged(self, tagged: Tagged) -> Iterator[Untagged]:
        """The records that lack tags, each with the sets it lacks them in."""
        before = self._staging.tagged_before
        missing = tagged.set_ids - before.set_ids
        for batch in self._staging.candidates():
            # By other rules an ordinal means another key, and under another shield another record is tagged.
            unfit = {item.id for item in batch if item.shield != item.was or before.rules != tagged.rules}
            copies = self._staging.clone([item.id for item in batch if item.was and item.id in unfit])
            for item in batch:
                if wanted := tagged.set_ids if item.id in unfit else missing:
                    yield Untagged(
                        id=copies.get(item.id, item.id),
                        person=item.person,
                        shield=item.shield,
                        origin=f"{item.source}\0{item.person_ref}".encode(),
                        set_ids=wanted,
                    )
