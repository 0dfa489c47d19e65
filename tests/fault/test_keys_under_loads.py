"""Keys that change around a load: no record that is there is ever left untagged where others may ask."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from sqlalchemy import func, insert, select

from elsewhere.oprf.voprf import generate_key
from node.caseload.index import current_load
from node.caseload.load import load_file
from node.caseload.opening import open_job
from node.caseload.sweep import sweep
from node.errors import LoadOvertaken
from node.keys.orders import Wish, order_epochs
from node.keys.ring import Name
from node.store.caseload import load_set, tag, tag_set
from node.store.engine import Store, open_store
from tests.caseload import ANN, BOB, EVA, KEYS, FixedKeys, load_rows, mapping, write_csv
from tests.changing import OVERLAP, START, is_in_force, is_stated, make_world

SECOND: frozenset[Name] = frozenset({("involvement", 2), ("protected", 2)})
BOTH = {**KEYS, **{name: generate_key(Random(2).randbytes) for name in SECOND}}
pytestmark = pytest.mark.usefixtures("each_engine")


@pytest.fixture
def store(store_url: str) -> Store:
    return open_store(store_url)


class Destroyed(FixedKeys):
    """The first epoch's keys are gone once the first chunk of records is tagged."""

    looks = 0

    def at_hand(self) -> frozenset[Name]:
        self.looks += 1
        if self.looks == 2:
            self.gone |= KEYS.keys()
        return super().at_hand()


def sets_in_force(store: Store) -> set[Name]:
    with store.read() as conn:
        query = select(tag_set).join(load_set, load_set.c.set_id == tag_set.c.id)
        rows = conn.execute(query.where(load_set.c.load_id == current_load(conn)))
        return {(row.collection, row.epoch) for row in rows}


def test_a_load_that_was_opened_before_a_change_of_epoch_tags_under_the_new_one(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    export = write_csv(tmp_path / "new.csv", [ANN, BOB, EVA])
    with open_job(tmp_path, START) as opened:
        order_epochs(tmp_path, opened.store, Wish(OVERLAP), START)
        world.live(is_stated(2))

        load_file(export, mapping(), opened)

        assert sets_in_force(opened.store) >= SECOND
        assert all(world.finds(opened.store, row, 2) for row in (ANN, BOB, EVA))


def test_a_load_without_the_keys_of_a_stated_epoch_changes_nothing(store: Store) -> None:
    load_rows(store, [ANN, BOB], keys=BOTH)
    with pytest.raises(LoadOvertaken):
        load_rows(store, [ANN, EVA], keys=FixedKeys(KEYS, named=SECOND))

    assert sets_in_force(store) == set(BOTH)


def test_tags_of_a_stated_epoch_are_never_swept_and_others_are(store: Store) -> None:
    load_rows(store, [ANN])
    with store.write() as conn:
        row = {"collection": "involvement", "epoch": 2}
        number = conn.execute(insert(tag_set).values(row).returning(tag_set.c.id)).scalar_one()
        conn.execute(insert(tag).values(set_id=number, tag=bytes(32), record_id=1, ordinal=0))

    def left() -> int:
        with store.read() as conn:
            query = select(func.count()).select_from(tag).where(tag.c.set_id == number)
            return conn.execute(query).scalar_one()

    sweep(store)
    assert left() == 1, "who does not know what is stated sweeps none"
    sweep(store, SECOND)
    assert left() == 1
    sweep(store, ())
    assert left() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_key_that_is_destroyed_while_a_load_runs_is_let_go_of_at_once(store: Store, workers: int) -> None:
    rows = [ANN | {"id": str(n), "given": f"Ann{n:03}"} for n in range(450)]  # three chunks
    report = load_rows(store, rows, keys=Destroyed(BOTH, named=SECOND), workers=workers)

    assert report.loaded == len(rows)
    assert sets_in_force(store) == SECOND
    with store.read() as conn:
        query = select(tag_set.c.epoch, func.count(tag.c.record_id.distinct())).join(
            tag, tag.c.set_id == tag_set.c.id
        )
        tagged = {row[0]: row[1] for row in conn.execute(query.group_by(tag_set.c.epoch))}
    assert tagged[2] == len(rows)
    assert tagged.get(1, 0) < len(rows), "the rest was not tagged under a key that is gone"


def test_a_change_goes_on_to_its_end_beside_loads(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    store = world.opened()
    order_epochs(tmp_path, store, Wish(OVERLAP), START)
    world.live(is_stated(2))
    world.load([ANN, EVA])
    world.live(is_in_force(2))

    assert world.finds(store, EVA, 2)
    store.close()
