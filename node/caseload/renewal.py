"""Groups, tags and brings into force whatever has been staged: a new export, or what is held already.

Sees:     all records of the agency in the clear.
Refuses:  to bring records into force that are not tagged in every epoch stated: they would be told "nothing".
Promises: nothing is visible before the last transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from elsewhere.grouping import group_records
from elsewhere.matchkeys import version
from node.caseload.carried import PersonRef, carry_on, shields_with, still_carried
from node.caseload.former import Loads, settle_former
from node.caseload.job import LoadJob
from node.caseload.journal import BUCKETS, Journal
from node.caseload.report import Progress, Tally
from node.caseload.shields import INVOLVEMENT, NONE, PROTECTED, SHIELD_LOCATION, strictest
from node.caseload.shields_held import Shields
from node.caseload.spill import store_tags
from node.caseload.staging import SourceFacts, Staging, Tagged
from node.caseload.tagging import Tagging
from node.caseload.workers import TagSet, Workers
from node.caseload.workplace import keep_tags
from node.errors import LoadOvertaken
from node.keys.ring import key_ids


@dataclass(frozen=True, slots=True)
class Loading:
    """One load under way."""

    job: LoadJob
    staging: Staging
    workers: Workers
    tally: Tally
    progress: Progress


def tag_sets(job: LoadJob, staging: Staging) -> list[TagSet]:
    """Read the keys, and number every collection and epoch that records are tagged in."""
    keys = job.keys.read()
    wanted = {name: key for name, key in keys.items() if name[0] in (INVOLVEMENT, PROTECTED)}
    return [TagSet(n, *name, keys[name]) for name, n in staging.tag_set_ids(key_ids(wanted)).items()]


def renew(loading: Loading, stated: Mapping[PersonRef, str], facts: SourceFacts | None) -> None:
    """Group, tag, store and switch; each step works on what the one before has left.

    Args:
        stated: what the export says of shields, by source and person id there; NONE lifts one.
        facts: what to keep of the export; None if there was none.

    Raises:
        LoadOvertaken: an epoch is stated in which this load has not tagged its records; nothing has changed.
    """
    staging, job = loading.staging, loading.job
    before = staging.shields_before()
    standing = {**before.standing, **stated}
    standing = {person: shield for person, shield in standing.items() if shield != NONE}
    present = staging.present({*before.carried, *frozenset().union(*before.carried.values())})
    lost = still_carried(before.carried, standing, present)
    tagged = Tagged(version(), frozenset(tag_set.id for tag_set in loading.workers.sets))
    with keep_tags(job.work, is_fresh=job.is_fresh) as journal:
        _tag_children(
            loading, Tagging(staging, tagged, loading.workers, journal), shields_with(standing, lost)
        )
        _store(loading, journal)
        children = staging.children_under(SHIELD_LOCATION)
        shields = Shields(standing, carry_on(children, standing, lost, present))
        staging.switch(shields, replace(tagged, set_ids=_covered(loading)), facts)


def _covered(loading: Loading) -> frozenset[int]:
    """The sets in which all records are tagged; every epoch that others may ask under is among them."""
    loading.workers.look()
    sets = loading.workers.sets
    if not loading.job.keys.stated() <= {(tag_set.collection, tag_set.epoch) for tag_set in sets}:
        raise LoadOvertaken("expected the keys that this load began with; others are in force now")
    return frozenset(tag_set.id for tag_set in sets)


def _tag_children(loading: Loading, tagging: Tagging, shields: Mapping[PersonRef, str]) -> None:
    """Find the records of each child; the strictest shield among them holds for all and for their tags."""
    staging, tally, progress = loading.staging, loading.tally, loading.progress
    total = staging.count()
    groups = group_records(tagging.early(shields, lambda done: progress("tag", done, total)))
    tally.children = len(groups)
    shielded = ((ids, strictest(tagging.presumed(n) for n in ids)) for ids in groups)
    marked: list[tuple[Sequence[int], str]] = []
    for ids, shield in shielded:
        tally.shields[shield] += len(ids)
        if len(ids) > 1 or shield != NONE:
            marked.append((ids, shield))
    progress("group", total, total)
    staging.set_groups(marked)
    settle_former(Loads(loading.job.store, staging.before, staging.id))
    tagging.disown(marked)
    tagging.late(lambda done: progress("again", done, 0))
    tally.resumed = tagging.resumed


def _store(loading: Loading, journal: Journal) -> None:
    """Put all tags into the store, still unseen."""
    tally, progress = loading.tally, loading.progress
    tally.tags, tally.new_entries = store_tags(
        journal, loading.job.store, loading.staging.id, lambda done: progress("store", done, BUCKETS)
    )
