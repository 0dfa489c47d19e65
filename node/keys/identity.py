"""This node's own key statement as it is kept: the one in force, and those that others may still name.

Refuses:  a statement that this node did not sign.
Promises: an earlier statement may be named while it gives no other key for what is stated now, as others
          learn of a new one a moment after it is made.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from elsewhere.errors import SignatureInvalid
from elsewhere.keyfiles import replace_file
from elsewhere.signing import SigningKey, open_document
from elsewhere.statement import STATEMENT_TYPE, KeyStatement, sign_statement
from node.keys.ring import Name, read_earlier

FILE_NAME: Final = "own-statement.json"
KEPT_EARLIER: Final = 8
_EARLIER = re.compile(r"own-statement\.(\d+)\.json")


@dataclass(frozen=True, slots=True)
class OwnStatement:
    """The statement in force, as it is published, and which ones others may still name."""

    statement: KeyStatement
    envelope: bytes
    accepted: frozenset[bytes]  # digests
    key: bytes  # 32 bytes: which of this node's signing keys signed it

    @property
    def ends_utc(self) -> datetime:
        """When the first key runs out that nothing is stated to take the place of."""
        newest = {entry.collection: entry.valid_until_utc for entry in self.statement.oprf_keys}
        sealing = max(entry.not_after_utc for entry in self.statement.sealing_keys)
        return min(sealing, *newest.values()) if newest else sealing


def read_own(directory: Path, signing: SigningKey) -> OwnStatement | None:
    """Read the statement in force; None before the first.

    Raises:
        SignatureInvalid, DocumentInvalid: the file was changed since this node wrote it.
    """
    folder = directory / "trust"
    try:
        envelope = (folder / FILE_NAME).read_bytes()
    except FileNotFoundError:
        return None
    keys = (signing.public, *read_earlier(directory))
    held, key = _open(envelope, keys)
    publics, accepted = _publics(held), {held.digest}
    for path in _earlier(folder).values():
        before, _ = _open(path.read_bytes(), keys)
        # A key that was replaced under its own name was replaced for a reason: its statement is void.
        if all(publics.get(name, public) == public for name, public in _publics(before).items()):
            accepted.add(before.digest)
    return OwnStatement(held, envelope, frozenset(accepted), key)


def write_own(directory: Path, signing: SigningKey, stated: KeyStatement) -> None:
    """Sign a statement and put it in the place of the one in force, which is kept beside it for a while."""
    folder = directory / "trust"
    held = read_own(directory, signing)
    if held is not None:
        replace_file(folder / f"own-statement.{held.statement.version}.json", held.envelope)
    replace_file(folder / FILE_NAME, sign_statement(signing, stated))
    earlier = _earlier(folder)
    for version in sorted(earlier)[:-KEPT_EARLIER]:
        earlier[version].unlink(missing_ok=True)


def _open(envelope: bytes, keys: Sequence[bytes]) -> tuple[KeyStatement, bytes]:
    """Read a statement of our own; gives the key as well that signed it."""
    for key in keys[:-1]:
        with contextlib.suppress(SignatureInvalid):
            return KeyStatement.from_json(open_document(envelope, STATEMENT_TYPE, [key])), key
    return KeyStatement.from_json(open_document(envelope, STATEMENT_TYPE, [keys[-1]])), keys[-1]


def _publics(stated: KeyStatement) -> dict[Name, bytes]:
    """The VOPRF keys of a statement."""
    return {(entry.collection, entry.epoch): entry.public for entry in stated.oprf_keys}


def _earlier(folder: Path) -> dict[int, Path]:
    """The files of statements that are no longer in force, by version."""
    found = ((_EARLIER.fullmatch(path.name), path) for path in folder.glob("own-statement.*.json"))
    return {int(match[1]): path for match, path in found if match is not None}
