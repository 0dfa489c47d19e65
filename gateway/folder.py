"""The gateway's folder: keys, certificates and signed documents, read with their protections checked.

Holds:    the CA's key, the gateway's own signing and TLS keys, each a file of mode 0600. No steward's key.
Refuses:  key files that others can read; a folder that holds a gateway already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import grpc

from elsewhere.anchor import Federation
from elsewhere.canonical import canonical_json, parse_canonical
from elsewhere.errors import CertificateInvalid, ConfigInvalid, ElsewhereError, KeyFileMissing
from elsewhere.keyfiles import check_secrets, read_secret, replace_file, write_secret
from elsewhere.locks import hold_lock, try_lock
from elsewhere.random import RandomBytes
from elsewhere.signing import SigningKey
from elsewhere.wire.channel import server_credentials
from elsewhere.wire.tls import (
    Authority,
    check_hosts,
    check_pair,
    make_authority,
    make_key,
    renewal_due,
    sign_gateway,
)
from gateway.config import GatewayConfig

ANCHOR_FILE: Final = "federation.json"
ROSTER_FILE: Final = "roster.json"
AGREEMENT_FILE: Final = "agreement.json"
CHAIN_FILE: Final = "chain.json"  # the first roster and each that changed the stewards
CERTIFICATE_FILE: Final = "tls.pem"
TLS_KEY: Final = "keys/tls.key"
OWNER_FILE: Final = "store.id"
OWNER_ID: Final = "[0-9a-f]{32}"
GATEWAY_KEY: Final = "keys/gateway.key"
_CA_KEY = "keys/ca.key"


class GatewayRunning(ElsewhereError):
    """A gateway runs in this folder already. Stop it first; a further one needs a folder of its own."""

    code = "gateway.running"


@dataclass(frozen=True, slots=True, eq=False)
class Keys:
    """Everything secret of a gateway, and what it is known by. Prints none of it."""

    gateway: SigningKey  # for what the gateway says of time; it has no say in who is a member
    authority: Authority
    tls_key_pem: bytes = field(repr=False)

    @classmethod
    def create(cls, directory: Path, federation_id: str, *, now: datetime, random: RandomBytes) -> Keys:
        """Make all keys of a new gateway.

        Raises:
            FileExistsError: the folder has keys already. Nothing was changed.
        """
        (directory / "keys").mkdir(mode=0o700)
        authority = make_authority(federation_id, now=now)
        keys = cls(SigningKey.generate(random), authority, make_key())
        write_secret(directory / GATEWAY_KEY, keys.gateway.seed)
        write_secret(directory / _CA_KEY, authority.key_pem)
        write_secret(directory / TLS_KEY, keys.tls_key_pem)
        return keys

    @classmethod
    def load(cls, directory: Path) -> Keys:
        """Read the keys.

        Raises:
            KeyFileExposed, KeyFileMissing: the gateway must not start.
            CertificateInvalid: the CA's key is not the anchor's.
        """
        if not (directory / _CA_KEY).exists():
            raise KeyFileMissing(
                f"expected {_CA_KEY} in the gateway's folder; a further gateway has none: run this in the"
                " folder that was made first"
            )
        key = SigningKey.from_seed(read_secret(directory / GATEWAY_KEY))
        return cls(key, read_authority(directory), read_secret(directory / TLS_KEY))


def read_gateway_key(directory: Path) -> SigningKey:
    """Read the key that the gateway itself signs with; raises KeyFileExposed, KeyFileMissing."""
    return SigningKey.from_seed(read_secret(directory / GATEWAY_KEY))


def serving_credentials(
    config: GatewayConfig, *, now: datetime, renewed: Callable[[], bytes | None] = lambda: None
) -> grpc.ServerCredentials:
    """Credentials to serve with: only callers certified by the CA get past the handshake.

    Serving needs the TLS key alone. The CA's, until the certificate is renewed, can be kept away from a
    machine that is on the network all day; it certifies no node then.

    Args:
        config: of the gateway.
        now: aware UTC time.
        renewed: as for `server_credentials`.

    Raises:
        KeyFileExposed: others can read a key that is here.
        KeyFileMissing: no TLS key; or no CA key, and the certificate is too old or for other hosts.
    """
    check_secrets(config.dir / "keys")
    anchor, tls_key_pem = read_anchor(config.dir), read_secret(config.dir / TLS_KEY)
    return server_credentials(
        ca_pem=anchor.tls_ca_pem,
        key_pem=tls_key_pem,
        cert_pem=certificate(config, anchor, tls_key_pem, now=now),
        renewed=renewed,
    )


def certificate(config: GatewayConfig, anchor: Federation, tls_key_pem: bytes, *, now: datetime) -> bytes:
    """Give the gateway's own certificate, made anew past half its life or when its hosts have changed."""
    path = config.dir / CERTIFICATE_FILE
    try:
        held = path.read_bytes()
        check_hosts(held, config.hosts)
        check_pair(tls_key_pem, held)
        if now < renewal_due(held):
            return held
    except (FileNotFoundError, CertificateInvalid):
        pass  # made anew below
    made = sign_gateway(read_authority(config.dir), tls_key_pem, hosts=config.hosts, now=now)
    replace_file(path, made)
    return made


def read_authority(directory: Path) -> Authority:
    """Read the CA with its key; raises KeyFileMissing where that is kept elsewhere, KeyFileExposed."""
    return Authority(read_secret(directory / _CA_KEY), read_anchor(directory).tls_ca_pem)


def write_anchor(directory: Path, anchor: Federation) -> None:
    """Write the federation's anchor, which members will be handed."""
    replace_file(directory / ANCHOR_FILE, canonical_json(anchor.to_json()))


def read_anchor(directory: Path) -> Federation:
    """Read the federation's anchor; raises ConfigInvalid if there is none."""
    return Federation.from_json(parse_canonical(read_document(directory / ANCHOR_FILE)))


def read_document(path: Path) -> bytes:
    """Read a document that has to be there; raises ConfigInvalid if it is not."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigInvalid(
            f"expected {path.name} in the gateway's folder; run 'elsewhere gateway init' first"
        ) from None


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Keep two operators from changing the folder at once: the second one waits."""
    with hold_lock(directory / "changing.lock"):
        yield


@contextmanager
def running_alone(directory: Path) -> Iterator[None]:
    """Keep a second gateway from running in the folder; the system lets go of the lock if this one is killed.

    Raises:
        GatewayRunning: there is one.
    """
    with try_lock(directory / "running.lock") as is_mine:
        if not is_mine:
            raise GatewayRunning(
                "expected no gateway that runs in this folder; one does. Stop it first, or make a further"
                " one a folder of its own with 'elsewhere gateway replica'"
            )
        yield


def owner_id(directory: Path, random: RandomBytes) -> str:
    """The id by which a store knows that it is this folder's; made when it is first wanted."""
    path = directory / OWNER_FILE
    if not path.exists():
        replace_file(path, random(16).hex().encode())
    found = path.read_text("ascii", "replace").strip()
    if not re.fullmatch(OWNER_ID, found):
        raise ConfigInvalid(f"expected 32 hexadecimal digits in {OWNER_FILE}; the file was changed")
    return found
