"""Where a node's desk is and how to reach it: its folder, its socket, or host and port with a certificate.

Holds:    a client's TLS key on its way into gRPC; it never prints.
Refuses:  host and port without a certificate; a socket of another user; a key file that others can read.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from elsewhere.errors import CertificateInvalid, DeskUnreachable, KeyFileExposed, KeyFileMissing
from elsewhere.wire.convert.desk import MAX_ASK_BYTES, MAX_EVENT_BYTES
from elsewhere.wire.socket_path import SocketAddress, check_own_socket, is_listened_at

SOCKET_NAME = "desk.sock"
_HOST_PORT = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[^/:\s]+):\d{1,5}")
OPTIONS: list[tuple[str, int]] = [
    ("grpc.max_send_message_length", MAX_ASK_BYTES),
    ("grpc.max_receive_message_length", MAX_EVENT_BYTES),
    ("grpc.enable_retries", 0),  # a question asked twice is two questions
    ("grpc.enable_http_proxy", 0),  # the desk is inside the agency; a name must not leave through a proxy
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


@dataclass(frozen=True, slots=True, eq=False)
class ClientCertificate:
    """What a client shows a desk on another machine, and the CA that the desk must be certified by; PEM."""

    ca_pem: bytes = field(repr=False)
    cert_pem: bytes = field(repr=False)
    key_pem: bytes = field(repr=False)

    @classmethod
    def from_files(cls, *, ca: Path, cert: Path, key: Path) -> ClientCertificate:
        """Read the three files.

        Raises:
            CertificateInvalid: CA or certificate cannot be read.
            KeyFileMissing: the key cannot be read.
            KeyFileExposed: others can read the key; make it mode 0600.
        """
        try:
            ca_pem, cert_pem = ca.read_bytes(), cert.read_bytes()
        except OSError:
            raise CertificateInvalid("expected readable files for CA and certificate") from None
        try:
            with key.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                key_pem = file.read()
        except OSError:
            raise KeyFileMissing(f"expected a readable key file; {key.name} is none") from None
        if mode & 0o077:
            raise KeyFileExposed(f"expected {key.name} with mode 0600; it has {mode:04o}")
        return cls(ca_pem, cert_pem, key_pem)

    def to_grpc(self) -> grpc.ChannelCredentials:
        """Give gRPC's form; the system's list of CAs is not used."""
        return grpc.ssl_channel_credentials(self.ca_pem, self.key_pem, self.cert_pem)


class Target:
    """One desk, found; `close` it after its channel."""

    def __init__(self, where: str | os.PathLike[str], credentials: ClientCertificate | None) -> None:
        """Find a desk.

        Args:
            where: a node's folder, its socket, or host:port (then with credentials). A text that has the
                form host:port is one, unless such a path exists. In a folder whose node runs as several
                processes it is the first of them that listens; `FOLDER/processes/NAME` is a certain one.
            credentials: for host:port only.

        Raises:
            DeskUnreachable: no such folder, or host:port without credentials, or credentials without it.
        """
        self._socket: Path | None = None
        self._address: SocketAddress | None = None
        self.credentials = credentials
        text = os.fspath(where)
        if isinstance(where, str) and _HOST_PORT.fullmatch(text) and not Path(text).exists():
            if credentials is None:
                raise DeskUnreachable("expected a client certificate for a desk on another machine")
            self.name = text
            return
        if credentials is not None:
            raise DeskUnreachable("expected host:port beside a client certificate; a folder needs none")
        path = Path(text)
        self._socket = _socket_in(path) if path.is_dir() else path
        try:
            self._address = SocketAddress(self._socket)
        except OSError:
            raise DeskUnreachable("expected a node's folder; there is no such folder") from None
        self.name = self._address.target

    def check_reachable(self) -> None:
        """Return only if nothing speaks against sending a question there; raises DeskUnreachable."""
        if self._socket is not None:
            check_own_socket(self._socket)

    def close(self) -> None:
        """Let go of the socket's folder."""
        if self._address is not None:
            self._address.close()


def _socket_in(folder: Path) -> Path:
    """Choose the socket of the node that lives in a folder: its own, unless only another process listens."""
    own = folder / SOCKET_NAME
    others = sorted(folder.glob(f"processes/*/{SOCKET_NAME}"))
    if not others:
        return own
    return next((path for path in (own, *others) if is_listened_at(path)), own)
