"""What the gateway counts of a custodian's pieces, and how long a statement may be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

from elsewhere.published import MAX_DELTA_SIZE, MAX_TAGS, MAX_VERSION
from elsewhere.signing import SigningKey, sign_document
from elsewhere.statement import CATALOGUE_STATEMENT_TYPE, MAX_EPOCH
from gateway.custody import MAX_PIECE_STATEMENT_BYTES, Custody, Members
from gateway.pieces import piece_path
from gateway.store import CachedPiece, CatalogueName
from tests.fuzz import seeds


def test_the_longest_statement_that_a_node_can_make_is_not_too_long() -> None:
    longest = replace(
        seeds.CATALOGUE,
        custodian="a" * 32,
        collection="b" * 32,
        epoch=MAX_EPOCH,
        version=MAX_VERSION,
        snapshot_version=MAX_VERSION,
        snapshot_count=MAX_TAGS,
        delta_size=MAX_DELTA_SIZE,
    )
    signed = sign_document([SigningKey(bytes(32))], CATALOGUE_STATEMENT_TYPE, longest.to_json())
    assert 0.7 * MAX_PIECE_STATEMENT_BYTES < len(signed) <= MAX_PIECE_STATEMENT_BYTES


def test_statements_count_towards_the_quota_and_superseded_pieces_no_more(tmp_path: Path) -> None:
    custody = Custody(cast("Members", None), 10_000)
    name = CatalogueName("police", "involvement", 1)
    pieces = [CachedPiece(name, version, 1, 1, bytes(800)) for version in (1, 2)]
    for piece in pieces:
        path = piece_path(tmp_path, name, piece.version)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(200))
        custody.count(tmp_path, piece)
    assert custody.room_bytes("police", []) == 8000
    assert custody.room_bytes("police", pieces[:1]) == 9000
    custody.forget(pieces[0])
    assert custody.room_bytes("police", []) == 9000
    piece_path(tmp_path, name, 2).unlink()
    custody.count(tmp_path, pieces[1])
    assert custody.room_bytes("police", []) == 10_000, "nothing is there"
