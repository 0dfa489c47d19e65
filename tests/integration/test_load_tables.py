"""Parquet files and database tables are loaded as the same export in CSV would be, and show nobody either."""

from __future__ import annotations

import datetime
import decimal
import sqlite3
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from node.caseload import index, sql_source, sqlite_source
from node.caseload.load import dry_run, load_file
from node.caseload.mapping import SourceMapping, parse_mapping
from node.errors import ColumnMissing, MappingInvalid, SourceEmpty, SourceUnreadable
from node.store.engine import Store, open_store
from tests.caseload import MAPPING, TODAY, found, job, person
from tests.postgres_server import Server

# As a database has them, and as a CSV export would write them. "notes" is in no CSV.
DAY, SEEN = datetime.date(2015, 3, 2), datetime.datetime(2026, 3, 1, 16, 45)
NHS, START = decimal.Decimal(9990000018), datetime.date(2026, 1, 5)
TYPED: dict[str, tuple[object, ...]] = {
    "id": (1, 2, 3, 4),
    "given": ("Ann Mary", "Robert", "Zoë", "Nobody"),
    "family": ("Leeworth", "Quillfeather", "O'Neill", "At All"),
    "dob": (DAY, datetime.date(2016, 12, 11), None, None),
    "postcode": ("AB1 2CD", None, "", None),
    "past": (["AB1 9XX", "AB3 4YY"], [], None, None),
    "nhs": (NHS, None, None, None),
    "status": ("open", "closed", None, "reopened?"),
    "seen": (SEEN, None, None, None),
    "service": ("Team ½", None, "", None),
    "shield": (None, "place", "none", None),
    "cp": (True, False, None, None),
    "cp_start": (START, None, None, None),
    "notes": (b"private", b"", None, None),
}
TEXTS = [
    "1,Ann Mary,Leeworth,02/03/2015,AB1 2CD,AB1 9XX;AB3 4YY,9990000018,open,01/03/2026,Team ½,,true,"
    "05/01/2026",
    "2,Robert,Quillfeather,11/12/2016,,,,closed,,,place,false,",
    "3,Zoë,O'Neill,,,,,,,,none,,",
    "4,Nobody,At All,,,,,reopened?,,,,,",
]
ANN = person({"given": "Ann Mary", "family": "Leeworth", "dob": "02/03/2015", "postcode": "AB1 2CD"})
TYPES = {
    "id": pa.int64(),
    "family": pa.dictionary(pa.int8(), pa.string()),
    "dob": pa.date32(),
    "postcode": pa.large_string(),
    "past": pa.list_(pa.string()),
    "nhs": pa.decimal128(10),
    "seen": pa.timestamp("ns"),
    "cp": pa.bool_(),
    "cp_start": pa.date32(),
    "notes": pa.binary(),
}
_POSTGRES = """CREATE TABLE cases (id bigint, given text, family varchar(80), dob date, postcode char(7),
    past text[], nhs numeric, status text, seen timestamp, service text, shield text, cp boolean,
    cp_start date, notes bytea)"""
Made = tuple[Path | None, dict[str, Any]]  # the file to load, and the mapping's table for this form


def _csv(folder: Path) -> Made:
    (path := folder / "cases.csv").write_text("\n".join([",".join(list(TYPED)[:-1]), *TEXTS]), "utf-8")
    return path, {"csv": {}}


def _parquet(folder: Path) -> Made:
    columns = {name: pa.array(values, TYPES.get(name)) for name, values in TYPED.items()}
    parquet.write_table(pa.table(columns), path := folder / "cases.parquet", row_group_size=2)
    return path, {"parquet": {}}


def _sqlite(folder: Path) -> Made:
    with sqlite3.connect(folder / "cases.sqlite") as con:
        con.execute(f"CREATE TABLE everything ({', '.join(list(TYPED)[:-1])})")
        texts = [[cell or None for cell in row.split(",")] for row in reversed(TEXTS)]
        con.executemany(f"INSERT INTO everything VALUES ({', '.join('?' * (len(TYPED) - 1))})", texts)
        con.execute("CREATE VIEW cases AS SELECT * FROM everything")
    con.close()
    return None, {"sql": {"url": f"sqlite:///{folder / 'cases.sqlite'}", "table": "cases"}}


