"""Whether a PostgreSQL server is on this machine, or proves by TLS that it is the one that was named.

Sees:     what a connection is made with, and what libpq would add to it from the environment.
Source:   PostgreSQL 15, libpq 34.1.2 Parameter Key Words, 34.15 Environment Variables.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from elsewhere.errors import ConfigInvalid

# Encryption by GSS would be taken first, in the place of the TLS that is asked for here.
ALWAYS: Final = {"gssencmode": "disable"}


def check_transport(given: Mapping[str, Any], setting: str) -> None:
    """Return only if records would go to nobody else. What the environment says counts: it can name a host.

    Args:
        given: what libpq is given, by its own key words; `ALWAYS` is to be added.
        setting: where the URL stands, for whoever has to change it.

    Raises:
        ConfigInvalid: the server is on another machine, and TLS that proves it is not asked for.
    """
    from psycopg import pq

    found = {one.keyword.decode(): one.val.decode() for one in pq.Conninfo.get_defaults() if one.val}
    found |= {name: str(value) for name, value in given.items() if value is not None}
    if "service" in found:
        raise ConfigInvalid(
            f"expected the server itself in {setting}, not the name of a service, nor one in PGSERVICE"
        )
    hosts = [*found.get("host", "").split(","), *found.get("hostaddr", "").split(",")]
    if all(is_here(host) for host in hosts) or found.get("sslmode") == "verify-full":
        return
    raise ConfigInvalid(
        f"expected sslmode=verify-full in {setting}, as its server is not on this machine; "
        "name the CA that signed the server's certificate with sslrootcert=FILE"
    )


def is_here(host: str) -> bool:
    """Whether a host is this machine: a Unix socket's folder, or an address of the loopback."""
    if host == "" or host[0] in "/@" or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
