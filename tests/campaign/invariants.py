"""What must hold after every fault, read from the stores, the folders and the memory of what runs.

Each check gives a list of what it found wrong, in words that name no child.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from sqlalchemy import select

from elsewhere.agreement.terms import Limits
from elsewhere.catalogue.statement import CatalogueStatement
from elsewhere.receipt import Receipt, open_receipt
from elsewhere.signing import open_document
from elsewhere.statement import CATALOGUE_STATEMENT_TYPE
from node.catalogues.peer_files import PeerFiles
from node.config import load_config
from node.keys.ring import KeyRing
from node.membership.trust import Trust
from node.processes.place import Place, other_places
from node.store.engine import open_store
from node.store.exchange import log, published_piece, question
from tests.campaign.asking import KNOWN, ROWS, Outcome
from tests.campaign.stage import AGENCIES, CUSTODIANS, DEADLINE_MS, GATEWAYS, NODES, SEARCHER, Stage
from tests.privacy.canaries import files_of, needles

LATE_S = 2.0  # beyond the deadline, and beyond what the machine itself was late meanwhile
MINUTE_MS, DAY_MS = 60_000, 86_400_000
_MAX_REGION = 256 * 2**20


@dataclass
class Watch:
    """What is remembered from one check to the next."""

    stage: Stage
    limits: Limits
    roots: dict[tuple[str, str, int, int], bytes] = field(default_factory=dict)
    logged: dict[str, int] = field(default_factory=dict)  # rows of each log, which only grow
    lookups: int = 0
    _told: dict[bytes, CatalogueStatement] = field(default_factory=dict)  # by their envelopes, verified

    def after(
        self, outcomes: Iterable[Outcome], *, searcher_was_halted: bool, machine_late_s: float
    ) -> list[str]:
        """Check everything that a fault could have broken, but for what `leaked` reads."""
        seen = list(outcomes)
        self.lookups += len(seen)
        found = [words for outcome in seen for words in outcome.wrong()]
        if not searcher_was_halted:
            found += self._late(seen, machine_late_s)
        found += self._unlogged(seen)
        for agency in AGENCIES:
            found += self._shrunk(agency)
        for agency in CUSTODIANS:
            found += self._over_limit(agency)
            found += self._uncounted(agency, seen)
        found += self._diverged()
        return found

    def _late(self, outcomes: list[Outcome], machine_late_s: float) -> list[str]:
        """Every question has an outcome by the deadline, and there is one deadline for all."""
        # A busy machine is no fault of the system's: each of the five processes may have been kept waiting.
        most = DEADLINE_MS / 1000 + LATE_S + 5 * machine_late_s
        slow = [o.ended_s - o.began_s for o in outcomes if o.ended_s - o.began_s > most]
        return [f"an outcome after {seconds:.1f} s" for seconds in slow]

    def _unlogged(self, outcomes: list[Outcome]) -> list[str]:
        """Every answer that reached the asker is in its custodian's log."""
        found = []
        for agency in CUSTODIANS:
            leaves = self._leaves(agency)
            found += [
                f"{agency} released an answer that is not in its log"
                for receipt in self._released(agency, outcomes)
                if receipt.leaf not in leaves
            ]
        return found

    def _released(self, agency: str, outcomes: Iterable[Outcome]) -> Iterator[Receipt]:
        """The receipts of the answers of one custodian that reached an asker."""
        for outcome in outcomes:
            for answer in outcome.answers:
                if answer.custodian == agency and answer.state.is_answer:
                    yield open_receipt(answer.receipt, self._keys[agency])

    def _uncounted(self, agency: str, outcomes: list[Outcome]) -> list[str]:
        """Every answer that reached the asker has one counted question, however often it was asked."""
        columns = (question.c.digest, question.c.core, question.c.counted)
        store = open_store(load_config(self.stage.folder / agency).store_url)
        try:
            with store.read() as connection:
                rows = connection.execute(select(*columns)).all()
        finally:
            store.close()
        cores = {row.digest.hex(): row.core for row in rows}
        counted = Counter(row.core for row in rows if row.counted)
        return [
            f"{agency} released an answer with {times} counted questions"
            for receipt in self._released(agency, outcomes)
            if (times := counted[cores.get(receipt.request_digest, b"")]) != 1
        ]

    def _leaves(self, agency: str) -> set[str]:
        store = open_store(load_config(self.stage.folder / agency).store_url)
        try:
            with store.read() as connection:
                return {digest.hex() for digest in connection.execute(select(log.c.digest)).scalars()}
        finally:
            store.close()

    def _shrunk(self, agency: str) -> list[str]:
        """A log only grows, and its entries have their numbers without a gap."""
        store = open_store(load_config(self.stage.folder / agency).store_url)
        try:
            with store.read() as connection:
                numbers = list(connection.execute(select(log.c.seq).order_by(log.c.seq)).scalars())
        finally:
            store.close()
        before, self.logged[agency] = self.logged.get(agency, 0), len(numbers)
        found = [] if len(numbers) >= before else [f"the log of {agency} lost entries"]
        if numbers != list(range(1, len(numbers) + 1)):
            found.append(f"the log of {agency} has a gap")
        return found

    def _over_limit(self, agency: str) -> list[str]:
        """No more questions of anybody were counted than the limits allow, and none of them twice."""
        columns = (question.c.searcher, question.c.pseudonym, question.c.received_ms, question.c.core)
        store = open_store(load_config(self.stage.folder / agency).store_url)
        try:
            with store.read() as connection:
                rows = connection.execute(select(*columns).where(question.c.counted)).all()
        finally:
            store.close()
        found = []
        if twice := [n for n in Counter(row.core for row in rows).values() if n > 1]:
            found.append(f"{agency} counted {len(twice)} questions twice")
        times: dict[bytes, list[int]] = {}
        for row in sorted(rows, key=lambda row: row.received_ms):
            times.setdefault(row.pseudonym, []).append(row.received_ms)
        reserve = self.limits.red_reserve
        for moments in times.values():
            if _most_within(moments, MINUTE_MS) > self.limits.burst:
                found.append(f"{agency} let more than the burst of one person through")
            if _most_within(moments, DAY_MS) > self.limits.per_person_per_day + reserve:
                found.append(f"{agency} let more than a day's questions of one person through")
        return found

    def _diverged(self) -> list[str]:
        """One version of a catalogue has one root: at its custodian and at whoever holds it."""
        found = []
        for agency in AGENCIES:
            for told in (*self._published(agency), *self._held(agency)):
                name = (told.custodian, told.collection, told.epoch, told.version)
                if self.roots.setdefault(name, told.root) != told.root:
                    found.append(f"version {told.version} of a catalogue of {told.custodian} has two roots")
        return found

    def _published(self, agency: str) -> Iterator[CatalogueStatement]:
        store = open_store(load_config(self.stage.folder / agency).store_url)
        try:
            with store.read() as connection:
                envelopes = connection.execute(select(published_piece.c.statement)).scalars().all()
        finally:
            store.close()
        yield from self._read(agency, envelopes)

    def _held(self, agency: str) -> Iterator[CatalogueStatement]:
        folder = self.stage.folder / agency
        local = KeyRing.load(folder).local
        for place in (Place(folder), *other_places(folder)):
            files = PeerFiles(place.catalogues, local, lambda size: bytes(size))
            for name in files.names():
                try:
                    kept = files.read(name)
                except FileNotFoundError:  # just replaced by the node
                    continue
                envelopes = [kept.envelope, *(envelope for envelope, _ in kept.deltas)]
                yield from self._read(name.custodian, envelopes)

    def _read(self, custodian: str, envelopes: Iterable[bytes]) -> Iterator[CatalogueStatement]:
        key = self._keys[custodian]
        for envelope in envelopes:
            told = self._told.get(envelope)
            if told is None:
                told = CatalogueStatement.from_json(open_document(envelope, CATALOGUE_STATEMENT_TYPE, [key]))
                self._told[envelope] = told
            yield told

    def leaked(self) -> list[str]:
        """No name outside the agencies that hold it: not in files, logs or the memory of processes."""
        found = []
        for name in (*CUSTODIANS, *GATEWAYS):
            strangers = [child for child in ROWS if name not in KNOWN[child]]
            words = {child: [ROWS[child][field] for field in ("family", "postcode")] for child in strangers}
            for place, data in self._kept(name):
                lower = data.lower()
                for child, written in words.items():
                    if any(form in lower for word in written for form in needles(word)):
                        found.append(f"something of {child} is in {place}")
            for place, data in self._remembered(name):
                for child, written in words.items():
                    # As it is typed, and as a match key holds it; other forms would take minutes to look for.
                    if any(form.encode() in data for word in written for form in {word, word.lower()}):
                        found.append(f"something of {child} is in {place}")
        return found

    def _kept(self, name: str) -> Iterator[tuple[str, bytes]]:
        """The files and logs of a gateway or of an agency."""
        for where, data in files_of(self.stage.folder / name):
            yield f"{name}: {where}", data
        for path in sorted((self.stage.folder / "logs").glob(f"*-{name}*.log")):
            yield path.name, path.read_bytes()

    def _remembered(self, name: str) -> Iterator[tuple[str, bytes]]:
        """The memory of the processes of a gateway or of an agency."""
        for process in (one for one in (*GATEWAYS, *NODES) if one.partition("/")[0] == name):
            yield f"the memory of {process}", _memory(self.stage.running[process].process.pid)

    @cached_property
    def _keys(self) -> dict[str, bytes]:
        """What each agency signs with."""
        roster = Trust.load(self.stage.folder / SEARCHER, SEARCHER).roster
        return {member.agency_id: member.signing_key for member in roster.members}


