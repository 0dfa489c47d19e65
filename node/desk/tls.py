"""The desk on the agency's own network: a key, its certificate, and whose certificates may ask.

Holds:    the desk's TLS key on its way into gRPC.
Refuses:  a key that others can read, files that do not fit each other, and the federation's own CA for
          clients: every other agency's node has a certificate of it, and could ask at this agency's desk.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from elsewhere.errors import CertificateInvalid, ConfigInvalid
from elsewhere.keyfiles import read_secret
from elsewhere.wire.channel import HasAuthContext, agency_of, server_credentials
from node.config import NodeConfig

SOCKET: Final = "socket"  # what the log calls everybody who asks through the Unix socket
MAX_FILE_BYTES: Final = 256 * 1024
_LISTEN = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[^/:\s]+):\d{1,5}")
_NAME = re.compile(r"[^\W_][\w .@:/-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class DeskTls:
    """Where the desk listens besides its socket, checked."""

    listen: str
    credentials: grpc.ServerCredentials = field(repr=False)


def load_tls(config: NodeConfig, federation_ca_pem: bytes) -> DeskTls | None:
    """Read and check what `desk.listen` needs; None where it is not set.

    Args:
        config: names the files; relative paths start at the node's folder.
        federation_ca_pem: of the trust anchor.

    Raises:
        ConfigInvalid: the message names the key of node.toml; nothing listens yet.
        KeyFileMissing, KeyFileExposed: there is no key file, or others can read it.
    """
    desk = config.desk
    if not desk.listen:
        return None
    if not (desk.tls_key and desk.tls_cert and desk.client_ca):
        raise ConfigInvalid(
            "desk.listen: expected tls_key, tls_cert and client_ca beside it; the desk is never open"
        )
    if not _LISTEN.fullmatch(desk.listen):
        raise ConfigInvalid("desk.listen: expected host:port")
    key_pem = read_secret(config.dir / desk.tls_key)
    cert_pem, certificates = _read("desk.tls_cert", config.dir / desk.tls_cert)
    ca_pem, authorities = _read("desk.client_ca", config.dir / desk.client_ca)
    if _public(certificates[0]) != _public_of_key(key_pem):
        raise ConfigInvalid("desk.tls_cert: expected the certificate of desk.tls_key; it is for another key")
    _check_own(authorities, x509.load_pem_x509_certificate(federation_ca_pem))
    return DeskTls(desk.listen, server_credentials(ca_pem=ca_pem, key_pem=key_pem, cert_pem=cert_pem))


def client_of(context: HasAuthContext) -> str:
    """Tell which of the agency's own systems is calling: its certificate's common name, or "socket".

    Raises:
        CertificateInvalid: a certificate without one plain name, or named like the socket. Serve nothing.
    """
    if "x509_pem_cert" not in context.auth_context():
        return SOCKET
    name = agency_of(context)
    if name == SOCKET or not _NAME.fullmatch(name):
        raise CertificateInvalid(f"expected a plain name of 1 to 64 characters, other than {SOCKET!r}")
    return name


def _check_own(authorities: Sequence[x509.Certificate], federation: x509.Certificate) -> None:
    """Return only if every one is a CA, and none the federation's or made by it."""
    for authority in authorities:
        if not _is_ca(authority):
            raise ConfigInvalid("desk.client_ca: expected certificates of CAs; one is not")
        # By key and not by bytes: the same CA can have another certificate.
        if _public(authority) == _public(federation) or _is_made_by(federation, authority):
            raise ConfigInvalid(
                "desk.client_ca: expected a CA of this agency's own; this is the federation's, "
                "whose certificates every other agency has"
            )


def _is_made_by(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _read(key: str, path: Path) -> tuple[bytes, list[x509.Certificate]]:
    """Read a file of one or more PEM certificates."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES)
        return data, x509.load_pem_x509_certificates(data)
    except OSError:
        raise ConfigInvalid(f"{key}: expected a readable file; it cannot be read") from None
    except ValueError:
        raise ConfigInvalid(f"{key}: expected certificates in PEM; there is none, or one is broken") from None


def _public_of_key(key_pem: bytes) -> bytes:
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigInvalid("desk.tls_key: expected a private key in PEM, without a passphrase") from None
    return key.public_key().public_bytes(_DER, _SPKI)


def _public(certificate: x509.Certificate) -> bytes:
    """The whole public key, so that two of one kind and value are equal."""
    return certificate.public_key().public_bytes(_DER, _SPKI)


_DER, _SPKI = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
