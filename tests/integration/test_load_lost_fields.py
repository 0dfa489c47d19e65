"""An export whose dates cannot be read, or that has lost a field, is refused: it would hide its children."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from node.caseload import fields
from node.caseload.load import dry_run, load_file
from node.caseload.report import LoadReport
from node.errors import LoadRefused
from node.store.engine import Store, open_store
from tests.caseload import ANN, BOB, EVA, TODAY, folder_of, found, job, load_rows, mapping, person, write_csv
from tests.stores import PLACES

CHILDREN = [row | {"seen": "01/03/2026", "nhs": "999 000 0018"} for row in (ANN, BOB, EVA)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(PLACES.url(tmp_path))
    load_rows(opened, CHILDREN)
    yield opened
    opened.close()


def _with(*changes: Mapping[str, str]) -> list[dict[str, str]]:
    """The children, each with its change."""
    return [{**row, **change} for row, change in zip(CHILDREN, changes, strict=True)]


def _refused(store: Store, *changes: Mapping[str, str]) -> str:
    """The words of the refusal; nothing has changed."""
    with pytest.raises(LoadRefused) as refusal:
        load_rows(store, _with(*changes))
    with store.read() as conn:
        assert len(found(conn, person(ANN))) == 1
    assert isinstance(refusal.value.report, LoadReport)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("column", "name"),
    [("dob", "person.birth_date"), ("seen", "record.last_contact")],
)
def test_a_changed_date_format_refuses_a_load_and_its_dry_run(store: Store, column: str, name: str) -> None:
    changes = [{column: f"{day}-Mar-2015"} for day in (2, 3, 4)]

    assert f"{name} in the mapping's date_formats; 3 of 3 filled cells" in _refused(store, *changes)
    path = write_csv(folder_of(store) / "cases.csv", _with(*changes))
    with pytest.raises(LoadRefused, match=f"{name}.*3 of 3"):
        dry_run(path, mapping(), TODAY)
    # It is the mapping that is to be mended, and with the format in it all is well.
    with pytest.raises(LoadRefused, match=name):
        load_file(path, mapping(), job(store, allow_fewer=True))
    both = mapping(date_formats=["%d/%m/%Y", "%d-%b-%Y"])
    assert load_file(path, both, job(store)).notes == {}


def test_one_odd_date_never_refuses_a_load(store: Store) -> None:
    assert load_rows(store, _with({"dob": "spring"}, {}, {})).notes == {"birth_date.unreadable": 1}
    assert load_rows(store, [BOB | {"dob": "spring"}], source="visits").loaded == 1
    # Blank cells are no odd ones.
    assert (
        load_rows(store, [ANN | {"dob": ""}, BOB | {"dob": ""}, EVA | {"dob": "x"}], source="new").loaded == 3
    )


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"dob": ""}, "person.birth_date"),
        ({"given": ""}, "person.given"),
        ({"family": "Unknown"}, "person.family"),
        ({"nhs": "999 000 0018 (checked)"}, "person.nhs_number"),
        ({"postcode": ""}, "person.postcode"),
        ({"seen": ""}, "record.last_contact"),
    ],
)
def test_a_field_that_most_records_held_have_is_not_lost_unseen(
    store: Store, change: dict[str, str], name: str
) -> None:
    said = _refused(store, change, change, change)

    assert name in said
    assert "100%" in said
    assert "0 of the 3 that came" in said
    assert load_rows(store, _with(change, change, change), allow_fewer=True).loaded == 3
    # What is gone from the records held is expected no longer.
    assert load_rows(store, _with(change, change, change)).unchanged == 3


def test_a_field_that_some_records_lose_is_not_refused(store: Store) -> None:
    assert load_rows(store, _with({"dob": "", "postcode": ""}, {}, {})).loaded == 3
    more = [{**row, "id": row["id"] + "0"} for row in CHILDREN]
    blank = [{**row, "dob": ""} for row in more]
    assert load_rows(store, [*CHILDREN, *blank]).loaded == 6


def test_another_source_has_other_fields(store: Store) -> None:
    few = [{name: row[name] for name in ("id", "given", "family")} for row in (ANN, BOB, EVA)]

    assert load_rows(store, few, source="visits").loaded == 3


def test_rows_that_were_not_there_before_and_lack_a_field_are_no_loss(store: Store) -> None:
    more = [{**row, "id": f"{row['id']}-{n}", "postcode": ""} for row in CHILDREN for n in range(5)]
    assert load_rows(store, [*CHILDREN, *more]).loaded == 18


def test_a_loss_among_more_records_than_are_looked_at_is_seen(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fields, "SAMPLE", 2)
    more = [{**row, "id": f"{row['id']}-{n}"} for row in CHILDREN for n in range(4)]
    load_rows(store, more, source="many")
    with pytest.raises(LoadRefused, match=r"3 of the 12 that came"):
        load_rows(store, [*more[:3], *({**row, "postcode": ""} for row in more[3:])], source="many")
