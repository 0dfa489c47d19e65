"""What is kept of one catalogue of this agency's own, read again: its snapshot's file and its deltas.

Refuses:  pieces whose roots do not follow from their tags.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from elsewhere.catalogue.files import read_catalogue
from elsewhere.catalogue.sealed import open_delta
from elsewhere.catalogue.statement import CatalogueStatement, delta_root
from elsewhere.catalogue.tags import Catalogue, ShortTags
from elsewhere.errors import CatalogueBroken
from elsewhere.lookup import Head
from elsewhere.signing import open_document
from elsewhere.statement import CATALOGUE_STATEMENT_TYPE


@dataclass(frozen=True, slots=True)
class OwnPiece:
    """One published version; a snapshot is encrypted from the set as it is sent."""

    statement: CatalogueStatement
    envelope: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)  # of a delta; empty for a snapshot

    @property
    def head(self) -> Head:
        """Its version and root."""
        return Head(self.statement.version, self.statement.root)


def read_statement(envelope: bytes, keys: Sequence[bytes]) -> CatalogueStatement:
    """Read a statement that this agency has signed, with any of these keys of its own."""
    return CatalogueStatement.from_json(open_document(envelope, CATALOGUE_STATEMENT_TYPE, keys))


def snapshot_path(folder: Path, name: tuple[str, int], version: int, term: int) -> Path:
    """The file of one snapshot.

    Args:
        folder: of the node's catalogues.
        name: collection and epoch.
        version: of the snapshot.
        term: of the lead that made it; 0 where none is known.
    """
    last = f"{version}.{term}" if term else f"{version}"
    return folder / f"own.{name[0]}.{name[1]}.{last}.cat"


def read_deltas(pieces: Sequence[OwnPiece], key: bytes) -> list[ShortTags]:
    """Open the deltas that follow a snapshot; raises CatalogueBroken unless the roots agree."""
    found, root = [], pieces[0].statement.root
    for piece in pieces[1:]:
        told = piece.statement
        tags = open_delta(piece.ciphertext, key, told.which, delta_size=told.delta_size)
        root = delta_root(root, tags)
        if root != told.root:
            raise CatalogueBroken(f"expected the root of version {told.version}; another came out")
        found.append(tags)
    return found


def read_snapshot(folder: Path, pieces: Sequence[OwnPiece], local: bytes, term: int) -> Catalogue:
    """Read a snapshot's file; raises CatalogueBroken, FileNotFoundError."""
    if not pieces or not pieces[0].statement.is_snapshot:
        raise CatalogueBroken("expected the published snapshot in the store; it is not there")
    told = pieces[0].statement
    path = snapshot_path(folder, (told.collection, told.epoch), told.version, term)
    return read_catalogue(path, key=local, which=told.which)
