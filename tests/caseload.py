"""Made-up exports and a store to load them into, for the tests of the caseload."""

from __future__ import annotations

import csv
import datetime
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Connection

from elsewhere.matchkeys import record_keys
from elsewhere.oprf.voprf import OprfKey, generate_key, tag_each
from elsewhere.person.identity import Person, Written
from node.caseload.job import LoadJob
from node.caseload.load import load_file
from node.caseload.mapping import CsvForm, SourceMapping, parse_mapping
from node.caseload.report import LoadReport
from node.keys.ring import Name
from node.store.engine import Store
from tests.held import CaseRecord, find_tag
from tests.stores import PLACES

NOW = datetime.datetime(2026, 3, 2, 9, 0, tzinfo=datetime.UTC)
TODAY = NOW.date()
RANDOM = Random(20260302)
KEYS: Mapping[tuple[str, int], OprfKey] = {
    (collection, 1): generate_key(RANDOM.randbytes) for collection in ("involvement", "protected")
}
COLUMNS = """id given family dob accuracy postcode past nhs upn alias mother_given mother_family due
    service status seen phone shield cp cp_start cp_end""".split()  # noqa: SIM905
MAPPING = """
[source]
name = "cases"
max_age_days = 7
date_formats = ["%d/%m/%Y"]
empty = ["NULL"]

[source.csv]
encoding = "utf-8"
delimiter = ","

[person]
id = "id"
given = "given"
family = "family"
birth_date = "dob"
birth_date_accuracy = "accuracy"
postcode = "postcode"
past_postcodes = { columns = ["past"], separator = ";" }
nhs_number = "nhs"
upn = "upn"
aliases = { columns = ["alias"], separator = ";" }

[unborn]
mother_given = "mother_given"
mother_family = "mother_family"
due_date = "due"

[record]
status = { column = "status", values = { open = "CURRENT", closed = "PAST" }, blank = "CURRENT" }
service = "service"
last_contact = "seen"
in_hours = "phone"
out_of_hours = { text = "0000 000 002" }

[shield]
column = "shield"
values = { place = "SHIELD_LOCATION", adopted = "SHIELD_IDENTITY", none = "NONE", no = "" }

[[flags]]
code = "CP_PLAN"
column = "cp"
values = { Y = true, N = false }
start = "cp_start"
end = "cp_end"
"""
ANN = {"id": "1", "given": "Ann Mary", "family": "Leeworth", "dob": "02/03/2015", "postcode": "AB1 2CD"}
BOB = {"id": "2", "given": "Robert", "family": "Quillfeather", "dob": "11/12/2016", "postcode": "AB3 4EF"}
EVA = {"id": "3", "given": "Evangeline", "family": "Marchbanks", "dob": "21/07/2012", "postcode": "AB5 6GH"}


def mapping(**source: object) -> SourceMapping:
    """The mapping above, with its person, or keys of its source or of that one's form, changed."""
    document: dict[str, Any] = tomllib.loads(MAPPING)
    document["person"] = source.pop("person", document["person"])
    for name, value in source.items():
        table = document["source"]["csv"] if name in CsvForm.model_fields else document["source"]
        table[name] = value
    return parse_mapping(document)


def write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Write rows of any of COLUMNS."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def job(store: Store, **changes: Any) -> LoadJob:
    """A load into a store with the keys above, working in the store's folder."""
    given = {"store": store, "now": NOW, "work": changes.pop("work", None) or folder_of(store), "workers": 1}
    keys = changes.pop("keys", KEYS)
    keys = keys if isinstance(keys, FixedKeys) else FixedKeys(keys)
    return LoadJob(**{**given, "keys": keys, **changes})


@dataclass
class FixedKeys:
    """Keys of no folder."""

    keys: Mapping[Name, OprfKey]
    named: frozenset[Name] = frozenset()  # stated
    gone: set[Name] = field(default_factory=set)  # destroyed

    def read(self) -> Mapping[Name, OprfKey]:
        return {name: key for name, key in self.keys.items() if name not in self.gone}

    def at_hand(self) -> frozenset[Name]:
        return frozenset(self.read())

    def stated(self) -> frozenset[Name]:
        return self.named


def folder_of(store: Store) -> Path:
    """The folder that a store's program works in."""
    with store.read() as conn:
        return PLACES.folder(conn.engine.url)


def path_of(store: Store) -> Path:
    """The file of a SQLite store."""
    with store.read() as conn:
        return Path(str(conn.engine.url.database))


def load_rows(
    store: Store, rows: Sequence[Mapping[str, str]], *, source: str = "cases", **changes: Any
) -> LoadReport:
    """Load rows as one source of their own."""
    path = write_csv(folder_of(store) / f"{source}.csv", rows)
    return load_file(path, mapping(name=source), job(store, **changes))


def found(conn: Connection, person: Person, collection: str = "involvement") -> dict[int, CaseRecord]:
    """Every record that any key of a person finds, once it is checked that the ordinal gives the key back."""
    key = KEYS[collection, 1]
    records: dict[int, CaseRecord] = {}
    for match_key, tag in zip(
        keys := record_keys(person), tag_each(key, [k.data for k in keys]), strict=True
    ):
        for record, ordinal in find_tag(conn, collection, 1, tag):
            theirs = record_keys(record.person, with_postcode=record.with_postcode)
            assert theirs[ordinal].data == match_key.data
            records[record.id] = record
    return records


def person(row: Mapping[str, str]) -> Person:
    """The person of a row above."""
    written: Written = {name: row[name] for name in ("given", "family", "dob", "postcode") if name in row}  # type: ignore[assignment]
    return Person.of(**written)
