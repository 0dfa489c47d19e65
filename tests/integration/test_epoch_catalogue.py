"""What the catalogue of a new epoch shows: the records in force, as far as their shields permit."""

from __future__ import annotations

import numpy as np
import pytest

from elsewhere.catalogue.tags import short_tags as shorts
from elsewhere.matchkeys import record_keys
from elsewhere.oprf.voprf import OprfKey, generate_key, tag_each
from node.caseload.ending import drop_sets, has_other_sets, is_tagged_in
from node.caseload.load import retag
from node.keys.ring import key_ids
from node.store.engine import Store, open_store
from tests.caseload import ANN, BOB, EVA, KEYS, NOW, RANDOM, job, load_rows, person
from tests.held import find_tag, short_tags

LATER = {(name, 2): generate_key(RANDOM.randbytes) for name, _ in KEYS}
COLLECTIONS = ("involvement", "protected")


@pytest.fixture
def store(store_url: str) -> Store:
    return open_store(store_url)


def tags_of(key: OprfKey, row: dict[str, str], *, with_postcode: bool = True) -> set[bytes]:
    return set(tag_each(key, [k.data for k in record_keys(person(row), with_postcode=with_postcode)]))


def shown(store: Store, name: tuple[str, int]) -> set[int]:
    with store.read() as conn:
        return set(short_tags(conn, *name).tolist())


def as_shown(tags: set[bytes]) -> set[int]:
    return set(np.asarray(shorts(sorted(tags))).tolist())


def test_what_was_removed_or_shielded_leaves_the_catalogue_with_the_epoch(store: Store) -> None:
    load_rows(store, [ANN, BOB, EVA])
    load_rows(store, [{**ANN, "shield": "place"}, EVA], allow_fewer=True)
    keys = {**KEYS, **LATER}
    for name in COLLECTIONS:
        old = KEYS[name, 1]
        assert as_shown(tags_of(old, BOB)) <= shown(store, (name, 1)), "vanishing would tell"
        assert as_shown(tags_of(old, ANN)) <= shown(store, (name, 1))

    retag(job(store, keys=keys))

    for name in COLLECTIONS:
        new, there = LATER[name, 2], shown(store, (name, 2))
        assert as_shown(tags_of(new, EVA)) <= there
        assert not as_shown(tags_of(new, BOB)) & there, "removed"
        with_postcode = tags_of(new, ANN) - tags_of(new, ANN, with_postcode=False)
        assert with_postcode
        assert not as_shown(with_postcode) & there, "shielded: no key that holds a postcode"
    assert not as_shown(tags_of(LATER["involvement", 2], ANN)) & shown(store, ("involvement", 2))


def test_both_epochs_answer_until_one_is_dropped_and_then_nothing_of_it_is_left(store: Store) -> None:
    load_rows(store, [ANN, BOB])
    with store.read() as conn:
        assert is_tagged_in(conn, key_ids(KEYS))
        assert not is_tagged_in(conn, key_ids(LATER))
    retag(job(store, keys={**KEYS, **LATER}))
    load_rows(store, [ANN, BOB, EVA], keys={**KEYS, **LATER})
    both = {("involvement", 1): KEYS["involvement", 1], ("involvement", 2): LATER["involvement", 2]}
    with store.read() as conn:
        assert is_tagged_in(conn, key_ids({**KEYS, **LATER}))
        for name, key in both.items():
            assert all(find_tag(conn, *name, tag) for tag in tags_of(key, EVA)), "a load tags under both"
        assert has_other_sets(conn, key_ids(LATER))

    assert drop_sets(store, key_ids(LATER), NOW) == len(KEYS)

    with store.read() as conn:
        assert not has_other_sets(conn, key_ids(LATER))
        assert is_tagged_in(conn, key_ids(LATER))
        assert not any(find_tag(conn, "involvement", 1, tag) for tag in tags_of(KEYS["involvement", 1], ANN))
        assert all(find_tag(conn, "involvement", 2, tag) for tag in tags_of(LATER["involvement", 2], ANN))
    assert shown(store, ("involvement", 1)) == set()
    assert drop_sets(store, key_ids(LATER), NOW) == 0