def _postgres(server: Server, folder: Path) -> Made:
    database = server.new_database().split("@/")[1].split("?")[0]
    with server.admin(database) as con:
        con.execute("CREATE SCHEMA exports")
        con.execute("SET search_path = exports")
        con.execute(_POSTGRES.encode())
        insert = f"INSERT INTO cases VALUES ({', '.join(['%s'] * len(TYPED))})".encode()
        con.cursor().executemany(insert, list(zip(*TYPED.values(), strict=True)))
        con.execute("CREATE VIEW children AS SELECT * FROM cases")
        con.execute("GRANT USAGE ON SCHEMA exports TO elsewhere; GRANT SELECT ON children TO elsewhere")
    (folder / "password").write_text(server.password + "\n", "utf-8")
    (folder / "password").chmod(0o600)
    url = f"postgresql://elsewhere@127.0.0.1:{server.port}/{database}"
    form = {"url": url, "password_file": "password", "schema": "exports", "table": "children"}
    return None, {"sql": form}


FORMS = ["parquet", "sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgres"))]


@pytest.fixture(params=FORMS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    """The export in one form."""
    if request.param == "postgresql":
        return _postgres(request.getfixturevalue("postgres"), tmp_path)
    makers: dict[str, Callable[[Path], Made]] = {"parquet": _parquet, "sqlite": _sqlite}
    return makers[request.param](tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    yield opened
    opened.close()


def _mapping(form: dict[str, Any], **changes: Any) -> SourceMapping:
    document: dict[str, Any] = tomllib.loads(MAPPING)
    del document["source"]["csv"], document["unborn"]
    document["source"] |= form
    document["flags"][0] |= {"values": {"true": True, "false": False}}
    del document["flags"][0]["end"]
    for name in ("birth_date_accuracy", "upn", "aliases"):
        del document["person"][name]
    document["record"]["in_hours"] = {"text": "0000 000 001"}
    document["person"] |= changes
    return parse_mapping(document)


def test_a_table_is_loaded_as_the_same_export_in_csv(store: Store, tmp_path: Path, made: Made) -> None:
    path, form = _csv(tmp_path)
    first = load_file(path, _mapping(form), job(store))
    with store.read() as conn:
        (ann,) = found(conn, ANN).values()

    again = load_file(made[0], _mapping(made[1]), job(store))

    # Word for word: what was loaded from CSV is recognised row by row, and nothing is tagged again.
    assert (again.loaded, again.unchanged, again.tags) == (3, 3, 0)
    assert (again.refused_rows, again.notes) == (((4, "status.unknown"),), first.notes)
    assert again.shields == first.shields == {"NONE": 2, "SHIELD_LOCATION": 1}
    with store.read() as conn:
        assert list(found(conn, ANN).values()) == [ann]
        assert (ann.service, ann.last_contact) == ("Team ½", datetime.date(2026, 3, 1))
        assert ann.person.postcodes == ("AB1 2CD", "AB1 9XX", "AB3 4YY")
        assert ann.person.nhs_number == "9990000018"
        assert index.source_states(conn)["cases"].rows == 3


def test_the_same_table_has_the_same_digest_until_it_changes(store: Store, made: Made) -> None:
    from node.caseload.sources import open_source

    digests = []
    for _ in range(2):
        with open_source(made[0], _mapping(made[1]), Path(str(store_folder(store)))) as source:
            assert len(list(source.rows())) == 4
            digests.append(source.digest)

    assert digests[0] == digests[1]


def store_folder(store: Store) -> Path:
    """Where the test's files are."""
    return job(store).work


def test_a_column_that_is_not_there_is_named(store: Store, made: Made) -> None:
    with pytest.raises(ColumnMissing, match="'SURNAME'"):
        load_file(made[0], _mapping(made[1], family="SURNAME"), job(store))


def test_a_dry_run_reads_a_table(made: Made, tmp_path: Path) -> None:
    report = dry_run(made[0], _mapping(made[1]), TODAY, folder=tmp_path)

    assert (report.read, report.loaded, report.is_dry_run) == (4, 3, True)


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("dob", pa.timestamp("us", "Europe/London"), datetime.datetime(2015, 6, 1, tzinfo=datetime.UTC)),
        ("given", pa.list_(pa.string()), ["Ann"]),
        ("given", pa.binary(), b"Ann"),
        ("family", pa.struct([("old", pa.string())]), {"old": "Leeworth"}),
    ],
)
def test_columns_without_one_text_are_refused_by_name(
    store: Store, tmp_path: Path, name: str, kind: pa.DataType, value: object
) -> None:
    columns = {column: pa.array(["1"]) for column in TYPED} | {name: pa.array([value], kind)}
    parquet.write_table(pa.table(columns), path := tmp_path / "a.parquet")

    with pytest.raises(SourceUnreadable, match=name) as refusal:
        load_file(path, _mapping({"parquet": {}}), job(store))

    assert "Ann" not in str(refusal.value)


