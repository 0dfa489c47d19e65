"""What has to hold on a machine before it asks to join: the way out, the clock, the cryptography, the store.

Sees:     the gateway's certificate, as whoever answers at its address shows it.
Refuses:  a way on which somebody else ends the TLS connection; a clock whose questions others would refuse.

gRPC itself takes an HTTP proxy from `grpc_proxy`, `https_proxy` or `http_proxy`, and leaves it out for hosts
in `no_grpc_proxy` or `no_proxy`; the same variables are read here in that order, so that both take one way.
Source:   gRPC proposal A1 (HTTP CONNECT proxies); RFC 9110 §9.3.6 (CONNECT).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import ssl
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from elsewhere.clock import CLOCK_TOLERANCE, MAX_MS, from_ms
from elsewhere.errors import CertificateInvalid, GatewayUnreachable
from elsewhere.matchkeys import question_keys
from elsewhere.oprf.group import library
from elsewhere.person.identity import Person
from elsewhere.wire.tls import check_signed
from node.config import NodeConfig
from node.errors import ClockApart, Intercepted, MatchKeysWrong
from node.store.engine import open_store

PATIENCE_S: Final = 10.0
_PROXY: Final = ("grpc_proxy", "https_proxy", "http_proxy")
_DIRECT: Final = ("no_grpc_proxy", "no_proxy")
_MAX_HEAD: Final = 16 * 1024
_CHILD: Final = {
    "given": "Amara",
    "family": "Okafor",
    "dob": "2015-03-12",
    "postcode": "NX1 2AB",
    "nhs_number": "999 000 0026",
}
# SHA-256 of the match keys of a made-up child, one after the other: the one of docs/protocol.md.
MATCH_KEYS: Final = "3e20046245867f3f796dbb95adc62e14bb5286a0fd4b3fd7ba6f21b4dd21b0c3"


def check_way(address: str, ca_pem: bytes, environment: Mapping[str, str]) -> None:
    """Return only if whoever ends a TLS connection to a gateway's address has a certificate of its CA.

    Args:
        address: host:port, as nodes dial it.
        ca_pem: the federation's CA, from the token.
        environment: the process's variables; those of proxies count.

    Raises:
        GatewayUnreachable: nobody answers there, or the proxy does not let us through.
        Intercepted: somebody else ends the connection. The message names whose certificate it is.
    """
    host, _, port = address.rpartition(":")
    proxy = proxy_for(host, environment)
    via = f" through the proxy {proxy.hostname}:{proxy.port or 80}" if proxy is not None else ""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # looked at below
    context.set_alpn_protocols(["h2"])
    try:
        raw = _connect(host, int(port), proxy)
        with contextlib.closing(raw), context.wrap_socket(raw, server_hostname=host) as secure:
            shown = ssl.DER_cert_to_PEM_cert(secure.getpeercert(binary_form=True) or b"").encode()
    except (OSError, ValueError) as err:
        raise GatewayUnreachable(
            f"expected a gateway at {address}{via}: {type(err).__name__}. Have the way out opened for it"
        ) from None
    try:
        check_signed(shown, ca_pem)
    except CertificateInvalid as err:
        raise Intercepted(
            f"expected the gateway's own certificate at {address}{via}; {err}. Something on the way opens TLS"
            " connections, as an inspecting proxy or firewall does: have this address left out of that"
        ) from None


def proxy_for(host: str, environment: Mapping[str, str]) -> SplitResult | None:
    """The proxy that gRPC takes to a host; None for none."""
    found = next((environment[name] for name in _PROXY if environment.get(name)), "")
    direct = next((environment[name] for name in _DIRECT if environment.get(name)), "")
    suffixes = [entry.strip() for entry in direct.split(",") if entry.strip()]
    if not found or any(host.endswith(suffix) for suffix in suffixes):
        return None
    return urlsplit(found if "://" in found else f"http://{found}")


def check_clock(gateway_ms: int, now: datetime) -> None:
    """Return only if this machine's clock is near the gateway's; raises ClockApart."""
    apart = now - from_ms(min(gateway_ms, MAX_MS))
    if abs(apart) > CLOCK_TOLERANCE:
        way = "ahead of" if apart > type(apart)() else "behind"
        raise ClockApart(
            f"expected this machine's clock within {CLOCK_TOLERANCE.total_seconds() / 60:g} minutes of the"
            f" gateway's; it is {abs(apart).total_seconds() / 60:.0f} minutes {way} it. Set it by NTP"
        )


def check_machine(config: NodeConfig) -> None:
    """Return only if match keys come out here as everywhere, and the store can be used.

    Raises:
        SetupError: no usable libsodium.
        MatchKeysWrong: this installation makes other match keys than all others.
        As `open_store`.
    """
    library()
    made = b"".join(key.data for key in question_keys(Person.of(**_CHILD)))
    if hashlib.sha256(made).hexdigest() != MATCH_KEYS:
        raise MatchKeysWrong("expected the match keys of docs/protocol.md; this installation makes others")
    open_store(config.store_url, config.store_password).close()


def _connect(host: str, port: int, proxy: SplitResult | None) -> socket.socket:
    """Open a connection, through the proxy if there is one."""
    if proxy is None:
        return socket.create_connection((host, port), PATIENCE_S)
    made = socket.create_connection((proxy.hostname or "", proxy.port or 80), PATIENCE_S)
    try:
        head = f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n"
        if proxy.username is not None:
            named = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
            head += f"Proxy-Authorization: Basic {base64.b64encode(named).decode()}\r\n"
        made.sendall(f"{head}\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer and len(answer) < _MAX_HEAD:
            more = made.recv(1)  # not a byte of what comes after: that is TLS
            if not more:
                break
            answer += more
        status = answer.split(b" ", 2)[1:2]
        if status != [b"200"]:
            raise ConnectionError
    except BaseException:
        made.close()
        raise
    return made
