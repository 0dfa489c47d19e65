"""What one custodian may have cached: catalogues it states a key for, with keys for members, up to a quota.

Holds:    how many bytes each cached piece has, statement included.
Sees:     key statements and the labels of catalogues; no tag, and no key.
Refuses:  pieces that no stated key belongs to, whose signed statement says otherwise or is somebody else's;
          grants to anyone who is no member; bytes over the quota. So one member can neither fill the
          gateway's disk nor have it tell all others of names that mean nothing to them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from elsewhere.errors import ElsewhereError, PieceRefused
from elsewhere.published import CatalogueStatement
from elsewhere.roster import Roster
from elsewhere.signing import open_document
from elsewhere.statement import CATALOGUE_STATEMENT_TYPE, KeyStatement
from elsewhere.wire.v1 import catalogue_pb2
from gateway.notices import LIVE_EPOCHS, is_outlived
from gateway.pieces import piece_path
from gateway.store import CachedPiece, CatalogueName

MAX_PIECE_STATEMENT_BYTES = 1024  # of the signed envelope; ours have 800 at most
MAX_COLLECTIONS = 8  # of one custodian


class Members(Protocol):
    """What is known of the members; a `Directory` is one."""

    @property
    def roster(self) -> Roster:
        """The roster in force."""

    def statement(self, agency: str) -> KeyStatement | None:
        """The newest key statement of an active member."""


class Custody:
    """Says what may be cached, and counts what is. Any thread may call it.

    Args:
        members: who they are and which keys they state.
        quota_bytes: for all pieces of one custodian.
    """

    def __init__(self, members: Members, quota_bytes: int) -> None:
        self._members, self._quota_bytes = members, quota_bytes
        self._sizes: dict[tuple[CatalogueName, int], int] = {}
        self._lock = threading.Lock()

    def count(self, root: Path, piece: CachedPiece) -> None:
        """Count a piece that is on the disk, and its statement; one whose file was lost takes no room."""
        try:
            size = piece_path(root, piece.name, piece.version).stat().st_size + len(piece.statement)
        except FileNotFoundError:
            size = 0
        with self._lock:
            self._sizes[piece.name, piece.version] = size

    def forget(self, piece: CachedPiece) -> None:
        """Count a piece no more."""
        with self._lock:
            self._sizes.pop((piece.name, piece.version), None)

    def room_bytes(self, custodian: str, superseded: Iterable[CachedPiece]) -> int:
        """Tell how large a new piece may be that takes the place of others.

        Both are on the disk for a moment, which the quota leaves out.
        """
        gone = {(piece.name, piece.version) for piece in superseded}
        kept = {key: size for key, size in self._of(custodian).items() if key not in gone}
        return self._quota_bytes - sum(kept.values())

    def check_name(self, name: CatalogueName) -> None:
        """Return only for a catalogue whose key its custodian states, and that is not an outlived one.

        Raises:
            PieceRefused: publish the key statement first.
        """
        statement = self._members.statement(name.custodian)
        keys = statement.oprf_keys if statement is not None else ()
        epochs = sorted((key.epoch for key in keys if key.collection == name.collection), reverse=True)
        if name.epoch not in epochs[:LIVE_EPOCHS]:
            raise PieceRefused(f"expected one of the newest {LIVE_EPOCHS} epochs that your statement has")

    def is_stated(self, name: CatalogueName) -> bool:
        """Tell whether its custodian states a key for a catalogue, or nothing is known of its keys."""
        statement = self._members.statement(name.custodian)
        return statement is None or statement.oprf_key(name.collection, name.epoch) is not None

    def is_outdated(self, piece: CachedPiece) -> bool:
        """Tell whether a piece was signed with a key that its custodian has no longer."""
        member = self._members.roster.member(piece.name.custodian)
        if member is None:
            return False
        try:
            open_document(piece.statement, CATALOGUE_STATEMENT_TYPE, [member.signing_key])
        except ElsewhereError:
            return True
        return False

    def check_new(self, name: CatalogueName) -> None:
        """Return only if a snapshot of this catalogue keeps its custodian within the bounds of number.

        Raises:
            PieceRefused: too many collections, or older than what is cached by LIVE_EPOCHS epochs.
        """
        cached = {other for other, _ in self._of(name.custodian)}
        if len({other.collection for other in (*cached, name)}) > MAX_COLLECTIONS:
            raise PieceRefused(f"expected at most {MAX_COLLECTIONS} collections of one custodian")
        # Going down through the epochs would else never make an older one superseded.
        if any(is_outlived(name, other) for other in cached):
            raise PieceRefused(f"expected one of the newest {LIVE_EPOCHS} epochs of what is cached")

    def check_statement(self, piece: catalogue_pb2.Piece) -> None:
        """Return only if the custodian signed what the head of a piece says, in a statement nodes can read.

        Raises:
            PieceRefused: the statement is too long, not signed by it, or about something else.
        """
        if not 1 <= len(piece.statement) <= MAX_PIECE_STATEMENT_BYTES:
            raise PieceRefused(f"expected a statement of 1..{MAX_PIECE_STATEMENT_BYTES} bytes")
        key = self._members.roster.active(piece.custodian).signing_key
        try:
            told = CatalogueStatement.from_json(
                open_document(piece.statement, CATALOGUE_STATEMENT_TYPE, [key])
            )
        except ElsewhereError as err:
            raise PieceRefused("expected a catalogue statement signed by its custodian") from err
        labels = (piece.custodian, piece.collection, piece.epoch, piece.version, piece.snapshot_version)
        if labels != (told.custodian, told.collection, told.epoch, told.version, told.snapshot_version):
            raise PieceRefused("expected a piece labelled as its statement says; it is labelled otherwise")

    def check_grants(self, searchers: Iterable[str]) -> None:
        """Return only if all of these are in the roster; raises PieceRefused."""
        members = {member.agency_id for member in self._members.roster.members}
        if not members.issuperset(searchers):
            raise PieceRefused("expected grants to members only; one is to somebody else")

    def _of(self, custodian: str) -> dict[tuple[CatalogueName, int], int]:
        """The pieces of one custodian, with their sizes."""
        with self._lock:
            return {key: size for key, size in self._sizes.items() if key[0].custodian == custodian}
