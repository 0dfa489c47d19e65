"""The one way to open or serve a connection: mutual TLS, bounded messages, pings that both ends permit.

Holds:    TLS key material on its way into gRPC; nothing is kept here.
Refuses:  a peer without a certificate of the federation's CA; a message over the bound of its direction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import grpc

from elsewhere.errors import CertificateInvalid
from elsewhere.roster import AGENCY_ID
from elsewhere.wire.tls import common_name

RESEARCHER: Final = (
    rf"researcher:({AGENCY_ID})"  # the name in a researcher's certificate; no agency can have it
)
WINDOW_BYTES = 256 * 1024  # of one stream that a gateway takes unread
PING_MS = 20_000
PING_TIMEOUT_MS = 10_000
MAX_GRANTS = 100  # in one message
# To the gateway: an Ask of 100 questions is 0.6 MB, a catalogue chunk 1 MiB, a Piece 0.2 MB.
MAX_TO_GATEWAY_BYTES = 2 * 1024 * 1024
# To a node: a Directory holds roster and agreement, at most 4 MiB each, and 100 statements of 64 KiB.
MAX_TO_NODE_BYTES = 16 * 1024 * 1024

_COMMON = (("grpc.keepalive_time_ms", PING_MS), ("grpc.keepalive_timeout_ms", PING_TIMEOUT_MS))

CLIENT_OPTIONS: Sequence[tuple[str, int]] = (
    *_COMMON,
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_send_message_length", MAX_TO_GATEWAY_BYTES),
    ("grpc.max_receive_message_length", MAX_TO_NODE_BYTES),
    ("grpc.enable_retries", 0),  # a retried message is a second message; whoever asks decides that
)

SERVER_OPTIONS: Sequence[tuple[str, int]] = (
    *_COMMON,
    ("grpc.keepalive_permit_without_calls", 1),
    # gRPC's default ends a link that pings oftener than every five minutes.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", PING_MS // 2),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.max_concurrent_streams", 64),  # of one connection: a link and a few calls
    ("grpc.max_send_message_length", MAX_TO_NODE_BYTES),
    ("grpc.max_receive_message_length", MAX_TO_GATEWAY_BYTES),
    # Windows that hold many frames from the start; probing for them would cost a ping now and then.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", WINDOW_BYTES),
    ("grpc.so_reuseport", 0),  # a second gateway on the same port must fail, not share it
)


class HasAuthContext(Protocol):
    """The part of a servicer context that says who called; sync and asyncio contexts both have it."""

    def auth_context(self) -> Any: ...


def client_credentials(*, ca_pem: bytes, key_pem: bytes, cert_pem: bytes) -> grpc.ChannelCredentials:
    """Credentials of a node: trust this CA alone, show this certificate.

    Args:
        ca_pem: the federation's CA certificate; the system's list is not used.
        key_pem: the node's TLS key.
        cert_pem: its certificate.
    """
    return grpc.ssl_channel_credentials(ca_pem, key_pem, cert_pem)


def server_credentials(
    *, ca_pem: bytes, key_pem: bytes, cert_pem: bytes, renewed: Callable[[], bytes | None] = lambda: None
) -> grpc.ServerCredentials:
    """Credentials of a server: without a certificate of this CA no caller gets past the handshake.

    Args:
        ca_pem: the federation's CA certificate, or the agency's own one at its desk.
        key_pem: the server's TLS key.
        cert_pem: its certificate.
        renewed: asked before each handshake, on a thread of gRPC's: a newer certificate of the same key,
            once; None for none.
    """

    def shown(certificate: bytes) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([(key_pem, certificate)], ca_pem)

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        newer = renewed()
        return shown(newer) if newer is not None else None

    return grpc.dynamic_ssl_server_credentials(
        shown(cert_pem),
        fetch,  # type: ignore[arg-type]  # its stubs lack None, for "as it was"
        require_client_authentication=True,
    )


def agency_of(context: HasAuthContext) -> str:
    """Tell which agency is calling: the common name of the certificate that TLS verified.

    Never `context.peer()`, which is an address that anyone behind a shared proxy has.

    Raises:
        CertificateInvalid: no certificate, or more than one name in it. Serve nothing.
    """
    shown = context.auth_context().get("x509_pem_cert", ())
    if len(shown) != 1:
        raise CertificateInvalid(f"expected one client certificate, got {len(shown)}")
    return common_name(bytes(shown[0]))


def researcher_of(context: HasAuthContext) -> str:
    """Tell which researcher's program is calling: the id in the certificate that TLS verified.

    Raises:
        CertificateInvalid: no certificate, or an agency's. Serve nothing.
    """
    found = re.fullmatch(RESEARCHER, agency_of(context))
    if found is None:
        raise CertificateInvalid("expected a researcher's certificate; it names somebody else")
    return found[1]
