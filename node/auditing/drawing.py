"""The draw of one log, as its witness hands it to an auditor: every checkpoint that it signed, in order.

Sees:     sizes and roots of another agency's log; no entry.
Refuses:  a draw of another log, by nobody of the federation, or out of order.
Source:   docs/ledger.md, "What is opened"; elsewhere/transparency/draw.py.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, select

from elsewhere.canonical import Json, canonical_json, parse_canonical
from elsewhere.errors import DocumentInvalid
from elsewhere.fields import Fields
from elsewhere.roster import AGENCY_ID, Roster
from elsewhere.transparency.checkpoint import Checkpoint, log_origin, open_log
from elsewhere.transparency.draw import Draw, drawn
from elsewhere.transparency.errors import NoteInvalid
from elsewhere.transparency.note import Verifier
from elsewhere.transparency.witnesses import all_verifiers, witness_name, witnesses_of
from node.store.ledger import witnessed

MAX_DRAW_BYTES: Final = 256 * 2**20
_STAMPED: Final = 72  # bytes of a cosignature: when it was made, and the signature


@dataclass(frozen=True, slots=True)
class DrawFile:
    """What one witness signed of one log. Nothing in it names anybody."""

    agency: str  # whose log
    witness: str  # which agency signed
    notes: tuple[str, ...] = field(repr=False)  # by size, smallest first

    def to_bytes(self) -> bytes:
        """Write it for an auditor to carry."""
        notes: list[Json] = [*self.notes]
        return canonical_json({"agency": self.agency, "witness": self.witness, "notes": notes}) + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> DrawFile:
        """Read one of which nothing is trusted yet; raises DocumentInvalid, NotCanonical."""
        if len(data) > MAX_DRAW_BYTES:
            raise DocumentInvalid("draw", f"expected at most {MAX_DRAW_BYTES} bytes")
        fields = Fields(parse_canonical(data.removesuffix(b"\n")))
        notes = fields.take("notes")
        if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
            raise DocumentInvalid("notes", "expected a list of texts")
        found = cls(
            fields.text("agency", AGENCY_ID),
            fields.text("witness", AGENCY_ID),
            tuple(note for note in notes if isinstance(note, str)),
        )
        fields.done()
        return found


def read_signed(connection: Connection, agency: str, witness: str) -> DrawFile:
    """Give everything that this agency has signed of another's log, and still keeps."""
    query = select(witnessed.c.note).where(witnessed.c.agency == agency).order_by(witnessed.c.size)
    return DrawFile(agency, witness, tuple(connection.execute(query).scalars()))


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one witness's signatures draw of a log, and the states of the log that they are on."""

    witness: str  # which agency signed
    places: tuple[int, ...]  # of entries, from 0
    checkpoints: tuple[Checkpoint, ...] = field(repr=False)


def open_draw(file: DrawFile, roster: Roster, agency: str) -> Drawn:
    """Check a draw and give what it draws.

    Args:
        file: as an auditor brought it.
        roster: in force; a witness that has left since is known too.
        agency: whose log is audited.

    Raises:
        NoteInvalid: of another log, not signed by both log and witness, or not in order.
    """
    member = roster.member(agency)
    by = {verifier.name: verifier for verifier in all_verifiers(roster)}
    witness = by.get(witness_name(roster.federation, file.witness))
    if member is None or file.agency != agency:
        raise NoteInvalid(f"expected a draw of the log of {agency}; it is of another")
    if witness is None or file.witness == agency:
        raise NoteInvalid("expected a draw by another member of the federation")
    first, origin = log_origin(roster.federation, agency), ""
    draws: list[Draw] = []
    checkpoints: list[Checkpoint] = []
    start = 0
    for note in file.notes:
        found = open_log(note.encode(), first, member.signing_key, [witness])
        if found.checkpoint.origin != origin:  # begun anew: what was drawn of the one before is gone
            draws, checkpoints, start, origin = [], [], 0, found.checkpoint.origin
        if not found.witnesses or found.checkpoint.size <= start:
            raise NoteInvalid("expected checkpoints of growing size, each with the witness's signature")
        draws.append(Draw(_signature(note, witness), start, found.checkpoint.size))
        checkpoints.append(found.checkpoint)
        start = found.checkpoint.size
    witnesses = max(1, len(witnesses_of(roster, agency)))
    return Drawn(file.witness, tuple(drawn(draws, witnesses)), tuple(checkpoints))


def who_is_missing(found: Sequence[Drawn], roster: Roster, agency: str) -> tuple[str, ...]:
    """Name the witnesses of a log whose draw is not among those found; others may be, and draw more.

    Raises:
        NoteInvalid: one witness's draw is there twice.
    """
    given = [one.witness for one in found]
    if len(set(given)) != len(given):
        raise NoteInvalid("expected the draw of each witness once; one is given twice")
    return tuple(name for name in witnesses_of(roster, agency) if name not in given)


def _signature(note: str, witness: Verifier) -> bytes:
    """The bytes by which a witness's line draws: time and signature, as they are checked."""
    for name, octets in _lines(note):
        if name == witness.name and octets[:4] == witness.id:
            return octets[4 : 4 + _STAMPED]
    raise NoteInvalid("expected the line of a witness that was checked")


def _lines(note: str) -> Iterator[tuple[str, bytes]]:
    for line in note.rpartition("\n\n")[2].splitlines():
        _, name, encoded = line.split(" ")
        yield name, base64.b64decode(encoded)


def union(found: Sequence[Drawn]) -> tuple[int, ...]:
    """The places that any of some draws draws, in order."""
    return tuple(sorted({place for one in found for place in one.places}))
