"""An auditor finds in a catalogue whatever stands for no record and is no committed padding."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, select, update

from elsewhere.catalogue.tags import ShortTags
from elsewhere.errors import PaddingInvalid
from node.auditing.padding import Custody, Sound, audit_catalogues
from node.catalogues.own import OwnCatalogue
from node.store.exchange import log, published
from tests.unit.node.exchange_world import DELTA_TAGS, Agency, make_agencies, numbers


@pytest.fixture
def police(tmp_path: Path) -> Iterator[Agency]:
    agency = make_agencies(tmp_path)["police"]
    agency.start()
    yield agency
    agency.stop()


def checked(agency: Agency) -> list[Sound]:
    custody = Custody(agency.folder / "catalogues", agency.local, (agency.signing.public,))
    with agency.store.read() as connection:
        return list(audit_catalogues(connection, custody))


def stuff(own: OwnCatalogue, tags: ShortTags) -> None:
    """Have the next version hold tags that no record has."""
    own._pending = np.concatenate([own._pending, tags])


def test_records_and_padding_are_sound_in_snapshots_and_deltas_and_after_a_new_snapshot(
    police: Agency,
) -> None:
    own = police.opened()
    police.add_tags(numbers(90, 1))
    own.step()
    for label in range(2, 6):
        police.add_tags(numbers(DELTA_TAGS // 2, label))
        own.step()
    (found,) = checked(police)
    assert (found.version, found.for_records) == (5, 90 + 4 * DELTA_TAGS // 2)
    own.renew()
    own.step()
    own.step()
    (found,) = checked(police)
    assert (found.version, found.for_records) == (7, 90 + 4 * DELTA_TAGS // 2)
    assert found.tags > found.for_records


@pytest.mark.parametrize("is_snapshot", [True, False])
def test_tags_of_nobody_on_record_are_found(police: Agency, is_snapshot: bool) -> None:
    own = police.opened()
    if not is_snapshot:
        own.step()
    stuff(own, numbers(5, 9))
    own.step()
    with pytest.raises(PaddingInvalid, match="involvement, epoch 1: 5 tags stand for no record"):
        checked(police)


def test_another_seed_than_the_one_committed_to_explains_nothing(police: Agency) -> None:
    police.opened().step()
    with police.store.write() as connection:
        connection.execute(update(published).values(seed=b"s" * 32))
    with pytest.raises(PaddingInvalid, match="committed"):
        checked(police)


def test_a_catalogue_that_the_log_states_otherwise_or_not_at_all_is_found(police: Agency) -> None:
    police.opened().step()
    with police.store.write() as connection:
        body = connection.execute(select(log.c.body).where(log.c.kind == "catalogue")).scalar_one()
        said = json.loads(body) | {"root": "0" * 64}
        connection.execute(update(log).values(body=json.dumps(said).encode()))
    with pytest.raises(PaddingInvalid, match="not the one that the log states"):
        checked(police)
    with police.store.write() as connection:
        connection.execute(delete(log))
    with pytest.raises(PaddingInvalid, match="no such snapshot"):
        checked(police)
