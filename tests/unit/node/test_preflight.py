"""What a node looks at before it asks to join: each thing that is wrong is named."""

from __future__ import annotations

import socket
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from elsewhere.clock import to_ms
from elsewhere.errors import GatewayUnreachable
from elsewhere.wire.tls import make_authority
from node.config import load_config
from node.errors import ClockApart, MatchKeysWrong
from node.membership import preflight
from node.membership.preflight import check_clock, check_machine, check_way, proxy_for

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
CA = make_authority("northshire", now=NOW).cert_pem


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"http_proxy": "http://a:1"}, "a"),
        ({"http_proxy": "http://a:1", "https_proxy": "http://b:1"}, "b"),
        ({"https_proxy": "http://b:1", "grpc_proxy": "c:1"}, "c"),
        ({"https_proxy": "http://b:1", "no_proxy": "other.example, .northshire.example"}, None),
        ({"https_proxy": "http://b:1", "no_proxy": "example.org"}, "b"),
        # as gRPC does: the first variable that is set counts alone
        ({"https_proxy": "http://b:1", "no_grpc_proxy": "x", "no_proxy": "northshire.example"}, "b"),
    ],
)
def test_the_proxy_is_the_one_that_grpc_takes(environment: dict[str, str], proxy: str | None) -> None:
    found = proxy_for("gateway.northshire.example", environment)

    assert (found.hostname if found is not None else None) == proxy


def test_a_proxy_that_does_not_let_through_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked: list[bytes] = []

        def refuse() -> None:
            there, _ = server.accept()
            with there:
                asked.append(there.recv(4096))
                there.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

        answering = threading.Thread(target=refuse)
        answering.start()
        port = server.getsockname()[1]
        with pytest.raises(GatewayUnreachable, match=f"through the proxy 127.0.0.1:{port}") as refusal:
            check_way("gateway.example:7443", CA, {"https_proxy": f"http://who:secret@127.0.0.1:{port}"})
        answering.join()

    assert asked[0].startswith(b"CONNECT gateway.example:7443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic d2hvOnNlY3JldA==\r\n" in asked[0]
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("apart", [timedelta(minutes=6), timedelta(minutes=-6)])
def test_a_clock_is_off_in_either_direction(apart: timedelta) -> None:
    check_clock(to_ms(NOW), NOW + apart / 2)

    with pytest.raises(ClockApart, match="ahead of" if apart > timedelta() else "behind"):
        check_clock(to_ms(NOW), NOW + apart)


def test_a_gateway_that_states_a_time_beyond_all_calendars_is_apart() -> None:
    with pytest.raises(ClockApart, match="behind"):
        check_clock(2**64 - 1, NOW)


def test_an_installation_that_makes_other_match_keys_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "node.toml").write_text('agency = "police"\nname = "Police"\n')
    config = load_config(tmp_path)
    check_machine(config)

    monkeypatch.setattr(preflight, "question_keys", lambda _: ())
    with pytest.raises(MatchKeysWrong):
        check_machine(config)
