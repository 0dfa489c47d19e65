"""Checkpoints: a log's signed statement of how long it is and what is in it, and who has seen it so.

Refuses:  a checkpoint not signed by the log it names, or of another log than expected.
Source:   C2SP tlog-checkpoint 1.0.0, tlog-cosignature 1.0.0.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from elsewhere.signing import SigningKey
from elsewhere.transparency.errors import NoteInvalid
from elsewhere.transparency.merkle import HASH_BYTES, MAX_SIZE
from elsewhere.transparency.note import Signed, Verifier, open_note, sign_note

_SIZE: Final = re.compile(r"0|[1-9]\d{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's root at one size."""

    origin: str  # names the log: federation and agency
    size: int  # leaves
    root: bytes  # 32 bytes

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE or len(self.root) != HASH_BYTES:
            raise NoteInvalid(f"expected a size up to {MAX_SIZE} and a root of {HASH_BYTES} bytes")
        if not re.fullmatch(r"[^\s+]{1,255}", self.origin):
            raise NoteInvalid("expected an origin without spaces and plus signs")

    def to_text(self) -> str:
        """Write the three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n"

    @classmethod
    def from_text(cls, text: str) -> Checkpoint:
        """Read what was signed; lines beyond the three are not ours to judge and refused.

        Raises:
            NoteInvalid: of another form.
        """
        lines = text.split("\n")
        if len(lines) != 4 or not _SIZE.fullmatch(lines[1]):
            raise NoteInvalid("expected three lines: origin, size, root")
        try:
            root = base64.b64decode(lines[2], validate=True)
        except (binascii.Error, ValueError):
            raise NoteInvalid("expected a root in base64") from None
        found = cls(lines[0], int(lines[1]), root)
        if found.to_text() != text:
            raise NoteInvalid("expected a checkpoint in its one form")
        return found


@dataclass(frozen=True, slots=True)
class Seen:
    """A checkpoint that its log signed, and the witnesses that have seen it."""

    checkpoint: Checkpoint
    witnesses: tuple[Signed, ...]
    key: bytes  # 32 bytes: which of the log's keys signed it


def log_origin(federation: str, agency: str, number: int = 0) -> str:
    """Name the log of one agency.

    Args:
        federation, agency: their ids.
        number: 0 for the first; for one begun anew after a restore, when that was, in POSIX seconds.
    """
    first = f"{federation}/{agency}/log"
    return f"{first}/{number}" if number else first


def log_number(origin: str, first: str) -> int:
    """Tell which of an agency's logs a name is of: the later one has the larger number.

    Args:
        origin: as a checkpoint states it.
        first: `log_origin` of the agency.

    Raises:
        NoteInvalid: of another agency's, or of none.
    """
    found = re.fullmatch(rf"{re.escape(first)}(?:/([1-9]\d{{0,15}}))?", origin)
    if found is None:
        raise NoteInvalid(f"expected a checkpoint of {first}; it is of another log")
    return int(found[1] or 0)


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> bytes:
    """Sign a checkpoint as the log it names."""
    return sign_note(checkpoint.to_text(), checkpoint.origin, key).encode()


def stated_in(note: str) -> Checkpoint:
    """Read what a note states whose signatures were checked when it was taken.

    Raises:
        NoteInvalid: of another form.
    """
    text, _, _ = note.rpartition("\n\n")
    return Checkpoint.from_text(text + "\n")


def open_log(
    note: bytes,
    first: str,
    public: bytes,
    witnesses: Sequence[Verifier] = (),
    *,
    earlier: Sequence[bytes] = (),
) -> Seen:
    """Read a checkpoint of an agency's first log, or of a later one. As `open_checkpoint` otherwise."""
    try:
        origin = stated_in(note.decode("utf-8")).origin
    except UnicodeDecodeError:
        raise NoteInvalid("expected a note in UTF-8") from None
    log_number(origin, first)
    return open_checkpoint(note, origin, public, witnesses, earlier=earlier)


def open_checkpoint(
    note: bytes,
    origin: str,
    public: bytes,
    witnesses: Sequence[Verifier] = (),
    *,
    earlier: Sequence[bytes] = (),
) -> Seen:
    """Read a checkpoint of one log.

    Args:
        note: as received.
        origin: the log it must be of.
        public: that log's key, from the roster.
        witnesses: whose cosignatures count.
        earlier: keys that it had before, where a checkpoint of that time will do.

    Raises:
        NoteInvalid: not signed by that log, of another log, or a listed witness's signature fails.
    """
    logs = [Verifier(origin, key) for key in (public, *earlier)]
    found = open_note(note, [*logs, *witnesses])
    signers = [signed.by for signed in found.signed]
    log = next((one for one in logs if one in signers), None)
    if log is None:
        raise NoteInvalid(f"expected the signature of {origin}; it is missing")
    checkpoint = Checkpoint.from_text(found.text)
    if checkpoint.origin != origin:
        raise NoteInvalid(f"expected a checkpoint of {origin}; it is of another log")
    return Seen(checkpoint, tuple(signed for signed in found.signed if signed.by.is_witness), log.public)
