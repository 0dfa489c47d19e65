"""Which records lack which tags, and the making of them: most before children are grouped, the rest after.

Holds:    the OPRF keys of the tag sets while it runs.
Sees:     all records of the agency in the clear.
Promises: a record is tagged in a set once: again only for another shield or other match keys, and then as a
          copy, as its old tags are in force meanwhile. Tags that a killed load made are not made again.

A child's shield is known once its records are grouped, and grouping needs every record's strong keys. To
derive keys but once, a record is tagged in the same breath under the shield that is stated for it; the few
whose group has a stricter one are tagged again.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from elsewhere.grouping import Groupable
from elsewhere.person.identity import Person
from node.caseload.carried import PersonRef
from node.caseload.fingerprints import Fingerprints
from node.caseload.journal import Journal
from node.caseload.shields import NONE, SHIELD_IDENTITY
from node.caseload.staging import Candidate, Staging, Tagged, batches
from node.caseload.workers import CHUNK_RECORDS, Untagged, Workers, derive

_NO_SETS: frozenset[int] = frozenset()
# A record, the id that its tags are to go by, and what is to be made for it.
_Task = tuple[Candidate, int, Untagged]


class Tagging:
    """The tags of one load."""

    def __init__(self, staging: Staging, tagged: Tagged, workers: Workers, journal: Journal) -> None:
        self._staging, self._tagged = staging, tagged
        self._workers, self._journal = workers, journal
        self._prints = Fingerprints(workers.sets, tagged.rules)
        self._same_rules = staging.tagged_before.rules == tagged.rules
        self._missing = tagged.set_ids - staging.tagged_before.set_ids
        self._presumed: dict[int, str] = {}  # NONE is left out
        self.resumed = 0  # records whose tags a killed load had made

    def presumed(self, record_id: int) -> str:
        """The shield that was stated for a record's own person."""
        return self._presumed.get(record_id, NONE)

    def early(self, shields: Mapping[PersonRef, str], told: Callable[[int], None]) -> Iterator[Groupable]:
        """Yield every record to be in force with its strong keys, hashed, and tag it as far as can be said.

        Args:
            shields: in force for persons, whatever their group.
            told: is told how many records are done.
        """
        done = 0
        for chunk, strong in self._derive(self._early_tasks(shields)):
            for (item, _, _), hashes in zip(chunk, strong, strict=True):
                yield Groupable(
                    ref=item.id,
                    source_person_id=f"{item.source}\0{item.person_ref}",
                    person=Person.from_canonical(item.person),
                    strong=hashes,
                    apart=self.presumed(item.id) == SHIELD_IDENTITY,
                )
            done += len(chunk)
            told(done)
        self._journal.flush()

    def late(self, told: Callable[[int], None]) -> None:
        """Tag what is still to be tagged, once every record bears the shield of its child."""
        done = 0
        for chunk, _ in self._derive(self._late_tasks()):
            done += len(chunk)
            told(done)
        self._journal.flush()

    def disown(self, groups: Iterable[tuple[Sequence[int], str]]) -> None:
        """Let go of tags that were made early under another shield than the group's."""
        wrong = [n for ids, shield in groups for n in ids if self.presumed(n) != shield]
        if wrong:
            self._journal.disown(wrong)

    def _derive(self, tasks: Iterable[_Task]) -> Iterator[tuple[list[_Task], list[bytes]]]:
        """Run tasks on all cores, in order; what is made goes into the journal."""
        waiting: collections.deque[list[_Task]] = collections.deque()

        def handed_out() -> Iterator[list[Untagged]]:
            for chunk in batches(tasks, CHUNK_RECORDS):
                waiting.append(chunk)
                yield [record for _, _, record in chunk]

        for made in self._workers.map(derive, handed_out()):
            chunk = waiting.popleft()
            own = [(tag_id, record) for _, tag_id, record in chunk if record.set_ids]
            if own:
                prints = [self._prints.of(record) for _, record in own]
                self._journal.add([tag_id for tag_id, _ in own], prints, made.rows)
            yield chunk, made.strong

    def _early_tasks(self, shields: Mapping[PersonRef, str]) -> Iterator[_Task]:
        for batch in self._staging.candidates():
            for item in batch:
                if item.is_former:
                    continue  # it groups no records, and its child's shield is not known yet
                shield = shields.get((item.source, item.person_ref), NONE)
                if shield != NONE:
                    self._presumed[item.id] = shield
                yield item, item.id, self._unless_made(item, item.id, shield, self._early_sets(item, shield))

    def _early_sets(self, item: Candidate, shield: str) -> frozenset[int]:
        """The sets that a record lacks tags in, if nothing changes by its group."""
        if item.was is None:
            return self._tagged.set_ids
        return self._missing if self._same_rules and item.was == shield else _NO_SETS

    def _late_tasks(self) -> Iterator[_Task]:
        for batch in self._staging.candidates():
            # By other rules an ordinal means another key, and under another shield another record is tagged.
            held = [item for item in batch if item.was]
            unfit = {item.id for item in held if item.shield != item.was or not self._same_rules}
            copies = self._staging.clone([item.id for item in held if item.id in unfit])
            for item in batch:
                early = self._early_sets(item, self.presumed(item.id))
                if early and self.presumed(item.id) == item.shield and not item.is_former:
                    continue
                wanted = self._tagged.set_ids if item.id in unfit or not item.was else self._missing
                if item.is_former:
                    wanted &= self._tagged.set_ids & self._staging.tagged_before.set_ids
                tag_id = copies.get(item.id, item.id)
                task = self._unless_made(item, tag_id, item.shield, wanted)
                if task.set_ids:
                    yield item, tag_id, task

    def _unless_made(self, item: Candidate, tag_id: int, shield: str, wanted: frozenset[int]) -> Untagged:
        """What is to be made for a record: nothing, where a killed load's tags can stand for it."""
        origin = f"{item.source}\0{item.person_ref}".encode()
        task = Untagged(item.person, shield, origin, wanted)
        if wanted and len(self._journal) and self._journal.claim(tag_id, self._prints.of(task)):
            self.resumed += 1
            return Untagged(item.person, shield, origin, _NO_SETS)
        return task
