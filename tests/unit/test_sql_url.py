"""The URL of a database in a mapping names one server, whose TLS is checked; nothing in it names another."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from node.caseload.sql_url import parameters
from node.errors import SourceUnreadable


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://role@/cases?conninfo=host%3Ddb.example",
        "postgresql://role@localhost/cases?service=cases",
        "postgresql://role@localhost/cases?dbname=x",
        "postgresql://role@localhost/cases?options=-cdefault_transaction_read_only%3Doff",
        "postgresql://role@localhost/cases?sslmode=verify-full&sslmode=disable",
        "mssql://role@localhost/cases?server=db.example",
        "mssql://role@localhost/cases?DSN=cases",
        "mssql://role@localhost/cases?odbc_connect=SERVER%3Ddb.example",
        "mssql://role@localhost/cases?driver=D%3BServer%3Ddb.example",
        "mssql://role@localhost/cases%3BServer%3Ddb.example",
        "mssql://ro%3Ble@localhost/cases",
        "mssql://role@db.example/cases?encrypt=no&Encrypt=yes&driver=ODBC+Driver+18+for+SQL+Server",
        "mssql://role@localhost:port/cases",
        "sqlite:////cases.sqlite?mode=rwc",
    ],
)
def test_no_parameter_names_another_server_or_other_ways_than_were_checked(url: str) -> None:
    with pytest.raises(SourceUnreadable, match=r"url of \[source.sql\]") as refusal:
        parameters(urlsplit(url))

    assert refusal.value.code == "source.unreadable"
    assert "db.example" not in str(refusal.value)


def test_a_server_on_another_machine_that_proves_itself_is_connected_to_as_the_url_says() -> None:
    url = "mssql://role@db.example:1444/cases?driver=ODBC+Driver+18+for+SQL+Server&Encrypt=strict"

    assert parameters(urlsplit(url)) == {
        "driver": "ODBC Driver 18 for SQL Server",
        "Encrypt": "strict",
        "host": "db.example",
        "port": 1444,
        "user": "role",
        "database": "cases",
    }


def test_encryption_that_proves_nobody_takes_not_the_place_of_tls() -> None:
    given = parameters(urlsplit("postgresql://role@db.example/cases?sslmode=verify-full&gssencmode=prefer"))

    assert (given["sslmode"], given["gssencmode"]) == ("verify-full", "disable")
