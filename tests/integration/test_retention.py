"""Records leave on the day they may no longer be kept, by a load or without one, and nobody sees them go."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select

from elsewhere.person.dates import PartialDate
from node.caseload import index
from node.caseload.load import load_file, retag
from node.caseload.mapping import Keep
from node.caseload.periods import kept_until
from node.caseload.report import LoadReport
from node.caseload.retention import expire
from node.processes.rights import hold_right_to_load
from node.store.caseload import record, tag
from node.store.engine import Store, open_store
from tests import held
from tests.caseload import (
    ANN,
    BOB,
    EVA,
    NOW,
    TODAY,
    folder_of,
    found,
    job,
    load_rows,
    mapping,
    person,
    write_csv,
)

DAY = datetime.date
SEEN = ANN | {"status": "closed", "seen": "02/03/2025"}  # a year before NOW


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


def _load(store: Store, rows: list[dict[str, str]], keep: Keep, **changes: Any) -> LoadReport:
    path = write_csv(folder_of(store) / "cases.csv", rows)
    return load_file(path, mapping().model_copy(update={"keep": keep}), job(store, **changes))


@pytest.mark.parametrize(
    ("keep", "born", "seen", "is_current", "until"),
    [
        (Keep(), PartialDate(DAY(2015, 3, 2)), DAY(2020, 1, 1), False, None),
        (Keep(days_after_contact=10), None, DAY(2020, 1, 1), False, DAY(2020, 1, 11)),
        (Keep(days_after_contact=10), None, DAY(2020, 1, 1), True, None),
        (Keep(days_after_contact=10), None, None, False, None),
        (Keep(until_age=18), PartialDate(DAY(2015, 3, 2)), None, True, DAY(2033, 3, 2)),
        (Keep(until_age=18), PartialDate(DAY(2016, 2, 29)), None, True, DAY(2034, 3, 1)),
        (Keep(until_age=18), PartialDate(DAY(2015, 1, 1), "UUA"), None, True, DAY(2034, 1, 1)),
        (Keep(until_age=18), PartialDate(None, written="?"), None, True, None),
        (Keep(until_age=120), PartialDate(DAY(9990, 1, 1)), None, True, None),
        (
            Keep(days_after_contact=10, until_age=5),
            PartialDate(DAY(2015, 3, 2)),
            DAY(2020, 6, 1),
            False,
            DAY(2020, 3, 2),
        ),
    ],
)
def test_the_day_on_which_a_record_leaves(
    keep: Keep, born: PartialDate | None, seen: DAY | None, is_current: bool, until: DAY | None
) -> None:
    assert kept_until(keep, born, seen, is_current=is_current) == until


def test_a_load_leaves_out_what_may_no_longer_be_kept_and_refuses_nothing_for_it(store: Store) -> None:
    grown = EVA | {"dob": "02/03/2001"}

    report = _load(store, [SEEN, grown, BOB], Keep(days_after_contact=365, until_age=25))

    assert (report.loaded, report.expired, report.refused) == (1, 2, 0)
    with store.read() as conn:
        assert index.record_count(conn) == 1
        assert found(conn, person(SEEN)) == {}


def test_a_record_is_there_until_its_last_day_and_gone_on_the_next_without_a_load(store: Store) -> None:
    _load(store, [SEEN, BOB], Keep(days_after_contact=366))
    with store.read() as conn:
        before = held.short_tags(conn, "involvement", 1)

    assert expire(store, folder_of(store), TODAY) == 0
    with store.read() as conn:
        assert len(found(conn, person(ANN))) == 1
    assert expire(store, folder_of(store), TODAY + datetime.timedelta(days=1)) == 1

    with store.read() as conn:
        assert found(conn, person(ANN)) == found(conn, person(ANN), "protected") == {}
        assert len(found(conn, person(BOB))) == 1
        assert np.array_equal(held.short_tags(conn, "involvement", 1), before)
        # Nothing of the child is left but catalogue entries.
        assert conn.execute(select(func.count()).select_from(record)).scalar_one() == 1
        assert len(set(conn.execute(select(tag.c.record_id)).scalars())) == 1


def test_loads_of_other_sources_and_new_epochs_keep_the_day_and_bring_nobody_back(store: Store) -> None:
    _load(store, [SEEN, BOB], Keep(days_after_contact=366))
    load_rows(store, [EVA], source="visits")
    tomorrow = NOW + datetime.timedelta(days=1)

    load_rows(store, [EVA], source="visits", now=tomorrow)
    retag(job(store, now=tomorrow))

    with store.read() as conn:
        assert found(conn, person(ANN)) == {}
        assert index.record_count(conn) == 2


def test_a_changed_period_counts_from_the_next_load_and_tags_nothing_again(store: Store) -> None:
    _load(store, [SEEN, BOB], Keep())
    report = _load(store, [SEEN, BOB], Keep(days_after_contact=400))
    assert (report.unchanged, report.tags) == (2, 0)

    assert expire(store, folder_of(store), TODAY + datetime.timedelta(days=40)) == 1


def test_records_leave_while_a_load_runs(store: Store) -> None:
    _load(store, [SEEN, BOB], Keep(days_after_contact=366))
    folder = folder_of(store)

    with hold_right_to_load(folder, store):
        assert expire(store, folder, TODAY + datetime.timedelta(days=1)) == 1

    with store.read() as conn:
        assert found(conn, person(ANN)) == {}


def test_the_shield_of_a_record_that_left_still_covers_the_child_elsewhere(store: Store) -> None:
    _load(store, [SEEN | {"shield": "place"}, BOB], Keep(days_after_contact=366))
    load_rows(store, [ANN | {"id": "X9"}, EVA], source="visits")
    expire(store, folder_of(store), TODAY + datetime.timedelta(days=1))

    load_rows(store, [ANN | {"id": "X9"}, EVA], source="visits")

    with store.read() as conn:
        assert found(conn, person(ANN)) == {}
        assert len(found(conn, person(ANN), "protected")) == 1
