"""Another gateway of the same federation: a folder that serves, and certifies nobody.

Holds:    a TLS key of its own; never the CA's or the gateway's signing key, which stay in the first folder.
Sees:     the anchor, the roster and the agreement, all public.
Promises: what is enacted in the first folder reaches it through the members, who hand newer documents on.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import tomli_w

from elsewhere.errors import ConfigInvalid
from elsewhere.keyfiles import read_secret, replace_file, write_secret
from elsewhere.wire.tls import make_key, sign_gateway
from gateway.config import FILE_NAME, GatewayConfig, config_from, load_config
from gateway.folder import (
    AGREEMENT_FILE,
    ANCHOR_FILE,
    CERTIFICATE_FILE,
    CHAIN_FILE,
    GATEWAY_KEY,
    ROSTER_FILE,
    TLS_KEY,
    Keys,
    alone,
    read_anchor,
    read_document,
)

_PUBLIC: Final = (ANCHOR_FILE, CHAIN_FILE, ROSTER_FILE, AGREEMENT_FILE)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a further gateway listens."""

    listen: str  # host:port
    addresses: tuple[str, ...] = ()  # host:port that nodes dial, if it is not `listen`


def add(directory: Path, first: Path, place: Place, *, now: datetime) -> GatewayConfig:
    """Make the folder of a further gateway, or renew the certificate of one that was made before.

    Args:
        directory: made with mode 0700 if it is not there; may be moved to another machine afterwards.
        first: the folder with the key of the CA.
        place: where it listens; of a folder made before, its own settings count.
        now: aware UTC time.

    Raises:
        ConfigInvalid: the folder is of another federation, or has keys of its own.
        KeyFileMissing: the first folder lacks a key.
    """
    anchor, keys = read_anchor(first), Keys.load(first)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chmod(directory, 0o700)
    with alone(directory):
        if (directory / FILE_NAME).exists():
            config = load_config(directory)
            if config.federation != anchor.federation_id or read_anchor(directory) != anchor:
                raise ConfigInvalid("expected a folder of the same federation; this one is of another")
        else:
            config = _found(directory, first, anchor.federation_id, place)
        if not (directory / GATEWAY_KEY).exists():
            write_secret(directory / GATEWAY_KEY, keys.gateway.seed)  # one key for all: the roster names one
        tls_key = read_secret(directory / TLS_KEY)
        made = sign_gateway(keys.authority, tls_key, hosts=config.hosts, now=now)
        replace_file(directory / CERTIFICATE_FILE, made)
    return config


def _found(directory: Path, first: Path, federation: str, place: Place) -> GatewayConfig:
    """Write a new folder: a key, what every member knows anyway, and settings."""
    if (directory / "keys").exists():
        raise ConfigInvalid("expected a folder without a gateway; this one has keys already: name another")
    settings = {"federation": federation, "listen": place.listen, "addresses": list(place.addresses)}
    config = config_from({**settings, "dir": directory.absolute()})
    (directory / "keys").mkdir(mode=0o700)
    write_secret(directory / TLS_KEY, make_key())
    for name in _PUBLIC:
        if (first / name).exists():
            replace_file(directory / name, read_document(first / name))
    replace_file(directory / FILE_NAME, tomli_w.dumps(settings).encode())
    return config
