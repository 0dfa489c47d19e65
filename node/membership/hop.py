"""What this node shows a gateway in the TLS handshake: a key and the certificate for it, replaced together.

Holds:    the TLS key, in memory while it is handed to gRPC.
Promises: whoever reads, at whatever moment of a change and whichever process of the node changes them, gets
          a key and a certificate that belong together. A crash leaves the pair before, or the new one.

The certificate decides: `trust/tls.pem` is replaced in one step. The key that it is for lies in `tls.key`, or
in `tls-next.key` until a change has ended.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import grpc
import structlog

from elsewhere.errors import CertificateInvalid, ElsewhereError, KeyFileMissing, NotAdmitted
from elsewhere.keyfiles import destroy_secret, read_secret, replace_file, write_secret
from elsewhere.wire.channel import client_credentials
from elsewhere.wire.tls import certificate_end, check_pair, renewal_due

CERTIFICATE: Final = Path("trust") / "tls.pem"
KEY: Final = Path("keys") / "tls.key"
_NEXT_KEY: Final = Path("keys") / "tls-next.key"
_ATTEMPTS: Final = 5
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Hop:
    """A TLS key and the certificate for it. Prints neither."""

    key_pem: bytes = field(repr=False)
    cert_pem: bytes = field(repr=False)

    def __post_init__(self) -> None:
        check_pair(self.key_pem, self.cert_pem)

    @property
    def ends_utc(self) -> datetime:
        """When the certificate runs out."""
        return certificate_end(self.cert_pem)

    @property
    def renews_utc(self) -> datetime:
        """When half of its life is over and a new one is asked for."""
        return renewal_due(self.cert_pem)


class ShownHop:
    """The pair that one process shows; `look` takes up another one, whichever process has changed it."""

    def __init__(self, directory: Path, ca_pem: bytes) -> None:
        self._directory, self._ca_pem = directory, ca_pem
        self.shown = read_hop(directory)

    @property
    def credentials(self) -> grpc.ChannelCredentials:
        """The pair, for links to come."""
        key_pem, cert_pem = self.shown.key_pem, self.shown.cert_pem
        return client_credentials(ca_pem=self._ca_pem, key_pem=key_pem, cert_pem=cert_pem)

    def look(self) -> bool:
        """Tell whether the folder has another pair since; one that cannot be read now goes to the log."""
        try:
            found = read_hop(self._directory)
        except (ElsewhereError, OSError) as err:
            _log.error("certificate.unreadable", code=str(getattr(err, "code", type(err).__name__)))
            return False
        is_new = found.cert_pem != self.shown.cert_pem
        self.shown = found
        return is_new


def read_hop(directory: Path) -> Hop:
    """Read the pair in force.

    Raises:
        NotAdmitted: there is no certificate yet.
        CertificateInvalid: no key here is the certificate's; have a new one made, docs/keys.md.
        KeyFileExposed: others can read the key.
    """
    found = CertificateInvalid("")
    for _ in range(_ATTEMPTS):  # another process may change the pair between the two files
        try:
            cert_pem = (directory / CERTIFICATE).read_bytes()
        except FileNotFoundError:
            raise NotAdmitted("expected a certificate in trust/; there is none yet") from None
        try:
            return hop_with(directory, cert_pem)
        except CertificateInvalid as err:
            found = err
    raise found


def hop_with(directory: Path, cert_pem: bytes) -> Hop:
    """Give the pair of a certificate and the key for it that is here.

    Raises:
        CertificateInvalid: no key here is the certificate's.
        KeyFileExposed: others can read a key.
    """
    for name in (KEY, _NEXT_KEY):
        with contextlib.suppress(KeyFileMissing, CertificateInvalid):
            return Hop(read_secret(directory / name), cert_pem)
    raise CertificateInvalid("expected a certificate for this node's own key in keys/; it is for another key")


def write_hop(directory: Path, new: Hop) -> None:
    """Put a new pair in the place of the one in force, which is destroyed.

    Call it while holding the right to the keys, or before the node has run.
    """
    _finish(directory)
    write_secret(directory / _NEXT_KEY, new.key_pem)
    replace_file(directory / CERTIFICATE, new.cert_pem)
    _finish(directory)


def _finish(directory: Path) -> None:
    """End a change that was begun: the next key takes its place if the certificate is for it, or it goes."""
    try:
        next_key = read_secret(directory / _NEXT_KEY)
    except KeyFileMissing:
        return
    try:
        check_pair(next_key, (directory / CERTIFICATE).read_bytes())
    except (CertificateInvalid, FileNotFoundError):
        destroy_secret(directory / _NEXT_KEY)
        return
    destroy_secret(directory / KEY)  # readers find the other one meanwhile
    os.replace(directory / _NEXT_KEY, directory / KEY)
