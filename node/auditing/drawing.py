"""The draw of an agency's logs, as a witness hands it to an auditor: every checkpoint that it signed.

Sees:     sizes and roots of another agency's logs; no entry.
Refuses:  a draw of another log, by nobody of the federation, out of order, cut, or of long ago.
Source:   docs/ledger.md, "What is opened"; elsewhere/transparency/draw.py.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select

from elsewhere.canonical import Json, canonical_json, parse_canonical
from elsewhere.errors import DocumentInvalid
from elsewhere.fields import Fields, format_instant
from elsewhere.roster import AGENCY_ID, Roster
from elsewhere.signing import SIGNATURE_BYTES, SigningKey, check_signature, sign_bytes
from elsewhere.transparency.checkpoint import Checkpoint, log_number, log_origin, open_log
from elsewhere.transparency.errors import NoteInvalid
from elsewhere.transparency.note import Verifier
from elsewhere.transparency.witnesses import witness_name, witnesses_of
from node.store.ledger import witnessed, witnessed_before

DRAW_TYPE: Final = "application/vnd.elsewhere.draw.v1+json"
FRESH_FOR: Final = timedelta(days=7)  # for an auditor to carry it
MAX_DRAW_BYTES: Final = 256 * 2**20
_STAMPED: Final = 72  # bytes of a cosignature: when it was made, and the signature


@dataclass(frozen=True, slots=True)
class DrawFile:
    """What one witness signed of one agency's logs. Nothing in it names anybody."""

    agency: str  # whose logs
    witness: str  # which agency signed
    at: datetime  # when it was written down
    notes: tuple[str, ...] = field(repr=False)  # log by log, each by size, smallest first
    signature: bytes = field(default=b"", repr=False)  # of all the rest: nothing was cut off since

    def stated(self) -> bytes:
        """Give the bytes that the witness signs."""
        return canonical_json(self._fields())

    def to_bytes(self) -> bytes:
        """Write it for an auditor to carry."""
        return canonical_json({**self._fields(), "signature": self.signature.hex()}) + b"\n"

    def _fields(self) -> dict[str, Json]:
        notes: list[Json] = [*self.notes]
        return {"agency": self.agency, "witness": self.witness, "at": format_instant(self.at), "notes": notes}

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
            fields.instant("at"),
            tuple(note for note in notes if isinstance(note, str)),
            fields.octets("signature", SIGNATURE_BYTES),
        )
        fields.done()
        return found


def read_signed(connection: Connection, agency: str, by: tuple[str, SigningKey], now: datetime) -> DrawFile:
    """Give everything that this agency has signed of another's logs, and still keeps, under its signature.

    Args:
        connection: to this agency's store.
        agency: whose logs.
        by: this agency and its signing key.
        now: aware UTC time.
    """
    witness, key = by
    old, new = witnessed_before, witnessed
    before = select(old.c.note).where(old.c.agency == agency).order_by(old.c.number, old.c.size)
    last = select(new.c.note).where(new.c.agency == agency).order_by(new.c.size)
    notes = [*connection.execute(before).scalars(), *connection.execute(last).scalars()]
    found = DrawFile(agency, witness, now.replace(microsecond=0), tuple(notes))
    return replace(found, signature=sign_bytes(key, DRAW_TYPE, found.stated()))


@dataclass(frozen=True, slots=True)
class State:
    """One state of a log that a witness signed."""

    checkpoint: Checkpoint
    signature: bytes = field(repr=False)  # with the time before it: 72 bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """All that one witness signed of one agency's logs, the one begun last at the end."""

    witness: str  # which agency signed
    at: datetime  # when it was written down
    states: tuple[State, ...] = field(repr=False)


def open_draw(file: DrawFile, roster: Roster, agency: str, now: datetime) -> Signed:
    """Check a draw.

    Args:
        file: as an auditor brought it.
        roster: in force; a witness that has left since is known too.
        agency: whose logs are audited.
        now: aware UTC time.

    Raises:
        NoteInvalid: of another agency's logs, not signed by both log and witness, not in order, or so old
            that what was signed since is missing.
        SignatureInvalid: something of it is not as the witness wrote it down.
    """
    owner, signer = roster.member(agency), roster.member(file.witness)
    if owner is None or file.agency != agency:
        raise NoteInvalid(f"expected a draw of the log of {agency}; it is of another")
    if signer is None or file.witness == agency:
        raise NoteInvalid("expected a draw by another member of the federation")
    check_signature(signer.signing_key, DRAW_TYPE, file.stated(), file.signature)
    if not now - FRESH_FOR <= file.at <= now + FRESH_FOR:
        raise NoteInvalid(f"expected a draw of the last {FRESH_FOR.days} days; have it written anew")
    name = witness_name(roster.federation, file.witness)
    witnesses = [Verifier(name, key, is_witness=True) for key in signer.keys]
    first = log_origin(roster.federation, agency)
    states: list[State] = []
    last, latest_s = (-1, 0), (file.at + FRESH_FOR).timestamp()
    for note in file.notes:
        found = open_log(note.encode(), first, owner.signing_key, witnesses, earlier=owner.earlier_keys)
        place = (log_number(found.checkpoint.origin, first), found.checkpoint.size)
        times = [line.at_s for line in found.witnesses if line.at_s is not None and line.at_s <= latest_s]
        if not times or place <= last or not place[1]:
            raise NoteInvalid("expected checkpoints of growing size, each with the witness's signature")
        states.append(State(found.checkpoint, _signature(note, witnesses)))
        last = place
    return Signed(file.witness, file.at, tuple(states))


def who_is_missing(found: Sequence[Signed], roster: Roster, agency: str) -> tuple[str, ...]:
    """Name the witnesses of a log whose draw is not among those found; others may be, and draw more.

    Raises:
        NoteInvalid: one witness's draw is there twice.
    """
    given = [one.witness for one in found]
    if len(set(given)) != len(given):
        raise NoteInvalid("expected the draw of each witness once; one is given twice")
    return tuple(name for name in witnesses_of(roster, agency) if name not in given)


def _signature(note: str, witnesses: Sequence[Verifier]) -> bytes:
    """The bytes by which a witness's line draws, under whichever of its keys: as they are checked."""
    known = {(witness.name, witness.id) for witness in witnesses}
    for name, octets in _lines(note):
        if (name, octets[:4]) in known:
            return octets[4 : 4 + _STAMPED]
    raise NoteInvalid("expected the line of a witness that was checked")


def _lines(note: str) -> Iterator[tuple[str, bytes]]:
    for line in note.rpartition("\n\n")[2].splitlines():
        _, name, encoded = line.split(" ")
        yield name, base64.b64decode(encoded)
