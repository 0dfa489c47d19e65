"""The blind courier: nothing of a lookup is written, logged or left in memory by the gateway."""

from __future__ import annotations

import gc
import json
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from elsewhere.logs import ALWAYS, KeepAllowed
from elsewhere.wire.channel import CLIENT_OPTIONS, client_credentials
from elsewhere.wire.convert.link import REPLY_BYTES, REQUEST_BYTES
from elsewhere.wire.v1 import link_pb2
from gateway import logs
from tests.gateway_support import (
    Agency,
    Peer,
    ask,
    attach,
    attached,
    found,
    join,
    question,
    redeem,
    reply_to,
    running,
)


def planted(size: int) -> bytes:
    """Bytes that can be found again wherever a part of them turns up."""
    return (secrets.token_bytes(32) * (size // 32 + 1))[:size]


async def whole_lookup(searcher: Peer, custodian: Peer) -> list[bytes]:
    """Both rounds, a refusal and a redeem out of turn; gives every secret byte string that went through."""
    secret = [
        planted(REQUEST_BYTES[1]),
        planted(REPLY_BYTES[1]),
        planted(REQUEST_BYTES[2]),
        planted(REPLY_BYTES[2]),
    ]
    asked = question(custodian.agency_id, secret[0])
    lookup = ask(asked)
    await searcher.say(ask=lookup)
    first = await custodian.dispatch()
    await custodian.say(reply=reply_to(first, secret[1]))
    await searcher.outcome()
    await searcher.say(redeem=redeem(lookup.ask_id, custodian.agency_id, secret[2]))
    await searcher.say(redeem=redeem(lookup.ask_id, custodian.agency_id, secret[2]))
    second = await custodian.dispatch()
    await custodian.say(reply=reply_to(second, secret[3]))
    await searcher.outcome()
    await searcher.outcome()
    await custodian.say(reply=reply_to(second, secret[3]))  # a used route
    await searcher.say(ask=ask(question("police"), ask_id=lookup.ask_id))
    third = await custodian.dispatch()
    await custodian.say(reply=link_pb2.Reply(route=third.route, refused=True))
    await searcher.outcome()
    ids = [lookup.ask_id, asked.lookup_id, first.route, second.route, third.route]
    return [part[:32] for part in secret] + ids


def assert_absent(secrets_: list[bytes], haystack: bytes, where: str) -> None:
    """Neither the bytes nor the ways in which a log would write them."""
    for secret in secrets_:
        for form in (secret, secret[:12], secret.hex().encode(), repr(secret)[2:-1].encode()):
            assert form not in haystack, where


async def test_neither_disk_nor_log_of_a_gateway_process_holds_anything_of_a_lookup(tmp_path: Path) -> None:
    found(tmp_path)
    social, police = join(tmp_path, "social"), join(tmp_path, "police")
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", str(tmp_path)], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        ready = next(line for line in process.stderr if line.startswith("ready"))
        async with (
            _channel(ready.split()[1], social) as one,
            _channel(ready.split()[1], police) as two,
        ):
            searcher, custodian = await attach(one, "social"), await attach(two, "police")
            secret = await whole_lookup(searcher, custodian)
            await custodian.say(reply=link_pb2.Reply(route=secret[-1], sealed=secret[0]))  # malformed
            assert (await custodian.end())[1] == "frame.malformed"
        process.terminate()
        assert process.wait(timeout=30) == 0
        log = process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert_absent(secret, log.encode(), "log")
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert_absent(secret, path.read_bytes(), path.name)
    for line in log.splitlines():
        assert set(json.loads(line)) <= logs.ALLOWED | ALWAYS


def _channel(address: str, agency: Agency) -> grpc.aio.Channel:
    """A connection to a gateway in another process."""
    credentials = client_credentials(
        ca_pem=agency.admission.anchor.tls_ca_pem,
        key_pem=agency.tls_pem,
        cert_pem=agency.admission.certificate_pem,
    )
    return grpc.aio.secure_channel(address, credentials, options=CLIENT_OPTIONS)


async def test_memory_is_as_before_once_a_lookup_has_ended(tmp_path: Path) -> None:
    found(tmp_path)
    social, police = join(tmp_path, "social"), join(tmp_path, "police")
    async with running(tmp_path) as gateway, attached(gateway, social, police) as (searcher, custodian):
        await whole_lookup(searcher, custodian)

        assert gateway.lookups.under_way == gateway.lookups.open_routes == 0
        assert not gateway.lookups._by_searcher
        assert [link.waiting for link in gateway.links.all()] == [0, 0]
        gc.collect()
        kept = [type(one).__name__ for one in gc.get_objects() if type(one).__name__ in ("_Lookup", "_Part")]
        assert kept == []


@pytest.mark.parametrize("field", ["sealed", "frame", "ask_id", "exc_info", "peer", "message"])
def test_a_log_field_that_is_not_on_the_list_is_dropped(field: str) -> None:
    assert KeepAllowed(logs.ALLOWED)(None, "info", {"event": "x", field: "secret", "agency": "police"}) == {
        "event": "x",
        "agency": "police",
    }


@pytest.mark.parametrize("form", [bytes, lambda b: b.hex().encode(), lambda b: repr(b).encode()])
def test_the_search_finds_what_is_planted_in_any_form(form: Callable[[bytes], bytes]) -> None:
    secret = secrets.token_bytes(32)

    with pytest.raises(AssertionError):
        assert_absent([secret], b"before" + form(secret) + b"after", "planted")
