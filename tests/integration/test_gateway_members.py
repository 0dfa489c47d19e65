"""Who may attach, and for how long: certificates, roster, succession of documents, restarts."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from elsewhere.errors import ConfigInvalid
from elsewhere.sealing import SealingKey
from elsewhere.signing import SigningKey
from elsewhere.statement import KeyStatement, SealingKeyEntry, sign_statement
from elsewhere.succession import read_roster, sign_roster
from elsewhere.wire.channel import client_credentials
from elsewhere.wire.tls import make_authority, make_key, make_request, sign_node
from elsewhere.wire.v1 import common_pb2, directory_pb2, directory_pb2_grpc, link_pb2, link_pb2_grpc
from gateway.config import load_config
from gateway.folder import Keys
from gateway.service import Gateway
from tests import partnership
from tests.gateway_support import (
    PATIENCE_S,
    Agency,
    Peer,
    ask,
    attach,
    attached,
    channel_to,
    found,
    join,
    question,
    running,
    utc_now,
)

DENIED = (grpc.StatusCode.PERMISSION_DENIED, "roster.not_active")


def statement_of(agency: Agency, version: int, signer: SigningKey | None = None) -> bytes:
    """A key statement with one sealing key."""
    entry = SealingKeyEntry(SealingKey.generate(secrets.token_bytes).public, datetime(2030, 1, 1, tzinfo=UTC))
    statement = KeyStatement(
        agency=agency.agency_id,
        version=version,
        issued_utc=datetime(2026, 3, 1, tzinfo=UTC),
        sealing_keys=(entry,),
        oprf_keys=(),
        protocol_versions=(1,),
        match_key_versions=("1",),
    )
    return sign_statement(signer or agency.signing, statement)


async def publish(gateway: Gateway, agency: Agency, envelope: bytes) -> int | str:
    """Publish a statement; gives the version, or the code it was refused with."""
    async with channel_to(gateway, agency) as channel:
        stub = directory_pb2_grpc.DirectoryServiceStub(channel)
        request = directory_pb2.PublishStatementRequest(statement=envelope)
        try:
            return (await stub.PublishStatement(request, timeout=PATIENCE_S)).version
        except grpc.aio.AioRpcError as err:
            return err.details() or ""


async def hello_on(channel: grpc.aio.Channel) -> tuple[grpc.StatusCode, str]:
    """Dial, say Hello and tell how that ended."""
    call = link_pb2_grpc.LinkServiceStub(channel).Attach(timeout=PATIENCE_S)  # type: ignore[call-arg]
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # refused before it is written
        await call.write(link_pb2.AttachRequest(hello=link_pb2.Hello(protocol_min=1, protocol_max=1)))
    return await Peer("?", call).end()


async def directory_until(peer: Peer, is_wanted: object) -> directory_pb2.Directory:
    """Read directories until one is as wanted."""
    while True:
        found = (await peer.frame("directory")).directory
        if is_wanted(found):  # type: ignore[operator]
            return found


async def test_nobody_gets_in_without_a_certificate_of_this_ca(tmp_path: Path) -> None:
    found(tmp_path)
    police = join(tmp_path, "police")
    stranger = make_authority("northshire", now=utc_now())
    key = make_key()
    forged = sign_node(stranger, make_request(key, "police"), agency="police", now=utc_now())
    ca = police.admission.anchor.tls_ca_pem
    async with running(tmp_path) as gateway:
        for credentials in (
            grpc.ssl_channel_credentials(ca),
            client_credentials(ca_pem=ca, key_pem=key, cert_pem=forged),
        ):
            async with grpc.aio.secure_channel(f"127.0.0.1:{gateway.port}", credentials) as channel:
                code, _ = await hello_on(channel)
                assert code == grpc.StatusCode.UNAVAILABLE
        async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
            assert (await hello_on(channel))[0] == grpc.StatusCode.UNAVAILABLE
        assert gateway.links.all() == ()


async def test_a_members_certificate_cannot_pose_as_the_gateway(tmp_path: Path) -> None:
    found(tmp_path)
    police, social = join(tmp_path, "police"), join(tmp_path, "social")
    server = grpc.aio.server()
    anchor = police.admission.anchor
    port = server.add_secure_port(
        "127.0.0.1:0",
        grpc.ssl_server_credentials([(police.tls_pem, police.admission.certificate_pem)], anchor.tls_ca_pem),
    )
    await server.start()
    credentials = client_credentials(
        ca_pem=anchor.tls_ca_pem, key_pem=social.tls_pem, cert_pem=social.admission.certificate_pem
    )
    # Also when the name is not compared, because the certificate is for clients only.
    options = (("grpc.ssl_target_name_override", "police"),)
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options) as channel:
        assert (await hello_on(channel))[0] == grpc.StatusCode.UNAVAILABLE
    await server.stop(None)


@pytest.mark.parametrize("state", ["suspended", "revoked"])
async def test_a_member_that_is_no_longer_active_is_dropped_from_its_standing_link(
    tmp_path: Path, state: str
) -> None:
    found(tmp_path)
    social, police = join(tmp_path, "social"), join(tmp_path, "police")
    async with running(tmp_path) as gateway, attached(gateway, social, police) as (searcher, gone):
        await searcher.say(ask=ask(question("police")))
        await gone.dispatch()
        partnership.set_state(tmp_path, "police", state, now=utc_now())

        assert await gone.end() == DENIED
        assert (await searcher.outcome()).non_answer == common_pb2.NON_ANSWER_UNREACHABLE
        async with channel_to(gateway, police) as channel:
            assert await hello_on(channel) == DENIED
        assert await publish(gateway, police, statement_of(police, 1)) == "roster.not_active"
        shown = await directory_until(searcher, lambda d: d.roster != b"")
        assert shown.agreement


async def test_a_revoked_member_is_refused_with_its_next_frame(tmp_path: Path) -> None:
    found(tmp_path, poll_s=60)
    social, police = join(tmp_path, "social"), join(tmp_path, "police")
    async with running(tmp_path) as gateway, attached(gateway, social, police) as (_, gone):
        gateway.directory.active -= {"police"}  # as while the links are being gone through
        await gone.say(ask=ask(question("social")))
        assert (await gone.end())[0] == grpc.StatusCode.PERMISSION_DENIED


async def test_versions_that_do_not_meet_and_frames_out_of_place_end_the_link(tmp_path: Path) -> None:
    found(tmp_path)
    police = join(tmp_path, "police")
    async with running(tmp_path) as gateway, channel_to(gateway, police) as channel:
        for first, code in (
            ({"hello": link_pb2.Hello(protocol_min=2, protocol_max=3)}, "link.version"),
            ({"hello": link_pb2.Hello(protocol_min=2, protocol_max=1)}, "frame.malformed"),
            ({"beat": link_pb2.Beat(sequence=1)}, "link.order"),
        ):
            call = link_pb2_grpc.LinkServiceStub(channel).Attach()  # type: ignore[call-arg]
            peer = Peer("police", call)
            await peer.say(**first)
            assert (await peer.end())[1] == code
        for second, code in (
            ({"hello": link_pb2.Hello(protocol_min=1, protocol_max=1)}, "link.order"),
            ({"beat": link_pb2.Beat(sequence=0)}, "frame.malformed"),
        ):
            peer = await attach(channel, "police", high=9)
            await peer.say(**second)
            assert (await peer.end())[1] == code
        peer = await attach(channel, "police")
        await peer.call.write(link_pb2.AttachRequest())  # of a later version: ignored
        await peer.call.done_writing()
        assert (await peer.end())[0] == grpc.StatusCode.OK


async def test_silence_ends_a_link(tmp_path: Path) -> None:
    found(tmp_path, link={"beat_ms": 500})
    police = join(tmp_path, "police")
    async with running(tmp_path) as gateway, attached(gateway, police) as (peer,):
        assert await peer.end() == (grpc.StatusCode.UNAVAILABLE, "link.silent")


async def test_the_directory_follows_the_welcome_and_every_change(tmp_path: Path) -> None:
    found(tmp_path)
    social, police = join(tmp_path, "social"), join(tmp_path, "police")
    async with running(tmp_path) as gateway, attached(gateway, social) as (peer,):
        first = (await peer.frame("directory")).directory
        assert read_roster(first.roster).version == 3
        assert (first.agreement, list(first.statements)) == ((tmp_path / "agreement.json").read_bytes(), [])

        statement = statement_of(police, 1)
        assert await publish(gateway, police, statement) == 1
        assert list((await directory_until(peer, lambda d: d.statements)).statements) == [statement]

        join(tmp_path, "schools")
        shown = await directory_until(
            peer,
            lambda d: read_roster(d.roster).version == 4 and d.agreement != first.agreement,
        )
        assert list(shown.statements) == [statement]


async def test_documents_that_do_not_hold_do_not_displace_those_held(tmp_path: Path) -> None:
    found(tmp_path)
    social, _ = join(tmp_path, "social"), join(tmp_path, "police")
    old = (tmp_path / "roster.json").read_bytes()
    partnership.resign(tmp_path, now=utc_now() + timedelta(seconds=1))
    newest = (tmp_path / "roster.json").read_bytes()
    async with running(tmp_path) as gateway, attached(gateway, social) as (peer,):
        for bad in (old, b"{}", newest.replace(b"a", b"b", 1)):
            (tmp_path / "roster.json").write_bytes(bad)
            (tmp_path / "agreement.json").write_bytes(bad)
            gateway.directory.refresh()
            assert gateway.directory.frame().directory.roster == newest
            assert gateway.directory.frame().directory.agreement != bad
        assert (await peer.frame("directory")).directory.roster == newest


async def test_a_roster_that_an_operator_wrote_alone_is_shown_to_nobody(tmp_path: Path) -> None:
    found(tmp_path)
    join(tmp_path, "social")
    held = (tmp_path / "roster.json").read_bytes()
    roster = read_roster(held)
    mine = Keys.load(tmp_path).gateway
    alone = replace(roster, version=roster.version + 1, previous_digest=roster.digest, members=())
    async with running(tmp_path) as gateway:
        for keys in ([mine], [mine, *partnership.KEYS[:2]]):
            (tmp_path / "roster.json").write_bytes(sign_roster(keys, alone))
            gateway.directory.refresh()
            assert gateway.directory.frame().directory.roster == held
            assert gateway.directory.active == {"social"}


async def test_new_stewards_are_shown_with_how_they_came_to_be(tmp_path: Path) -> None:
    found(tmp_path)
    social, _ = join(tmp_path, "social"), join(tmp_path, "police")
    async with running(tmp_path) as gateway, attached(gateway, social) as (peer,):
        assert len((await peer.frame("directory")).directory.stewards_rosters) == 1
        partnership.change_stewards(tmp_path, [partnership.steward("council")], now=utc_now())
        roster, agreement = ((tmp_path / f"{name}.json").read_bytes() for name in ("roster", "agreement"))
        shown = await directory_until(peer, lambda d: (d.roster, d.agreement) == (roster, agreement))
        assert shown.stewards_rosters[1:] == [roster]


async def test_a_statement_is_its_own_agencys_and_never_goes_back(tmp_path: Path) -> None:
    found(tmp_path)
    social, police = join(tmp_path, "social"), join(tmp_path, "police")
    second = statement_of(police, 2)
    async with running(tmp_path) as gateway:
        assert await publish(gateway, police, second) == 2
        assert await publish(gateway, police, second) == 2  # again, as after a restart
        assert await publish(gateway, police, statement_of(police, 1)) == "statement.rollback"
        assert await publish(gateway, police, statement_of(police, 2)) == "statement.rollback"
        assert await publish(gateway, social, statement_of(police, 3)) == "signature.invalid"
        assert await publish(gateway, police, statement_of(police, 3, social.signing)) == "signature.invalid"
        assert await publish(gateway, police, b"{}") == "signature.invalid"
        assert await publish(gateway, police, bytes(70_000)) == "signature.invalid"
        assert list(gateway.directory.frame().directory.statements) == [second]


async def test_a_restart_keeps_statements_and_since_when_an_agency_is_away(tmp_path: Path) -> None:
    found(tmp_path)
    social, police = join(tmp_path, "social"), join(tmp_path, "police")
    statement = statement_of(police, 5)
    async with running(tmp_path) as gateway:
        await publish(gateway, police, statement)
        async with attached(gateway, social, police) as (searcher, gone):
            gone.call.cancel()
            await searcher.say(ask=ask(question("police"), deadline_ms=20_000))
            before = await searcher.outcome()
    async with running(tmp_path) as gateway, attached(gateway, social) as (searcher,):
        assert list((await searcher.frame("directory")).directory.statements) == [statement]
        assert await publish(gateway, police, statement_of(police, 4)) == "statement.rollback"
        await searcher.say(ask=ask(question("police")))
        after = await searcher.outcome()
        assert after.non_answer == common_pb2.NON_ANSWER_UNREACHABLE
        assert after.since_ms == before.since_ms > 0


async def test_a_gateway_going_down_lets_lookups_end_and_takes_no_new_ones(tmp_path: Path) -> None:
    found(tmp_path, drain_s=20)
    social, police = join(tmp_path, "social"), join(tmp_path, "police")
    async with running(tmp_path) as gateway, attached(gateway, social, police) as (searcher, custodian):
        await searcher.say(ask=ask(question("police")))
        dispatch = await custodian.dispatch()
        gateway.stop()
        await searcher.say(ask=ask(question("police")))
        assert (await searcher.outcome()).non_answer == common_pb2.NON_ANSWER_OVERLOADED
        async with channel_to(gateway, police) as channel:
            assert await hello_on(channel) == (grpc.StatusCode.UNAVAILABLE, "gateway.draining")
        await custodian.say(reply=link_pb2.Reply(route=dispatch.route, refused=True))
        assert (await searcher.outcome()).non_answer == common_pb2.NON_ANSWER_REFUSED
        assert await searcher.end() == (grpc.StatusCode.UNAVAILABLE, "gateway.draining")


async def test_a_second_gateway_on_the_same_port_does_not_start(tmp_path: Path) -> None:
    found(tmp_path)
    async with running(tmp_path) as gateway:
        config = load_config(tmp_path).model_copy(update={"listen": f"127.0.0.1:{gateway.port}"})
        with pytest.raises(ConfigInvalid, match="taken"):
            await Gateway(config, clock=utc_now).start()
