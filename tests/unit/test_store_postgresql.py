"""What must hold of a store on a PostgreSQL server before a record is put into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from elsewhere.errors import ConfigInvalid, KeyFileExposed, KeyFileMissing, StoreUnavailable
from elsewhere.keyfiles import StoreExposed, write_secret
from node.caseload import load
from node.caseload.job import LoadJob
from node.errors import LoadRunning
from node.processes import rights
from node.store.engine import Store, open_store
from node.store.schema import meta
from tests.caseload import ANN, KEYS, NOW, FixedKeys, mapping, write_csv
from tests.postgres_server import ROLE, Server

pytestmark = pytest.mark.needs("postgres")
REMOTE = "postgresql://elsewhere@db.example/police"


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    made = postgres.new_database()
    yield made
    postgres.empty(made)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


def in_database(server: Server, url: str, statement: str) -> None:
    """Run a statement of the superuser's in a store's database; `{}` is its name."""
    name = str(make_url(url).database)
    with server.admin(name) as admin:
        admin.execute(statement.format(name).encode())


@pytest.mark.parametrize(
    "url",
    [
        REMOTE,
        f"{REMOTE}?sslmode=require",
        f"{REMOTE}?sslmode=verify-ca",
        "postgresql://elsewhere@10.0.0.7/police",
        "postgresql://elsewhere@/police?host=/run/postgresql,db.example",
        "postgresql://elsewhere@localhost/police?hostaddr=10.0.0.7",
        "postgresql://elsewhere@localhost.example/police",
        "postgresql://elsewhere@[2001:db8::1]/police",
    ],
)
def test_a_server_elsewhere_needs_tls_that_proves_it(url: str) -> None:
    with pytest.raises(ConfigInvalid, match="sslmode=verify-full"):
        open_store(url)


@pytest.mark.parametrize(("name", "value"), [("PGHOST", "db.example"), ("PGHOSTADDR", "10.0.0.7")])
def test_a_server_named_by_the_environment_needs_it_too(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigInvalid, match="sslmode=verify-full"):
        open_store("postgresql://elsewhere@/police")


def test_the_environment_cannot_take_tls_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "disable")

    with pytest.raises(StoreUnavailable):  # it was asked for, so that only the server is missing
        open_store("postgresql://elsewhere@nowhere.invalid/police?sslmode=verify-full&connect_timeout=2")
    with pytest.raises(ConfigInvalid):
        open_store(REMOTE)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://elsewhere:p4ss@localhost/police",
        "postgresql://elsewhere@localhost/police?password=p4ss",
        "postgresql://elsewhere@localhost",
        "postgresql://elsewhere@localhost/police?service=p4ss",
    ],
)
def test_a_url_with_a_password_or_without_a_database_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ConfigInvalid) as refusal:
        open_store(url)

    assert "p4ss" not in str(refusal.value)


def test_the_password_comes_from_a_file_that_is_its_owners_alone(
    postgres: Server, url: str, tmp_path: Path
) -> None:
    over_tcp = f"postgresql://{ROLE}@127.0.0.1:{postgres.port}/{make_url(url).database}"
    right, wrong, seen = tmp_path / "right", tmp_path / "wrong", tmp_path / "seen"
    write_secret(right, f"{postgres.password}\n".encode())
    write_secret(wrong, b"CANARY")
    seen.write_text(postgres.password)
    seen.chmod(0o644)

    open_store(over_tcp, right).close()
    with pytest.raises(StoreUnavailable) as refusal:
        open_store(over_tcp, wrong)
    assert "CANARY" not in str(refusal.value)
    with pytest.raises(KeyFileExposed):
        open_store(over_tcp, seen)
    with pytest.raises(KeyFileMissing):
        open_store(over_tcp, tmp_path / "none")


def test_a_commit_is_on_the_disk_whatever_the_role_is_set_to(postgres: Server, url: str) -> None:
    in_database(postgres, url, "ALTER DATABASE {} SET synchronous_commit = off")
    store = open_store(url)
    with store.write() as conn:
        assert conn.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
    store.close()
    in_database(postgres, url, "ALTER DATABASE {} SET synchronous_commit = remote_apply")
    store = open_store(url)
    with store.write() as conn:
        assert conn.execute(text("SHOW synchronous_commit")).scalar_one() == "remote_apply"
    store.close()


@pytest.mark.parametrize(
    "setting",
    [
        "log_statement = 'all'",
        "log_statement = 'mod'",
        "log_min_duration_statement = 0",
        "log_transaction_sample_rate = 0.1",
    ],
)
def test_a_server_that_would_log_records_is_refused_until_it_logs_no_parameters(
    postgres: Server, url: str, setting: str
) -> None:
    in_database(postgres, url, f"ALTER DATABASE {{}} SET {setting}")
    with pytest.raises(StoreExposed, match="log_parameter_max_length"):
        open_store(url)

    in_database(postgres, url, "ALTER DATABASE {} SET log_parameter_max_length = 0")
    store = open_store(url)
    with store.write() as conn:
        conn.execute(meta.insert().values(name="a", value="CANARY-logged"))
    store.close()
    assert "CANARY-logged" not in postgres.log()


def test_tables_that_every_role_can_read_are_refused(postgres: Server, url: str) -> None:
    open_store(url).close()
    in_database(postgres, url, "GRANT SELECT ON record TO PUBLIC")

    with pytest.raises(StoreExposed, match="PUBLIC"):
        open_store(url)


def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(StoreUnavailable, match="ReadOnly"), store.read() as conn:
        conn.execute(meta.insert().values(name="a", value="b"))


def test_a_transaction_with_an_error_that_was_passed_over_is_not_reported_as_kept(store: Store) -> None:
    def write() -> None:
        with store.write() as conn:
            conn.execute(meta.insert().values(name="a", value="b"))
            with pytest.raises(IntegrityError):
                conn.execute(meta.insert().values(name="a", value="b"))

    with pytest.raises(StoreUnavailable, match="passed over"):
        write()
    with store.read() as conn:
        assert conn.execute(select(meta.c.name).where(meta.c.name == "a")).first() is None


def test_a_process_that_stops_within_a_transaction_is_thrown_out(store: Store) -> None:
    with store.read() as conn:
        assert conn.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one() == "1min"


def test_a_database_of_another_encoding_is_refused(postgres: Server) -> None:
    with postgres.admin() as admin:
        admin.execute(f"CREATE DATABASE latin OWNER {ROLE} ENCODING 'LATIN1' TEMPLATE template0".encode())

    with pytest.raises(StoreUnavailable, match="UTF8"):
        open_store(f"postgresql://{ROLE}@/latin?host={postgres.folder}&port={postgres.port}")


def test_a_missing_server_or_database_is_unavailable(postgres: Server) -> None:
    for url in (
        f"postgresql://{ROLE}@/none?host={postgres.folder}&port={postgres.port}",
        f"postgresql://{ROLE}@/none?host=/nowhere",
    ):
        with pytest.raises(StoreUnavailable):
            open_store(url)


def test_a_right_is_free_as_soon_as_its_holder_is_done(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the server had not yet noticed that the holder's session has ended.
    monkeypatch.setattr(Connection, "invalidate", lambda _conn: None)
    with store.hold(rights.LOADS) as is_mine:
        assert is_mine
    other = open_store(url)

    with other.hold(rights.LOADS) as is_mine:
        assert is_mine
    other.close()


def test_a_load_from_another_folder_into_the_same_store_is_refused_while_one_runs(
    url: str, store: Store, tmp_path: Path
) -> None:
    other = open_store(url)
    path = write_csv(tmp_path / "a.csv", [ANN])
    job = LoadJob(store=store, keys=FixedKeys(KEYS), now=NOW, work=tmp_path, workers=1)
    with other.hold(rights.LOADS) as is_mine:
        assert is_mine
        with pytest.raises(LoadRunning):
            load.load_file(path, mapping(), job)
    other.close()

    assert load.load_file(path, mapping(), job).loaded == 1
