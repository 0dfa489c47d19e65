"""Signed notes: a short text and who signed it, as one text that people and other programs can read.

Refuses:  a note that a known key signed wrongly, and one that no known key signed.
Promises: keys that are not known count for nothing.
Source:   C2SP signed-note 1.0.0; C2SP tlog-cosignature 1.0.0 for signatures that say when.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from elsewhere.signing import KEY_BYTES, SIGNATURE_BYTES, SigningKey
from elsewhere.transparency.errors import NoteInvalid

MAX_NOTE_BYTES: Final = 16 * 1024
MAX_SIGNATURES: Final = 32
_KEY_NAME: Final = re.compile(r"[^\s+]{1,255}")
_SIGNATURE: Final = re.compile("— ([^ +]+) ([A-Za-z0-9+/]+={0,2})")
_ED25519, _COSIGNATURE = 0x01, 0x04
_ID_BYTES, _TIME_BYTES = 4, 8
_LATEST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Verifier:
    """A key that is trusted to sign notes under a name; as a witness it also says when."""

    name: str
    public: bytes  # 32 bytes, Ed25519
    is_witness: bool = False

    def __post_init__(self) -> None:
        if not _KEY_NAME.fullmatch(self.name):
            raise NoteInvalid("expected a key name without spaces and plus signs")
        if len(self.public) != KEY_BYTES:
            raise NoteInvalid(f"expected a key of {KEY_BYTES} bytes, got {len(self.public)}")

    @property
    def id(self) -> bytes:
        """Four bytes by which a signature names its key; a hint, never a proof."""
        kind = _COSIGNATURE if self.is_witness else _ED25519
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([kind]) + self.public).digest()[:_ID_BYTES]


@dataclass(frozen=True, slots=True)
class Signed:
    """One signature of a note that holds."""

    by: Verifier
    at_s: int | None = None  # POSIX time that a witness states; None for any other signer


@dataclass(frozen=True, slots=True)
class Note:
    """A note whose signatures were checked."""

    text: str
    signed: tuple[Signed, ...]  # by known keys, one each, in the note's order


def sign_note(text: str, name: str, key: SigningKey) -> str:
    """Make a note with one signature.

    Args:
        text: lines, the last one ended as well.
        name: of the key.
        key: the signer's.
    """
    _check_text(text)
    return f"{text}\n{_line(Verifier(name, key.public), key.sign(text.encode()))}"


def cosign(note: str, name: str, key: SigningKey, at_s: int) -> str:
    """Make the line with which a witness says that it saw this note, and when.

    Args:
        note: as received; its signatures are not checked here.
        name: the witness's.
        key: the witness's.
        at_s: POSIX time.

    Returns: the line, to be put at the note's end.
    """
    text, _ = _split(note)
    return cosign_text(text, name, key, at_s)


def cosign_text(text: str, name: str, key: SigningKey, at_s: int) -> str:
    """As `cosign`, of a text of which there is no note here yet."""
    stamped = at_s.to_bytes(_TIME_BYTES)
    signature = key.sign(_witnessed(text, at_s))
    return _line(Verifier(name, key.public, is_witness=True), stamped + signature)


def add_lines(note: str, lines: Iterable[str]) -> str:
    """Put signatures at a note's end, leaving out those that stand in it already."""
    _, held = _split(note)
    return note + "".join(line for line in dict.fromkeys(lines) if line.removesuffix("\n") not in held)


def only_by(note: str, verifiers: Iterable[Verifier]) -> str:
    """Give a note without the signatures of other keys, so that whoever keeps it keeps nobody's ballast."""
    text, lines = _split(note)
    known = {(verifier.name, verifier.id) for verifier in verifiers}
    kept = [line for line in lines if ((read := _read_line(line))[0], read[1][:_ID_BYTES]) in known]
    return f"{text}\n" + "".join(f"{line}\n" for line in kept)


def is_by_same(one: str, other: str) -> bool:
    """Tell whether two signature lines state the same name and key."""
    found = [_read_line(line.removesuffix("\n")) for line in (one, other)]
    return len({(name, signature[:_ID_BYTES]) for name, signature in found}) == 1


def open_note(note: bytes, verifiers: Sequence[Verifier]) -> Note:
    """Read a note that at least one known key has signed.

    Raises:
        NoteInvalid: not a note, a known key's signature fails, or no known key signed it.
    """
    if len(note) > MAX_NOTE_BYTES:
        raise NoteInvalid(f"expected a note of at most {MAX_NOTE_BYTES} bytes, got {len(note)}")
    try:
        text, lines = _split(note.decode("utf-8"))
    except UnicodeDecodeError:
        raise NoteInvalid("expected a note in UTF-8") from None
    known = {(verifier.name, verifier.id): verifier for verifier in verifiers}
    signed: dict[Verifier, Signed] = {}
    for name, signature in map(_read_line, lines):
        by = known.get((name, signature[:_ID_BYTES]))
        if by is not None:
            at_s = _check(by, text, signature[_ID_BYTES:])
            signed.setdefault(by, Signed(by, at_s))
    if not signed:
        raise NoteInvalid("expected a note signed by a known key; it is not")
    return Note(text, tuple(signed.values()))


def _check(by: Verifier, text: str, signature: bytes) -> int | None:
    """Check one signature by a known key; gives the time that a witness states."""
    at_s: int | None = None
    message = text.encode()
    if by.is_witness:
        at_s = int.from_bytes(signature[:_TIME_BYTES])
        signature = signature[_TIME_BYTES:]
        message = _witnessed(text, at_s)
    try:
        if len(signature) != SIGNATURE_BYTES or (at_s or 0) > _LATEST:
            raise InvalidSignature
        Ed25519PublicKey.from_public_bytes(by.public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise NoteInvalid(f"expected a signature by {by.name}; it fails") from None
    return at_s


def _witnessed(text: str, at_s: int) -> bytes:
    """What a witness signs."""
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()


def _line(by: Verifier, signature: bytes) -> str:
    """Write one signature."""
    return f"— {by.name} {base64.b64encode(by.id + signature).decode('ascii')}\n"


def _split(note: str) -> tuple[str, list[str]]:
    """Part the text from its signature lines."""
    text, parting, lines = note.rpartition("\n\n")
    listed = lines.removesuffix("\n").split("\n")
    if not text or not parting or not lines.endswith("\n") or len(listed) > MAX_SIGNATURES:
        raise NoteInvalid(f"expected a text, an empty line and 1..{MAX_SIGNATURES} signatures")
    _check_text(text + "\n")
    return text + "\n", listed


def _check_text(text: str) -> None:
    """Refuse what is no text of a note."""
    if not text.endswith("\n") or any(char < " " and char != "\n" for char in text):
        raise NoteInvalid("expected lines without control characters, the last one ended")


def _read_line(line: str) -> tuple[str, bytes]:
    """Take a signature line apart: name, and key id with signature."""
    found = _SIGNATURE.fullmatch(line)
    try:
        signature = base64.b64decode(found[2], validate=True) if found else b""
    except binascii.Error:
        signature = b""
    if found is None or len(signature) <= _ID_BYTES:
        raise NoteInvalid("expected signatures as dash, name and base64; a line is of another form")
    return found[1], signature
