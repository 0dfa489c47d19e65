"""Good rows out of an export, with everything else counted: the part that a load and its dry run share.

Sees:     every row of an export; keeps of each only short hashes, to see repeats.
Refuses:  a file of which so much is refused, or whose dates are so odd, that its mapping cannot be right.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from node.caseload.fields import FieldCounts, check_dates
from node.caseload.mapping import SourceMapping
from node.caseload.report import Progress, Tally
from node.caseload.rows import CaseRow, RowError, RowReader
from node.caseload.shields import NONE, strictest
from node.caseload.sources import Source, check_columns
from node.caseload.staging import batches
from node.caseload.words import WordSet
from node.caseload.workers import TagSet, Workers
from node.errors import LoadRefused

ALWAYS_TOLERATED = 3  # refused rows, if there are more good ones
_CHUNK_ROWS = 500


@dataclass(slots=True)
class Reading:
    """What a pass over an export leaves behind, beside its rows."""

    tally: Tally
    today: datetime.date  # dates after it are noted
    progress: Progress
    # Persons whose shield stands: only of them does it matter that a row says NONE.
    shielded: Collection[str] = field(default=frozenset(), repr=False)
    stated: dict[str, str] = field(default_factory=dict, repr=False)  # person id -> shield its rows state
    withheld: set[str] = field(
        default_factory=set, repr=False
    )  # persons with a refused row that has a shield
    fields: FieldCounts = field(default_factory=FieldCounts)  # over the rows that were yielded


def read_rows(
    source: Source, mapping: SourceMapping, reading: Reading, workers: Workers
) -> Iterator[CaseRow]:
    """Yield each good row once; count the others in `reading`, which is complete when this ends.

    Raises:
        SourceUnreadable, SourceEmpty, ColumnMissing: the export is not what its mapping says.
        LoadRefused: too many rows were refused, or too many dates cannot be read.
    """
    tally, seen = reading.tally, _Seen()
    check_columns(source, mapping.columns())
    reader = RowReader(mapping, source.header, reading.today)
    chunks = ((reader, chunk) for chunk in batches(source.rows(), _CHUNK_ROWS))
    for chunk in workers.map(_read_chunk, chunks):
        for number, outcome in chunk:
            tally.read += 1
            try:
                if isinstance(outcome, RowError):
                    raise outcome
                is_new = seen.add(outcome, refuse=mapping.source.repeated_ids == "refuse", tally=tally)
            except RowError as refusal:
                tally.refuse(number, refusal.code)
                if refusal.is_shielded and refusal.person_ref:
                    reading.withheld.add(refusal.person_ref)
                continue
            _note_shield(outcome, reading)
            if outcome.kept_until is not None and outcome.kept_until <= reading.today:
                tally.expired += 1
            elif is_new:
                tally.good += 1
                tally.notes.update(outcome.notes)
                reading.fields.add(outcome.fields)
                yield outcome
        reading.progress("read", *source.progress)
    _check_refused(tally, mapping.source.max_refused_percent)
    check_dates(reading.fields)


def _note_shield(row: CaseRow, reading: Reading) -> None:
    """Keep what a row states of its person's shield; most say NONE of a person who never had one."""
    if row.shield is None or (row.shield == NONE and row.person_ref not in reading.shielded):
        return
    known = reading.stated.get(row.person_ref, NONE)
    reading.stated[row.person_ref] = strictest((row.shield, known))


def _read_chunk(
    _sets: Sequence[TagSet], work: tuple[RowReader, Sequence[tuple[int, Sequence[str]]]]
) -> list[tuple[int, CaseRow | RowError]]:
    """Read some rows, in a worker process where there are many."""
    reader, chunk = work
    found: list[tuple[int, CaseRow | RowError]] = []
    for number, fields in chunk:
        try:
            found.append((number, reader.read(fields)))
        except RowError as refusal:
            found.append((number, refusal.with_traceback(None)))
    return found


class _Seen:
    """Which persons and rows came before, by 64 bits of their hashes."""

    def __init__(self) -> None:
        self._refs, self._rows = WordSet(), WordSet()

    def add(self, row: CaseRow, *, refuse: bool, tally: Tally) -> bool:
        """Tell whether a row is new; the same person again is noted, or refused if the mapping says so."""
        ref = int.from_bytes(hashlib.blake2b(row.person_ref.encode(), digest_size=8).digest())
        whole = int.from_bytes(row.digest[:8])
        if ref in self._refs:
            if refuse:
                error = RowError("person.id_repeated")
                error.person_ref, error.is_shielded = row.person_ref, row.shield not in (None, NONE)
                raise error
            if whole in self._rows:
                tally.notes["row.repeated"] += 1
                return False
            tally.notes["person.id_repeated"] += 1
        self._refs.add(ref)
        self._rows.add(whole)
        return True


def _check_refused(tally: Tally, percent: int) -> None:
    """Refuse a file whose rows do not fit its mapping, before anything of it counts."""
    refused = tally.refused.total()
    good = tally.good + tally.expired
    if good == 0 or refused >= good:
        raise LoadRefused(f"expected more good rows than refused ones; {tally.read} came, {refused} refused")
    if refused > ALWAYS_TOLERATED and refused * 100 > percent * tally.read:
        raise LoadRefused(
            f"expected at most {percent} % of the rows to be refused; {refused} of {tally.read} were"
        )
