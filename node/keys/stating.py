"""What this node's next key statement says: which keys begin, which go on, which have ended.

Sees:     all keys of the node and the statement in force; reads and writes nothing.
Refuses:  to end an epoch that nothing has taken the place of; to state a third epoch of a collection; to go
          on stating a name whose key is another by now: others hold what the one before made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from elsewhere.clock import CLOCK_TOLERANCE
from elsewhere.lookup import PROTOCOL_VERSION
from elsewhere.matchkeys import version as match_key_version
from elsewhere.oprf.voprf import public_key
from elsewhere.statement import KeyStatement, OprfKeyEntry, SealingKeyEntry
from node.keys.ring import KeyRing, Name

# What may still come for an epoch after its end: a question by a clock that is behind, and then its redeem.
LINGER: Final = CLOCK_TOLERANCE + timedelta(minutes=10)
MAX_LIVE: Final = 2  # epochs of a collection


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long keys live."""

    epoch: timedelta = timedelta(days=30)  # from one VOPRF key to the next
    overlap: timedelta = timedelta(days=4)  # for which the one before stays in force
    announce: timedelta = timedelta(hours=1)  # from stating a new one until anybody asks under it
    sealing: timedelta = timedelta(days=7)  # from one sealing key to the next
    sealing_overlap: timedelta = timedelta(days=3)
    alarm: timedelta = timedelta(days=1)  # from when a change is due until it is said to be overdue


@dataclass(frozen=True, slots=True)
class Plan:
    """What the next statement is to change beside what time does by itself."""

    begin: Mapping[Name, timedelta] = field(default_factory=dict)  # epochs to state; the overlap of each
    drop: frozenset[Name] = frozenset()  # epochs that can answer nothing any more


NOTHING: Final = Plan()


@dataclass(frozen=True, slots=True)
class Stating:
    """Everything the next statement follows from."""

    agency: str
    ring: KeyRing
    schedule: Schedule
    now: datetime  # aware UTC, whole seconds
    held: KeyStatement | None  # the statement in force
    plan: Plan = NOTHING

    def next(self) -> KeyStatement | None:
        """Give the statement to make now; None while the one in force says all there is to say."""
        made = KeyStatement(
            agency=self.agency,
            version=self.held.version + 1 if self.held is not None else 1,
            issued_utc=self.now,
            sealing_keys=self._sealing(),
            oprf_keys=tuple(entry for name in self._collections() for entry in self._epochs(name)),
            protocol_versions=(PROTOCOL_VERSION,),
            match_key_versions=(match_key_version(),),
        )
        if self.held is not None:
            same = replace(made, version=self.held.version, issued_utc=self.held.issued_utc)
            return None if same == self.held else made
        return made

    def replaced(self) -> frozenset[Name]:
        """The epochs stated whose key at hand is another one."""
        stated = self.held.oprf_keys if self.held is not None else ()
        keys = {(entry.collection, entry.epoch): entry.public for entry in stated}
        at_hand = keys.keys() & self.ring.oprf.keys()
        return frozenset(name for name in at_hand if public_key(self.ring.oprf[name]) != keys[name])

    def _sealing(self) -> tuple[SealingKeyEntry, ...]:
        """Every sealing key there is, newest first, but for those that have ended."""
        before = {entry.key_id: entry for entry in self.held.sealing_keys} if self.held is not None else {}
        until = self.now + self.schedule.sealing + self.schedule.sealing_overlap
        entries = [before.get(key.key_id) or SealingKeyEntry(key.public, until) for key in self.ring.sealing]
        newest, older = entries[0], entries[1:]
        if newest.not_after_utc <= self.now:
            newest = SealingKeyEntry(newest.public, until)  # rather an old key than none
        return (newest, *(entry for entry in older if self.now < entry.not_after_utc + CLOCK_TOLERANCE))

    def _collections(self) -> list[str]:
        """Those that there is a key of, in order."""
        return sorted({collection for collection, _ in self.ring.oprf})

    def _epochs(self, collection: str) -> list[OprfKeyEntry]:
        """The epochs of one collection to state, oldest first."""
        found = [self._kept(collection, epoch) for epoch in self._stated(collection)]
        found = [*(entry for entry in found[:-1] if not self._has_ended(entry)), *found[-1:]]
        newest = max((entry.epoch for entry in found), default=0)
        begun = [epoch for name, epoch in self.plan.begin if name == collection and epoch > newest]
        if begun and len(found) < MAX_LIVE:
            return self._begun(found, collection, min(begun))
        if begun:
            # No third epoch: the oldest makes room for it as soon as everybody knows.
            found[0] = _until(found[0], max(self.now, found[1].valid_from_utc) + self.schedule.announce)
        if found and found[-1].valid_until_utc - self.now < self.schedule.overlap / 2:
            # The next key is overdue: rather an old one than none.
            found[-1] = replace(found[-1], valid_until_utc=self.now + self.schedule.overlap)
        return found

    def _stated(self, collection: str) -> list[int]:
        """The epochs that go on; the newest key there is where none does."""
        at_hand = sorted(epoch for name, epoch in self.ring.oprf if name == collection)
        if self.held is None:
            return at_hand[-1:]
        stated = [e.epoch for e in self.held.oprf_keys if e.collection == collection and e.epoch in at_hand]
        gone = self.plan.drop | self.replaced()
        going_on = [epoch for epoch in stated if (collection, epoch) not in gone]
        was_lost = not stated and any(entry.collection == collection for entry in self.held.oprf_keys)
        return at_hand[-1:] if was_lost else going_on

    def _kept(self, collection: str, epoch: int) -> OprfKeyEntry:
        """The entry in force; a new one where there is none."""
        entry = self.held.oprf_key(collection, epoch) if self.held is not None else None
        return entry or self._entry(collection, epoch, self.now - CLOCK_TOLERANCE)

    def _begun(self, before: list[OprfKeyEntry], collection: str, epoch: int) -> list[OprfKeyEntry]:
        """State one epoch more: with notice while another is in force, which ends after the overlap."""
        begins = self.now + self.schedule.announce if before else self.now - CLOCK_TOLERANCE
        end = begins + self.plan.begin[collection, epoch]
        ending = [replace(entry, valid_until_utc=end) for entry in before]
        return [*ending, self._entry(collection, epoch, begins)]

    def _entry(self, collection: str, epoch: int, begins: datetime) -> OprfKeyEntry:
        public = public_key(self.ring.oprf[collection, epoch])
        ends = max(begins, self.now) + self.schedule.epoch + self.schedule.overlap
        return OprfKeyEntry(collection, epoch, public, begins, ends)

    def _has_ended(self, entry: OprfKeyEntry) -> bool:
        """Whether nothing can come for an epoch any more."""
        return self.now >= entry.valid_until_utc + LINGER


def _until(entry: OprfKeyEntry, end: datetime) -> OprfKeyEntry:
    """An entry that ends then at the latest."""
    end = max(end, entry.valid_from_utc + CLOCK_TOLERANCE)
    return replace(entry, valid_until_utc=min(entry.valid_until_utc, end))