def test_what_is_no_parquet_file_or_a_cut_one_is_refused(store: Store, tmp_path: Path) -> None:
    path, form = _parquet(tmp_path)
    assert path is not None
    whole = path.read_bytes()
    for data in (b"", b"PAR1", whole[:-40], whole[:20] + bytes(200) + whole[220:]):
        path.write_bytes(data)
        with pytest.raises(SourceUnreadable):
            load_file(path, _mapping(form), job(store))
    with pytest.raises(SourceUnreadable):
        load_file(tmp_path / "none.parquet", _mapping(form), job(store))


def test_an_empty_table_drops_nobody(store: Store, tmp_path: Path) -> None:
    _, form = _sqlite(tmp_path)
    load_file(None, _mapping(form), job(store))
    with sqlite3.connect(tmp_path / "cases.sqlite") as con:
        con.execute("DELETE FROM everything")
    con.close()

    with pytest.raises(SourceEmpty):
        load_file(None, _mapping(form), job(store))


def test_a_table_tells_its_age_by_a_column(store: Store, tmp_path: Path) -> None:
    _, form = _sqlite(tmp_path)
    with sqlite3.connect(tmp_path / "cases.sqlite") as con:
        con.execute("ALTER TABLE everything ADD COLUMN made")
        con.execute("UPDATE everything SET made = '2026-02-27 04:00:00' WHERE id < '3'")
    con.close()
    form["sql"] |= {"table": "everything", "made_column": "made"}

    load_file(None, _mapping(form), job(store))

    with store.read() as conn:
        read = index.source_states(conn)["cases"].read_utc
    assert datetime.datetime.fromtimestamp(read, datetime.UTC).isoformat() == "2026-02-27T04:00:00+00:00"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://role:secret@localhost/db", "no password"),
        ("postgresql://role@localhost/db?password=secret", "no password"),
        ("mssql://role@localhost/db?PWD=secret", "no password"),
        ("oracle://role@localhost/db", "begins with one of"),
        ("cases.sqlite", "begins with one of"),
    ],
)
def test_a_url_with_a_password_or_of_another_kind_is_no_mapping(url: str, why: str) -> None:
    with pytest.raises(MappingInvalid, match=why) as refusal:
        _mapping({"sql": {"url": url, "table": "cases"}})

    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://role@db.example/cases",
        "postgresql://role@/cases?host=db.example",
        "postgresql://role@localhost/cases?hostaddr=192.0.2.1",
        "postgresql://role@db.example/cases?sslmode=require",
        "mssql://role@db.example/cases",
        "mssql://role@db.example/cases?Encrypt=yes&TrustServerCertificate=yes",
        "mssql://role@db.example/cases?driver=FreeTDS&Encrypt=yes",
        "mssql://role@db.example/cases?Encrypt=yes",
    ],
)
def test_a_server_on_another_machine_must_prove_who_it_is(store: Store, url: str) -> None:
    with pytest.raises(SourceUnreadable, match="not on this machine"):
        load_file(None, _mapping({"sql": {"url": url, "table": "cases"}}), job(store))


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("PGHOST", "db.example", "not on this machine"),
        ("PGHOSTADDR", "192.0.2.1", "not on this machine"),
        ("PGSERVICE", "cases", "not the name of a service"),
    ],
)
def test_nor_can_the_environment_name_one_that_does_not(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    (tmp_path / "services").write_text("[cases]\nhost=db.example\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    monkeypatch.setenv(name, value)
    given = {"url": "postgresql://role@/cases", "table": "cases"}

    with pytest.raises(SourceUnreadable, match=why):
        load_file(None, _mapping({"sql": given}), job(store))


@pytest.mark.needs("postgres")
def test_the_session_that_reads_a_table_can_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres: Server
) -> None:
    sessions: list[Any] = []
    connect = sql_source._connect

    def note(*given: Any) -> Any:
        sessions.append(connect(*given))
        return sessions[-1]

    monkeypatch.setattr(sql_source, "_connect", note)
    _, made = _postgres(postgres, tmp_path)
    with postgres.admin(made["sql"]["url"].rsplit("/", 1)[1]) as con:
        con.execute("GRANT ALL ON ALL TABLES IN SCHEMA exports TO elsewhere")
    mapping = _mapping(made)
    assert mapping.source.sql is not None

    with (
        sql_source.open_sql(mapping.source.sql, mapping, tmp_path),
        pytest.raises(Exception, match=r"read-?only"),
    ):
        sessions[0].con.execute("DELETE FROM exports.cases")


def test_the_connection_that_reads_a_file_can_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def note(*given: Any, **named: Any) -> sqlite3.Connection:
        connections.append(connect(*given, **named))
        return connections[-1]

    _, made = _sqlite(tmp_path)
    mapping = _mapping(made)
    assert mapping.source.sql is not None
    monkeypatch.setattr(sqlite3, "connect", note)
    with (
        sqlite_source.open_sqlite(mapping.source.sql, mapping, tmp_path),
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        connections[0].execute("DELETE FROM everything")


def test_a_missing_database_file_or_table_is_refused(store: Store, tmp_path: Path) -> None:
    _, form = _sqlite(tmp_path)
    for change in ({"url": f"sqlite:///{tmp_path / 'none.sqlite'}"}, {"table": "others"}):
        with pytest.raises(SourceUnreadable):
            load_file(None, _mapping({"sql": form["sql"] | change}), job(store))
    assert not (tmp_path / "none.sqlite").exists()
    with pytest.raises(SourceUnreadable, match="no file"):
        load_file(tmp_path / "cases.sqlite", _mapping(form), job(store))
    with pytest.raises(SourceUnreadable, match="a file"):
        load_file(None, _mapping({"csv": {}}), job(store))


@pytest.mark.needs("postgres")
def test_a_failing_server_is_told_by_kind_and_never_by_a_cell(
    store: Store, tmp_path: Path, postgres: Server
) -> None:
    _, form = _postgres(postgres, tmp_path)
    database = form["sql"]["url"].rsplit("/", 1)[1]
    with postgres.admin(database) as con:
        con.execute(
            "CREATE OR REPLACE VIEW exports.children AS SELECT id, given, family, dob, postcode, past, nhs, "
            "CASE WHEN id = 3 THEN (given::int)::text ELSE status END AS status, seen, service, shield, cp, "
            "cp_start, notes FROM exports.cases"
        )

    with pytest.raises(SourceUnreadable, match="22P02") as refusal:
        load_file(None, _mapping(form), job(store))

    assert "Zo" not in str(refusal.value)
    (tmp_path / "password").write_text("wrong", "utf-8")
    with pytest.raises(SourceUnreadable, match="connection"):
        load_file(None, _mapping(form), job(store))


@pytest.mark.needs("postgres")
def test_a_table_is_read_in_one_state_that_cannot_be_written(
    store: Store, tmp_path: Path, postgres: Server
) -> None:
    from node.caseload.sources import open_source

    _, form = _postgres(postgres, tmp_path)
    database = form["sql"]["url"].rsplit("/", 1)[1]
    with postgres.admin(database) as con:
        con.execute(
            "INSERT INTO exports.cases (id, given) SELECT n, 'Row' FROM generate_series(10, 4000) AS n"
        )
    with open_source(None, _mapping(form), tmp_path) as source:
        rows = source.rows()
        next(rows)
        with postgres.admin(database) as con:
            con.execute("DELETE FROM exports.cases")
        assert len(list(rows)) == 3994
