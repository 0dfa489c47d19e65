"""One's own catalogue: constant in shape, never two contents of one version, whole after any crash."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Row, select

from elsewhere.catalogue.padding import check_delta_padding, check_padding, commit_seed
from elsewhere.catalogue.sealed import open_delta
from elsewhere.catalogue.statement import delta_root, snapshot_root
from elsewhere.catalogue.tags import contains
from elsewhere.errors import LogUnavailable
from elsewhere.signing import SigningKey, sign_document
from elsewhere.statement import CATALOGUE_STATEMENT_TYPE
from node.catalogues import own as own_catalogue
from node.catalogues.ended import drop_others
from node.catalogues.own import OwnCatalogue, OwnState
from node.catalogues.times import MAX_BACKLOG_TICKS
from node.store.exchange import log, published, published_piece
from tests.unit.node.exchange_world import DELTA_TAGS, NAMES, Agency, make_agencies, numbers


@pytest.fixture
def police(tmp_path: Path) -> Iterator[Agency]:
    agency = make_agencies(tmp_path)["police"]
    agency.start()
    yield agency
    agency.stop()


def state_of(own: OwnCatalogue) -> OwnState:
    assert own.state is not None
    return own.state


def test_an_empty_caseload_publishes_a_fully_padded_snapshot(police: Agency) -> None:
    own = police.opened()

    own.step()

    state = state_of(own)
    assert state.newest.is_snapshot
    assert state.newest.version == 1
    assert state.newest.snapshot_count == len(state.catalogue) == 4096
    assert state.newest.root == snapshot_root(state.catalogue.base)
    check_padding(
        state.catalogue.base, seed=state.seed, commitment=state.newest.padding_commitment, record_tags=0
    )


def test_a_few_records_and_none_give_snapshots_of_one_size(police: Agency) -> None:
    empty = police.opened("protected")
    empty.step()
    tags = numbers(90, 1)
    police.add_tags(tags, [("involvement", 1)])
    filled = police.opened()

    filled.step()

    state = state_of(filled)
    assert len(state.catalogue) == len(state_of(empty).catalogue)
    assert all(state.catalogue.contains_each(tags))
    check_padding(state.catalogue.base, seed=state.seed, commitment=commit_seed(state.seed), record_tags=90)


def test_a_delta_with_nothing_new_and_one_with_a_child_are_alike_in_shape(police: Agency) -> None:
    own = police.opened()
    own.step()

    own.step()
    idle = state_of(own)
    police.add_tags(numbers(5, 2))
    own.step()
    busy = state_of(own)

    first, second = idle.pieces[-1], busy.pieces[-1]
    assert len(first.ciphertext) == len(second.ciphertext)
    assert len(first.envelope) == len(second.envelope)
    assert first.statement.delta_size == second.statement.delta_size == DELTA_TAGS
    for piece, records in ((first, 0), (second, 5)):
        told = piece.statement
        tags = open_delta(piece.ciphertext, busy.key, told.which, delta_size=DELTA_TAGS)
        assert len(tags) == DELTA_TAGS
        check_delta_padding(
            tags,
            seed=busy.seed,
            commitment=told.padding_commitment,
            record_tags=records,
            version=told.version,
        )
    assert all(busy.catalogue.contains_each(numbers(5, 2)))


def test_what_does_not_fit_is_carried_over_until_all_is_out(police: Agency) -> None:
    own = police.opened()
    own.step()
    tags = numbers(2 * DELTA_TAGS + 3, 3)
    police.add_tags(tags)

    counts = []
    for _ in range(4):
        own.step()
        counts.append(sum(state_of(own).catalogue.contains_each(tags)))

    assert counts == [DELTA_TAGS, 2 * DELTA_TAGS, len(tags), len(tags)]
    assert not state_of(own).newest.is_snapshot


def test_a_backlog_that_would_take_long_goes_out_as_a_snapshot(police: Agency) -> None:
    own = police.opened()
    own.step()
    before = state_of(own)
    tags = numbers(MAX_BACKLOG_TICKS * DELTA_TAGS + 1, 4)
    police.add_tags(tags)

    own.step()

    after = state_of(own)
    assert after.newest.is_snapshot
    assert after.newest.version == 2
    assert after.key != before.key
    assert after.seed == before.seed
    assert all(after.catalogue.contains_each(tags))
    assert all(after.catalogue.contains_each(before.catalogue.merge())), "padding that vanishes tells"


def test_a_long_chain_is_begun_anew_with_everything_in_it(
    police: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_catalogue, "MAX_CHAIN", 3)
    own = police.opened()
    for _ in range(4):
        own.step()
    chain = state_of(own)

    own.step()

    renewed = state_of(own)
    assert [p.statement.version for p in chain.pieces] == [1, 2, 3, 4]
    assert renewed.newest.is_snapshot
    assert renewed.newest.version == 5
    assert all(renewed.catalogue.contains_each(chain.catalogue.merge()))
    row = published_rows(police)[0]
    assert (row.version, row.snapshot_version) == (5, 5)


def test_padding_of_a_later_snapshot_can_be_audited_from_the_log(police: Agency) -> None:
    own = police.opened()
    police.add_tags(numbers(10, 5))
    own.step()
    police.add_tags(numbers(MAX_BACKLOG_TICKS * DELTA_TAGS * 6, 6))
    own.step()

    with police.store.read() as conn:
        bodies = [json.loads(row.body) for row in conn.execute(select(log).order_by(log.c.seq))]

    state = state_of(own)
    assert [body["kind"] for body in bodies] == ["catalogue", "catalogue"]
    assert bodies[1]["root"] == state.newest.root.hex()
    assert (bodies[1]["version"], bodies[1]["tags"]) == (2, state.newest.snapshot_count)
    assert bodies[0]["unpadded_tags"] == 10
    check_padding(
        state.catalogue.base,
        seed=state.seed,
        commitment=bytes.fromhex(bodies[1]["padding_commitment"]),
        record_tags=bodies[1]["unpadded_tags"],
    )


def test_removed_records_stay_in_the_published_set(police: Agency) -> None:
    tags = numbers(20, 7)
    police.add_tags(tags)
    own = police.opened()
    own.step()

    police.forget_entries()
    police.add_tags(numbers(3, 8))
    own.step()
    own.renew()
    own.step()

    assert state_of(own).newest.is_snapshot
    assert all(state_of(own).catalogue.contains_each(tags))


def test_a_tag_that_comes_back_is_not_published_again(police: Agency) -> None:
    tags = numbers(4, 9)
    police.add_tags(tags)
    own = police.opened()
    own.step()
    police.forget_entries()
    police.add_tags(tags)

    own.step()

    state = state_of(own)
    told = state.newest
    delta = open_delta(state.pieces[-1].ciphertext, state.key, told.which, delta_size=DELTA_TAGS)
    assert not contains(delta, tags).any()


def test_a_restart_goes_on_where_it_stopped(police: Agency) -> None:
    police.add_tags(numbers(5, 10))
    own = police.opened()
    own.step()
    police.add_tags(numbers(2 * DELTA_TAGS, 11))
    own.step()
    before = state_of(own)

    again = police.opened()

    after = state_of(again)
    assert after.pieces == before.pieces
    assert (after.key, after.seed) == (before.key, before.seed)
    assert np.array_equal(after.catalogue.merge(), before.catalogue.merge())
    again.step()
    again.step()
    assert state_of(again).newest.version == 4
    assert all(state_of(again).catalogue.contains_each(numbers(2 * DELTA_TAGS, 11))), "overflow was lost"


def test_roots_chain_from_the_snapshot_on(police: Agency) -> None:
    own = police.opened()
    for _ in range(3):
        own.step()

    state = state_of(own)
    root = state.pieces[0].statement.root
    for piece in state.pieces[1:]:
        tags = open_delta(piece.ciphertext, state.key, piece.statement.which, delta_size=DELTA_TAGS)
        root = delta_root(root, tags)
        assert piece.statement.root == root


def test_a_crash_between_file_and_row_leaves_the_old_version(
    police: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = police.opened()
    own.step()
    before = state_of(own)
    own.renew()

    def fail(*args: object) -> object:
        raise LogUnavailable("as if the disk were full")

    monkeypatch.setattr(police.writer, "submit", fail)
    with pytest.raises(LogUnavailable):
        own.step()
    monkeypatch.undo()

    assert own.state is before
    assert files(police) == ["own.involvement.1.1.1.cat", "own.involvement.1.2.1.cat"]
    again = police.opened()
    assert state_of(again).pieces == before.pieces
    assert files(police) == ["own.involvement.1.1.1.cat"]


def test_a_crash_before_the_first_row_leaves_nothing(police: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    own = police.opened()

    def fail(*args: object) -> object:
        raise LogUnavailable("as if the disk were full")

    monkeypatch.setattr(police.writer, "submit", fail)
    with pytest.raises(LogUnavailable):
        own.step()
    monkeypatch.undo()

    again = police.opened()
    assert again.state is None
    assert files(police) == []


@pytest.mark.parametrize("harm", ["gone", "altered"])
def test_a_lost_file_gives_a_new_snapshot_of_a_new_version(police: Agency, harm: str) -> None:
    tags = numbers(6, 12)
    police.add_tags(tags)
    own = police.opened()
    own.step()
    own.step()
    path = police.folder / "catalogues" / "own.involvement.1.1.1.cat"
    if harm == "gone":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)

    again = police.opened()
    assert again.state is None
    again.step()

    assert state_of(again).newest.version == 3
    assert state_of(again).newest.is_snapshot
    assert all(state_of(again).catalogue.contains_each(tags))


def test_a_statement_of_ours_that_this_store_did_not_make_is_told_from_all_others(police: Agency) -> None:
    own = police.opened()
    own.step()
    own.step()
    made, newest = [piece.envelope for piece in state_of(own).pieces], state_of(own).newest
    assert not any(map(own.is_other_than_made, made))

    def signed(**changes: Any) -> bytes:
        return own._sign(replace(newest, **changes))

    assert own.is_other_than_made(signed(version=3))
    assert own.is_other_than_made(signed(root=bytes(32)))
    for other in (signed(version=3, epoch=7), signed(version=3, custodian="schools"), b"", b"{}"):
        assert not own.is_other_than_made(other)
    alien = sign_document(
        [SigningKey(bytes(range(32)))], CATALOGUE_STATEMENT_TYPE, replace(newest, version=3).to_json()
    )
    assert not own.is_other_than_made(alien)


def test_grants_are_remembered_for_their_snapshot_only(police: Agency) -> None:
    own = police.opened()
    own.step()
    own.note_granted({"schools": "k1"}, 1)
    own.step()
    assert state_of(police.opened()).granted == {"schools": "k1"}

    own.renew()
    own.step()
    own.note_granted({"schools": "k2"}, 1)

    assert state_of(own).granted == {}


def test_no_tag_or_key_is_in_a_file_in_clear(police: Agency) -> None:
    tags = numbers(8, 13)
    police.add_tags(tags, [("involvement", 1)])
    own = police.opened()
    own.step()

    data = (police.folder / "catalogues" / "own.involvement.1.1.1.cat").read_bytes()

    assert not any(int(tag).to_bytes(8) in data for tag in tags)
    assert state_of(own).key not in data
    assert state_of(own).key.hex() not in repr(state_of(own))


def test_catalogues_of_destroyed_keys_are_forgotten(police: Agency) -> None:
    for collection in ("involvement", "protected"):
        police.opened(collection).step()

    drop_others(police.own_parts, {NAMES[0]})

    assert [row.collection for row in published_rows(police)] == ["involvement"]
    assert files(police) == ["own.involvement.1.1.1.cat"]
    with police.store.read() as conn:
        assert len(conn.execute(select(published_piece)).all()) == 1


def files(agency: Agency) -> list[str]:
    return sorted(path.name for path in (agency.folder / "catalogues").iterdir())


def published_rows(agency: Agency) -> list[Row[Any]]:
    with agency.store.read() as conn:
        return list(conn.execute(select(published)).all())
