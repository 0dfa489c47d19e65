"""An export becomes records that tags find; reloads, shields and groups behave as docs/caseload.md says."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select

from elsewhere.matchkeys import record_keys
from node.caseload import index
from node.caseload.load import dry_run, load_file
from node.caseload.reading import Reading, read_rows
from node.caseload.report import Tally, no_progress
from node.caseload.sources import open_source
from node.caseload.workers import Workers
from node.errors import LoadRefused
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


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


def test_every_key_of_a_loaded_child_finds_its_record_in_both_collections(store: Store) -> None:
    report = load_rows(store, [ANN, BOB])

    assert (report.read, report.loaded, report.refused, report.children) == (2, 2, 0, 2)
    with store.read() as conn:
        for collection in ("involvement", "protected"):
            (ann,) = found(conn, person(ANN), collection).values()
            assert ann.person == person(ANN)
        assert found(conn, person(EVA)) == {}
        assert held.find_tag(conn, "elsewhere", 1, bytes(32)) == []
        assert index.record_count(conn) == 2


def test_a_record_carries_all_that_an_answer_may_say(store: Store) -> None:
    load_rows(
        store,
        [
            ANN
            | {"service": "Team North", "status": "closed", "seen": "01/03/2026", "phone": "0000 000 001"}
            | {"cp": "Y", "cp_start": "05/01/2026"}
        ],
    )

    with store.read() as conn:
        (ann,) = found(conn, person(ANN)).values()
        state = index.source_states(conn)["cases"]
    assert (ann.service, ann.is_current, ann.last_contact) == ("Team North", False, datetime.date(2026, 3, 1))
    assert (ann.in_hours, ann.out_of_hours) == ("0000 000 001", "0000 000 002")
    assert [(f.code, f.start_date, f.end_date) for f in ann.flags] == [("CP_PLAN", "2026-01-05", "")]
    assert (state.rows, state.max_age_days, state.loaded_utc) == (1, 7, int(NOW.timestamp()))


def test_neither_record_nor_report_prints_a_person(store: Store) -> None:
    report = load_rows(store, [ANN])

    with store.read() as conn:
        (ann,) = found(conn, person(ANN)).values()
    assert not any(word in repr((ann, report)) for word in ("Ann", "Leeworth", "2015", "AB1"))


def test_a_reload_drops_removed_rows_takes_new_ones_and_keeps_the_tags_of_the_rest(store: Store) -> None:
    load_rows(store, [ANN, BOB])
    with store.read() as conn:
        ann_before = set(found(conn, person(ANN)))

    report = load_rows(store, [ANN, EVA])

    assert (report.loaded, report.unchanged, report.removed) == (2, 1, 1)
    with store.read() as conn:
        assert set(found(conn, person(ANN))) == ann_before
        assert found(conn, person(BOB)) == {}
        assert len(found(conn, person(EVA))) == 1
        # Nothing of the removed child is left but its catalogue entries.
        assert conn.execute(select(func.count()).select_from(record)).scalar_one() == 2
        assert set(conn.execute(select(tag.c.record_id)).scalars()) == set(
            conn.execute(select(record.c.id)).scalars()
        )


def test_removed_records_stay_in_the_catalogue_so_that_vanishing_tells_nothing(store: Store) -> None:
    load_rows(store, [ANN, BOB])
    with store.read() as conn:
        before, first = held.short_tags(conn, "involvement", 1), index.current_load(conn)
    load_rows(store, [ANN, EVA])

    with store.read() as conn:
        after = held.short_tags(conn, "involvement", 1)
        new = index.short_tags_since(conn, "involvement", 1, first)
        second = index.current_load(conn)
        assert len(index.short_tags_since(conn, "involvement", 1, second)) == 0
        assert np.array_equal(index.short_tags_since(conn, "involvement", 1, 0), after)
    assert second > first
    assert after.dtype == np.uint64
    assert np.all(after[1:] > after[:-1])
    assert set(before) <= set(after)
    assert set(new) == set(after) - set(before)
    assert len(new) == len(record_keys(person(EVA)))


def test_a_changed_row_replaces_the_old_one(store: Store) -> None:
    load_rows(store, [ANN, BOB])
    load_rows(store, [ANN | {"status": "closed"}, BOB])

    with store.read() as conn:
        (ann,) = found(conn, person(ANN)).values()
    assert not ann.is_current


def test_sources_stand_side_by_side(store: Store) -> None:
    load_rows(store, [ANN], source="cases")
    load_rows(store, [BOB], source="visits")
    load_rows(store, [EVA], source="cases", allow_fewer=True)

    with store.read() as conn:
        assert found(conn, person(ANN)) == {}
        assert len(found(conn, person(BOB))) == len(found(conn, person(EVA))) == 1
        assert set(index.source_states(conn)) == {"cases", "visits"}


def test_one_child_twice_is_one_group_and_twins_are_two(store: Store) -> None:
    again = ANN | {"id": "77", "given": "Ann", "postcode": "AB9 9ZZ"}
    twin = ANN | {"id": "8", "given": "Zelda"}
    report = load_rows(store, [ANN, again, twin])

    assert report.children == 2
    with store.read() as conn:
        groups = {r.person_ref: r.group_id for r in found(conn, person(ANN)).values()}
        groups |= {r.person_ref: r.group_id for r in found(conn, person(twin)).values()}
        both = held.records_of_group(conn, groups["1"])
    assert groups["1"] == groups["77"] != groups["8"]
    assert [r.person_ref for r in both] == ["1", "77"]


def test_one_child_in_two_sources_is_one_group(store: Store) -> None:
    load_rows(store, [ANN], source="cases")
    report = load_rows(store, [ANN | {"id": "X9"}, BOB], source="visits")

    assert report.children == 2
    with store.read() as conn:
        assert len({r.group_id for r in found(conn, person(ANN)).values()}) == 1


def test_rows_of_one_person_id_are_one_child_whatever_they_say(store: Store) -> None:
    report = load_rows(store, [ANN, BOB | {"id": "1"}, ANN])

    assert (report.loaded, report.children) == (2, 1)
    assert report.notes["person.id_repeated"] == 1
    assert report.notes["row.repeated"] == 1


def test_repeated_ids_are_refused_where_the_mapping_says_so(store: Store) -> None:
    path = write_csv(folder_of(store) / "a.csv", [ANN, BOB, EVA, BOB | {"id": "1"}])

    report = load_file(path, mapping(repeated_ids="refuse"), job(store))

    assert report.refused_rows == ((5, "person.id_repeated"),)
    assert report.loaded == 3


# --- Shields ----------------------------------------------------------------------------------------


def test_a_shielded_location_is_found_in_the_protected_collection_only_and_never_by_a_postcode(
    store: Store,
) -> None:
    report = load_rows(store, [ANN | {"shield": "place"}, BOB])

    assert report.shields == {"NONE": 1, "SHIELD_LOCATION": 1}
    with store.read() as conn:
        assert found(conn, person(ANN)) == {}
        (ann,) = found(conn, person(ANN), "protected").values()
        ids = conn.execute(select(tag.c.record_id).where(tag.c.record_id == ann.id)).all()
        # Its entries are as many as they would be unshielded.
        entries = len(held.short_tags(conn, "protected", 1)) - len(held.short_tags(conn, "involvement", 1))
    assert ann.shield == "SHIELD_LOCATION"
    assert not ann.with_postcode
    assert len(ids) == len(record_keys(person(ANN), with_postcode=False)) < len(record_keys(person(ANN)))
    assert entries == len(record_keys(person(ANN)))


def test_a_shielded_identity_is_in_no_collection(store: Store) -> None:
    load_rows(store, [ANN | {"shield": "adopted"}, BOB])

    with store.read() as conn:
        for collection in ("involvement", "protected"):
            assert found(conn, person(ANN), collection) == {}
            assert len(held.short_tags(conn, collection, 1)) == len(record_keys(person(BOB)))


def test_records_under_an_identity_shield_are_never_grouped(store: Store) -> None:
    report = load_rows(store, [ANN | {"shield": "adopted"}, ANN | {"id": "9"}])

    assert report.children == 2
    with store.read() as conn:
        assert [r.person_ref for r in found(conn, person(ANN)).values()] == ["9"]


def test_a_location_shield_covers_every_record_of_the_child_in_every_source(store: Store) -> None:
    load_rows(store, [ANN | {"id": "X9"}, BOB], source="visits")
    with store.read() as conn:
        assert len(found(conn, person(ANN))) == 1

    load_rows(store, [ANN | {"shield": "place"}], source="cases")

    with store.read() as conn:
        assert found(conn, person(ANN)) == {}
        both = found(conn, person(ANN), "protected").values()
        assert {(r.source, r.shield) for r in both} == {
            ("cases", "SHIELD_LOCATION"),
            ("visits", "SHIELD_LOCATION"),
        }
        assert len(found(conn, person(BOB))) == 1


def test_a_shield_survives_reloads_until_the_source_states_that_there_is_none(store: Store) -> None:
    load_rows(store, [ANN | {"shield": "place"}, BOB])
    load_rows(store, [ANN, BOB])
    with store.read() as conn:
        assert found(conn, person(ANN)) == {}
    load_rows(store, [BOB])
    load_rows(store, [ANN, BOB])
    with store.read() as conn:
        assert found(conn, person(ANN)) == {}

    load_rows(store, [ANN | {"shield": "none"}, BOB])

    with store.read() as conn:
        (ann,) = found(conn, person(ANN)).values()
        assert ann.shield == "NONE"
        assert len(found(conn, person(ANN), "protected")) == 1


def test_reloading_a_shielded_child_adds_nothing_to_any_catalogue(store: Store) -> None:
    load_rows(store, [ANN | {"shield": "place"}, BOB])

    report = load_rows(store, [ANN | {"shield": "place", "status": "closed"}, BOB])

    assert (report.unchanged, report.new_entries) == (1, 0)
    assert report.tags > 0


def test_an_unknown_shield_refuses_its_row_and_all_other_rows_of_that_person(store: Store) -> None:
    sibling = ANN | {"given": "Annie"}
    report = load_rows(store, [ANN | {"shield": "plaec"}, sibling, BOB, EVA, EVA | {"id": "4"}])

    assert report.refused_codes == {"shield.unknown": 1, "person.withheld": 1}
    with store.read() as conn:
        assert found(conn, person(ANN), "protected") == {}


def test_a_refused_row_with_a_shield_takes_its_siblings_with_it(store: Store) -> None:
    refused = ANN | {"shield": "place", "status": "reopened?"}
    report = load_rows(store, [ANN, refused, BOB, EVA, EVA | {"id": "4"}])

    assert report.refused_codes == {"status.unknown": 1, "person.withheld": 1}
    with store.read() as conn:
        assert found(conn, person(ANN), "protected") == {}


# --- Refusals and dry runs --------------------------------------------------------------------------


def test_a_dry_run_reports_like_a_load_and_changes_nothing(store: Store) -> None:
    rows = [ANN, BOB | {"nhs": "9990000000"}, EVA | {"status": "?"}]
    path = write_csv(folder_of(store) / "a.csv", rows)

    dry = dry_run(path, mapping(), TODAY)

    with store.read() as conn:
        assert index.current_load(conn) == index.record_count(conn) == 0
    wet = load_file(path, mapping(), job(store))
    for name in ("read", "loaded", "refused", "refused_codes", "refused_rows", "notes"):
        assert getattr(dry, name) == getattr(wet, name), name
    assert dry.is_dry_run
    assert not wet.is_dry_run
    assert dry.refused_rows == ((4, "status.unknown"),)


def test_too_many_refused_rows_refuse_the_file_and_say_which_they_were(store: Store) -> None:
    load_rows(store, [ANN])
    good = [BOB | {"id": str(number)} for number in range(20)]
    bad = [EVA | {"status": "?"}] * 4

    with pytest.raises(LoadRefused) as refusal:
        load_rows(store, good + bad)

    assert refusal.value.report.refused_codes == {"status.unknown": 4}  # type: ignore[attr-defined]
    with store.read() as conn:
        assert len(found(conn, person(ANN))) == 1
        assert index.record_count(conn) == 1


def test_a_file_that_would_drop_more_than_half_is_refused_unless_allowed(store: Store) -> None:
    load_rows(store, [ANN, BOB, EVA])

    with pytest.raises(LoadRefused, match="cut short"):
        load_rows(store, [ANN])
    with store.read() as conn:
        assert index.record_count(conn) == 3
    assert load_rows(store, [ANN], allow_fewer=True).removed == 2


def test_a_load_that_fails_leaves_no_row_of_its_own(store: Store) -> None:
    load_rows(store, [ANN])
    with pytest.raises(LoadRefused):
        load_rows(store, [BOB, EVA, *[EVA | {"status": "?"}] * 4])

    with store.read() as conn:
        assert conn.execute(select(func.count()).select_from(record)).scalar_one() == 1
    assert [path.name for path in folder_of(store).iterdir() if path.name.startswith("loading-")] == []


def test_a_row_that_says_none_is_remembered_only_of_a_person_whose_shield_stands(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "cases.csv", [ANN | {"shield": "none"}, BOB | {"shield": "none"}])
    reading = Reading(Tally("cases", is_dry_run=True), TODAY, no_progress, shielded={"2"})

    with open_source(path, mapping(), tmp_path) as source, Workers((), 1) as workers:
        assert len(list(read_rows(source, mapping(), reading, workers))) == 2

    assert reading.stated == {"2": "NONE"}
