"""This agency's own catalogues, opened to an auditor: every tag stands for a record, or is committed padding.

Sees:     this agency's tags and padding seeds. To be run on its premises.
Refuses:  a catalogue that has more in it than records and padding, or is not the one that the log states.
Source:   docs/ledger.md, "Catalogues"; elsewhere/catalogue/padding.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select

from elsewhere.catalogue.padding import check_delta_padding, check_padding, check_whole, count_padding
from elsewhere.errors import PaddingInvalid
from node.caseload.index import record_count, short_tags_since
from node.catalogues.ownfile import OwnPiece, read_deltas, read_snapshot, read_statement
from node.store.exchange import log, published, published_piece


@dataclass(frozen=True, slots=True)
class Custody:
    """Where this agency's catalogues are, and under which keys."""

    folder: Path  # of the node's catalogues
    local: bytes = field(repr=False)
    keys: tuple[bytes, ...]  # that statements are signed with: the one in force, those before


@dataclass(frozen=True, slots=True)
class Sound:
    """One catalogue in which nothing else was found."""

    collection: str
    epoch: int
    version: int
    tags: int
    for_records: int  # of them; those of records that left in this epoch included
    records: int  # in force now


def audit_catalogues(connection: Connection, custody: Custody) -> Iterator[Sound]:
    """Check every catalogue that this agency has published in the epochs that it still keeps.

    Raises:
        PaddingInvalid: names the catalogue and what does not fit.
        CatalogueBroken, FileNotFoundError, SignatureInvalid: it cannot be read; while the node runs, it may
            just have made another one.
    """
    for row in connection.execute(select(published).order_by(published.c.collection, published.c.epoch)):
        pieces = _pieces(connection, row, custody.keys)
        try:
            yield _audit(connection, custody, row, pieces)
        except PaddingInvalid as err:
            raise PaddingInvalid(f"{row.collection}, epoch {row.epoch}: {err}") from None


def _audit(connection: Connection, custody: Custody, row: Row[Any], pieces: list[OwnPiece]) -> Sound:
    """Check one: its snapshot, each delta, and then everything together."""
    catalogue = read_snapshot(custody.folder, pieces, custody.local, row.snapshot_term)
    first, seed = pieces[0].statement, bytes(row.seed)
    said = _logged(connection, row.collection, row.epoch, first.version)
    if (said["root"], said["padding_commitment"]) != (first.root.hex(), first.padding_commitment.hex()):
        raise PaddingInvalid("the snapshot is not the one that the log states")
    commitment = first.padding_commitment
    check_padding(catalogue.base, seed=seed, commitment=commitment, record_tags=int(said["unpadded_tags"]))
    deltas = read_deltas(pieces, bytes(row.snapshot_key))
    for piece, tags in zip(pieces[1:], deltas, strict=True):
        told = piece.statement
        others = len(tags) - count_padding(tags, seed=seed, version=told.version)
        check_delta_padding(
            tags,
            seed=seed,
            commitment=told.padding_commitment,
            record_tags=others,
            version=told.version,
        )
        catalogue = catalogue.with_delta(tags)
    whole, newest = catalogue.merge(), pieces[-1].statement
    records = short_tags_since(connection, row.collection, row.epoch, 0)
    size = newest.delta_size
    check_whole(whole, records, seed=seed, versions=newest.version, delta_size=size)
    held = int(catalogue.contains(records).sum())
    name = (row.collection, row.epoch, newest.version)
    return Sound(*name, len(whole), held, record_count(connection))


def _pieces(connection: Connection, row: Row[Any], keys: Sequence[bytes]) -> list[OwnPiece]:
    """What is published of one catalogue, the snapshot first."""
    is_it = (published_piece.c.collection == row.collection) & (published_piece.c.epoch == row.epoch)
    query = select(published_piece).where(is_it).order_by(published_piece.c.version)
    return [
        OwnPiece(read_statement(one.statement, keys), one.statement, one.ciphertext)
        for one in connection.execute(query)
    ]


def _logged(connection: Connection, collection: str, epoch: int, version: int) -> dict[str, Any]:
    """What the log says of a snapshot."""
    bodies = connection.execute(
        select(log.c.body).where(log.c.kind == "catalogue").order_by(log.c.seq.desc())
    )
    for body in bodies.scalars():
        said: dict[str, Any] = json.loads(body)
        if (said["collection"], said["epoch"], said["version"]) == (collection, epoch, version):
            return said
    raise PaddingInvalid("the log states no such snapshot")