def _most_within(moments: list[int], width_ms: int) -> int:
    """The most of some ascending moments that lie within any stretch of a width."""
    return max(
        (n - bisect.bisect_right(moments, at - width_ms) + 1 for n, at in enumerate(moments)), default=0
    )


def _memory(pid: int) -> bytes:
    """What a process of our own account has written in its memory; it may end meanwhile."""
    parts = []
    try:
        with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
            for low, high in _touched(Path(f"/proc/{pid}/smaps").read_text("utf-8", "replace")):
                try:
                    memory.seek(low)
                    parts.append(memory.read(high - low))
                except OSError:  # a mapping that cannot be read, or is gone
                    continue
    except (FileNotFoundError, ProcessLookupError):
        return b""
    return b"\n".join(parts)


def _touched(maps: str) -> Iterator[tuple[int, int]]:
    """The mappings that can be written and hold anything of their own, with their ends."""
    span: tuple[int, int] | None = None
    for line in maps.splitlines():
        first, *rest = line.split()
        if "-" in first and not first.endswith(":"):
            low, high = (int(end, 16) for end in first.split("-"))
            span = (low, high) if rest[0].startswith("rw") and high - low <= _MAX_REGION else None
        elif first == "Anonymous:" and span is not None and int(rest[0]):
            yield span
