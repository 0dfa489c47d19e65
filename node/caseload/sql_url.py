"""What the URL of a database in a mapping says, as the driver takes it: nothing can name another server.

Refuses:  every parameter that is not listed here; a server on another machine without TLS that proves who
          it is. Drivers take whole connection strings, data sources, services and files of settings by
          parameters of their own, so what is not known not to do so is not passed on.
Source:   PostgreSQL 15, libpq 34.1.2 Parameter Key Words; "DSN and Connection String Keywords" of
          Microsoft's ODBC driver: of a keyword that is given twice, it takes the first.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote

from elsewhere.database.transport import ALWAYS, check_transport, is_here
from elsewhere.errors import ConfigInvalid
from node.errors import LibraryMissing, SourceUnreadable

WHERE: Final = "the url of [source.sql]"
# By the scheme. A host named in a parameter is looked at like any other.
PARAMETERS: Final = {
    "postgresql": (
        *("host", "hostaddr", "application_name", "connect_timeout", "target_session_attrs"),
        *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir", "ssl_min_protocol_version"),
        *("gssencmode", "channel_binding", "require_auth", "krbsrvname"),
        *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
    ),
    "mssql": ("driver", "Encrypt", "TrustServerCertificate", "ApplicationIntent", "Trusted_Connection"),
    "sqlite": (),
}
# pyodbc puts values into a connection string as they are: one of these would begin another keyword.
_ENDS_VALUE = re.compile(r"[;={}\[\]\x00-\x1f]")
_DRIVER = re.compile(r"ODBC Driver \d{2} for SQL Server")  # another may take Encrypt for nothing


def parameters(parts: SplitResult) -> dict[str, Any]:
    """Give what the driver is connected with, without the password.

    Args:
        parts: of a URL whose scheme is one of the mapping's.

    Raises:
        SourceUnreadable: the URL says what is not allowed; nothing was connected to.
        LibraryMissing: the driver that is to be asked what its environment adds is not installed.
    """
    asked = parse_qsl(parts.query, keep_blank_values=True)
    _check_names(parts.scheme, [name for name, _ in asked])
    given: dict[str, Any] = dict(asked)
    host, port = _place(parts)
    found = {"host": host or given.pop("host", None), "user": parts.username}
    found |= {"port": port, "database": parts.path.removeprefix("/")}
    given |= {name: unquote(v) if isinstance(v, str) else v for name, v in found.items() if v}
    if parts.scheme == "postgresql":
        _check_postgresql(given)
        given |= ALWAYS
    elif parts.scheme == "mssql":
        _check_mssql(given)
    return given


def _place(parts: SplitResult) -> tuple[str | None, int | None]:
    try:
        return parts.hostname, parts.port
    except ValueError:
        raise SourceUnreadable(f"expected a host and a number for its port in {WHERE}") from None


def _check_names(scheme: str, names: list[str]) -> None:
    """Return only if each parameter is listed, and there once."""
    for name in names:
        if name not in PARAMETERS[scheme]:
            allowed = ", ".join(PARAMETERS[scheme]) or "none"
            raise SourceUnreadable(f"expected other parameters in {WHERE}; those for {scheme} are: {allowed}")
    if len(set(names)) != len(names):
        raise SourceUnreadable(f"expected each parameter once in {WHERE}")


def _check_postgresql(given: dict[str, Any]) -> None:
    """Return only if the server is on this machine, or proves by TLS that it is the one named."""
    try:
        check_transport(given, WHERE)
    except ConfigInvalid as err:
        raise SourceUnreadable(str(err)) from None
    except ImportError:
        raise LibraryMissing("ibis-framework[postgres]", "database tables") from None


def _check_mssql(given: dict[str, Any]) -> None:
    """As for PostgreSQL."""
    for value in given.values():
        if isinstance(value, str) and _ENDS_VALUE.search(value):
            raise SourceUnreadable(f"expected no ;, =, brackets or braces in what {WHERE} says")
    is_proven = (
        given.get("Encrypt", "").lower() in ("yes", "mandatory", "strict")
        and given.get("TrustServerCertificate", "no").lower() == "no"
        and _DRIVER.fullmatch(given.get("driver", "")) is not None
    )
    if not is_here(given.get("host", "")) and not is_proven:
        raise SourceUnreadable(
            f"expected driver=ODBC+Driver+18+for+SQL+Server and Encrypt=yes, and no TrustServerCertificate, "
            f"in {WHERE}, as its server is not on this machine"
        )
