"""An agency joins with a token: real gateway, real TLS, each way in which that is refused."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import click
import grpc
import pytest
import tomli_w
from click.testing import CliRunner

from elsewhere.cli.gateway import gateway
from elsewhere.cli.node_join import join as node_join
from elsewhere.clock import Clock
from elsewhere.enrolment import open_request
from elsewhere.errors import ElsewhereError, EnrolmentRefused, GatewayUnreachable
from elsewhere.invitation import (
    PREFIX,
    AgencyTaken,
    Token,
    TokenExpired,
    TokenInvalid,
    TokenUnknown,
    TokenUsed,
)
from elsewhere.wire.channel import CLIENT_OPTIONS, client_credentials
from elsewhere.wire.tls import make_authority, make_key, sign_gateway
from elsewhere.wire.v1 import directory_pb2, directory_pb2_grpc
from gateway.invitations import Invitation, Invited, hand_in, invite, reject, request_path, waiting
from gateway.service import Gateway
from node.errors import ClockApart, FingerprintDiffers, Intercepted
from node.membership.hop import read_hop
from node.membership.joining import REQUEST, TOKEN, Contacts, Standing, ask, prepare
from tests.federation import Shifted
from tests.gateway_support import attach, found, join, running, utc_now
from tests.partnership import admit, set_state

CONTACTS = Contacts("0000 000 001", "0000 000 002")
POLICE = Invited("police", "Northshire Police", "POLICE")


def token_of(folder: Path, gateway: Gateway, who: Invited = POLICE, now: Clock = utc_now) -> str:
    """A token, once the settings name the gateway's port, which a test only learns when it runs."""
    settings = {"federation": "northshire", "listen": f"127.0.0.1:{gateway.port}"}
    (folder / "gateway.toml").write_text(tomli_w.dumps(settings))
    return invite(folder, who, now=now(), random=secrets.token_bytes).to_text()


async def joining(
    node: Path, text: str, clock: Clock = utc_now, environment: Mapping[str, str] | None = None
) -> Standing:
    """What `elsewhere node join` does."""
    prepare(node, text, CONTACTS, now=clock(), random=secrets.token_bytes)
    return await ask(node, environment or {}, clock)


async def refused(node: Path, text: str, clock: Clock = utc_now) -> str:
    """The code with which joining is refused."""
    with pytest.raises(ElsewhereError) as refusal:
        await joining(node, text, clock)
    return refusal.value.code


async def test_an_agency_joins_with_a_token_and_sees_each_state_on_the_way(tmp_path: Path) -> None:
    gw, node = tmp_path / "gw", tmp_path / "police"
    found(gw)
    async with running(gw) as gateway:
        text = token_of(gw, gateway)
        assert (await joining(node, text)).state == "requested"
        assert (await ask(node, {}, utc_now)).state == "requested"  # asking again changes nothing
        (wish,) = waiting(gw)
        assert (wish.agency_id, wish.contact_in_hours) == ("police", CONTACTS.in_hours)

        admit(gw, request_path(gw, "police").read_bytes(), now=utc_now())
        gateway.directory.refresh()
        told = await ask(node, {}, utc_now)

        assert (told.state, told.admission is not None) == ("active", True)
        assert waiting(gw) == []
        assert not (node / TOKEN).exists()
        assert read_hop(node).ends_utc > utc_now() + timedelta(days=29)
        for state in ("probation", "suspended", "revoked"):
            set_state(gw, "police", state, now=utc_now())
            gateway.directory.refresh()
            assert (await ask(node, {}, utc_now)).state == state


async def test_who_is_turned_down_is_told_why_and_may_be_invited_again(tmp_path: Path) -> None:
    gw, node = tmp_path / "gw", tmp_path / "police"
    found(gw)
    async with running(gw) as gateway:
        await joining(node, token_of(gw, gateway))
        reject(gw, "police", "another contact is needed")

        told = await ask(node, {}, utc_now)
        assert (told.state, told.reason) == ("rejected", "another contact is needed")
        assert (await joining(node, token_of(gw, gateway))).state == "requested"


async def test_a_request_that_was_turned_down_is_corrected_under_the_same_keys(tmp_path: Path) -> None:
    gw, node = tmp_path / "gw", tmp_path / "police"
    found(gw)
    async with running(gw) as gateway:
        first = token_of(gw, gateway)
        await joining(node, first)
        (wish,) = waiting(gw)
        reject(gw, "police", "the duty number is wrong")

        corrected = Contacts("0000 000 999", CONTACTS.out_of_hours)
        with pytest.raises(EnrolmentRefused, match="with a further token"):
            prepare(node, first, corrected, now=utc_now(), random=secrets.token_bytes)
        text = token_of(gw, gateway, replace(POLICE, name="Northshire Constabulary"))
        prepare(node, text, corrected, now=utc_now(), random=secrets.token_bytes)
        assert (await ask(node, {}, utc_now)).state == "requested"

        (again,) = waiting(gw)
        assert (again.contact_in_hours, again.name) == ("0000 000 999", "Northshire Constabulary")
        assert again.signing_key == wish.signing_key


async def test_who_is_a_member_is_not_turned_down_but_stopped(tmp_path: Path) -> None:
    gw, node = tmp_path / "gw", tmp_path / "police"
    found(gw)
    async with running(gw) as gateway:
        await joining(node, token_of(gw, gateway))
        admit(gw, request_path(gw, "police").read_bytes(), now=utc_now())
        gateway.directory.refresh()
        with pytest.raises(EnrolmentRefused, match="--state police=suspended"):
            reject(gw, "police", "no more")
        assert (await ask(node, {}, utc_now)).state == "active"


async def test_a_gateway_takes_one_request_on_a_token(tmp_path: Path) -> None:
    gw = tmp_path / "gw"
    found(gw)
    async with running(gw) as gateway:
        token = Token.from_text(token_of(gw, gateway))
        files = []
        for contact in ("0000 000 001", "0000 000 002"):
            whom, folder = Contacts(contact, contact), tmp_path / contact
            prepare(folder, token.to_text(), whom, now=utc_now(), random=secrets.token_bytes)
            files.append((folder / REQUEST).read_bytes())
        (file,) = (gw / "invitations").glob("*.json")
        held = Invitation.from_bytes(file.read_bytes())
        roster = gateway.directory.roster
        assert hand_in(gw, held, files[0], roster, now=utc_now()).is_used
        assert hand_in(gw, held, files[0], roster, now=utc_now()).is_used
        with pytest.raises(TokenUsed, match="another request"):
            hand_in(gw, held, files[1], roster, now=utc_now())
        assert request_path(gw, "police").read_bytes() == files[0]


async def test_a_token_that_somebody_else_has_used_is_refused_to_both_of_them(tmp_path: Path) -> None:
    gw = tmp_path / "gw"
    found(gw)
    async with running(gw) as gateway:
        text = token_of(gw, gateway)
        await joining(tmp_path / "thief", text)

        with pytest.raises(TokenUsed, match="call the gateway's operator now"):
            await joining(tmp_path / "police", text)
        (wish,) = waiting(gw)  # the thief's: the fingerprint that the agency reads out is another
        mine = open_request((tmp_path / "police" / "join-request.json").read_bytes())
        assert wish.fingerprint != mine.fingerprint


async def test_a_token_is_refused_a_day_later_and_when_it_is_not_whole_or_not_the_gateways(
    tmp_path: Path,
) -> None:
    gw, clock = tmp_path / "gw", Shifted()
    found(gw)
    async with running(gw, clock=clock) as gateway:
        text = token_of(gw, gateway)
        clock.by = timedelta(hours=24, minutes=1)
        assert await refused(tmp_path / "late", text, clock) == TokenExpired.code
        slow = Shifted(timedelta(hours=23, minutes=58))  # by its own clock it would still be in time
        assert await refused(tmp_path / "slow", text, slow) == TokenExpired.code
        clock.by = timedelta()
        assert await refused(tmp_path / "cut", text[:-40]) == TokenInvalid.code
        assert not (tmp_path / "cut").exists()
        for path in (gw / "invitations").glob("*.json"):
            path.unlink()
        assert await refused(tmp_path / "unknown", text) == TokenUnknown.code


async def test_an_id_that_stands_for_another_key_is_refused(tmp_path: Path) -> None:
    gw = tmp_path / "gw"
    found(gw)
    join(gw, "social")
    async with running(gw) as gateway:
        member = Invited("social", "Agency social", "SOCIAL_CARE")
        assert await refused(tmp_path / "false", token_of(gw, gateway, member)) == AgencyTaken.code
        await joining(tmp_path / "one", token_of(gw, gateway))
        assert await refused(tmp_path / "two", token_of(gw, gateway)) == AgencyTaken.code
        other = prepared_as(tmp_path / "three", token_of(gw, gateway), replace(POLICE, name="Someone Else"))
        with pytest.raises(EnrolmentRefused):
            await ask(other, {}, utc_now)


def prepared_as(node: Path, text: str, who: Invited) -> Path:
    """A folder whose request names another agency than the token in it."""
    token = replace(Token.from_text(text), agency_id=who.agency_id, name=who.name, sector=who.sector)
    prepare(node, token.to_text(), CONTACTS, now=utc_now(), random=secrets.token_bytes)
    return node


async def test_a_clock_that_is_off_and_a_federation_of_another_fingerprint_are_refused(
    tmp_path: Path,
) -> None:
    gw = tmp_path / "gw"
    found(gw)
    async with running(gw) as gateway:
        ahead = Shifted(timedelta(minutes=20))
        assert await refused(tmp_path / "fast", token_of(gw, gateway), ahead) == ClockApart.code
        assert waiting(gw) == []  # nothing was handed in

        text = replace(Token.from_text(token_of(gw, gateway)), anchor=bytes(32)).to_text()
        await joining(tmp_path / "police", text)
        admit(gw, request_path(gw, "police").read_bytes(), now=utc_now())
        gateway.directory.refresh()
        with pytest.raises(FingerprintDiffers):
            await ask(tmp_path / "police", {}, utc_now)
        assert not (tmp_path / "police" / "trust").exists()


async def test_a_proxy_that_opens_tls_is_named_and_one_that_only_passes_it_on_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gw = tmp_path / "gw"
    found(gw)
    inspector = make_authority("Inspecting Proxy Ltd", now=utc_now())
    key = make_key()
    cert = sign_gateway(inspector, key, hosts=["127.0.0.1"], now=utc_now())
    false = grpc.aio.server()
    port = false.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, cert)]))
    await false.start()
    async with running(gw) as gateway:
        token = Token.from_text(token_of(gw, gateway))
        with pytest.raises(Intercepted, match="Inspecting Proxy Ltd"):
            await joining(tmp_path / "one", replace(token, gateways=(f"127.0.0.1:{port}",)).to_text())
        await false.stop(None)
        with pytest.raises(GatewayUnreachable):
            await joining(tmp_path / "two", replace(token, gateways=(f"127.0.0.1:{port}",)).to_text())

        async with connecting() as (proxy, asked):
            environment = {"https_proxy": f"http://127.0.0.1:{proxy}"}
            for name, value in environment.items():
                monkeypatch.setenv(name, value)  # gRPC reads the process's own
            for name in ("no_proxy", "no_grpc_proxy", "grpc_proxy"):
                monkeypatch.delenv(name, raising=False)
            told = await joining(tmp_path / "police", token.to_text(), environment=environment)
            assert told.state == "requested"
            assert len(asked) >= 2  # the look at the certificate, and the call
            assert set(asked) == {f"127.0.0.1:{gateway.port}"}


@asynccontextmanager
async def connecting() -> AsyncIterator[tuple[int, list[str]]]:
    """A proxy that knows CONNECT: its port, and where it was asked to."""
    asked: list[str] = []
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split(b" ")[1].decode())
        host, _, port = asked[-1].rpartition(":")
        there = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for pair in ((reader, there[1]), (there[0], writer)):
            task = asyncio.create_task(pump(*pair))
            tasks.add(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_invitation_opens_nothing_but_enrolment(tmp_path: Path) -> None:
    found(tmp_path)
    async with running(tmp_path) as gateway:
        token = Token.from_text(token_of(tmp_path, gateway))
        shown = client_credentials(ca_pem=token.ca_pem, key_pem=token.key_pem, cert_pem=token.cert_pem)
        async with grpc.aio.secure_channel(
            f"127.0.0.1:{gateway.port}", shown, options=CLIENT_OPTIONS
        ) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await directory_pb2_grpc.DirectoryServiceStub(channel).PublishStatement(
                    directory_pb2.PublishStatementRequest(statement=b"x")
                )
            assert refusal.value.details() == "roster.not_active"
            with pytest.raises((grpc.aio.AioRpcError, AssertionError)):
                await attach(channel, "police")
        assert gateway.links.all() == ()


async def test_a_member_whose_certificate_ran_out_is_invited_again_and_keeps_its_keys(tmp_path: Path) -> None:
    gw, node = tmp_path / "gw", tmp_path / "police"
    found(gw)
    async with running(gw) as gateway:
        await joining(node, token_of(gw, gateway))
        admit(gw, request_path(gw, "police").read_bytes(), now=utc_now())
        gateway.directory.refresh()
        await ask(node, {}, utc_now)
        before = read_hop(node)
        (node / "trust" / "tls.pem").write_bytes(before.cert_pem)

        told = await joining(node, token_of(gw, gateway))

        assert told.state == "active"
        assert read_hop(node).cert_pem != before.cert_pem
        assert read_hop(node).key_pem == before.key_pem


async def test_the_commands_invite_join_list_and_refuse(tmp_path: Path) -> None:
    gw, node = str(tmp_path / "gw"), str(tmp_path / "police")
    found(tmp_path / "gw")

    async def run(command: click.Command, *arguments: str, stdin: str = "") -> tuple[int, str]:
        done = await asyncio.to_thread(CliRunner().invoke, command, arguments, input=stdin)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    async with running(tmp_path / "gw") as running_gateway:
        token_of(tmp_path / "gw", running_gateway)  # writes the port into the settings
        whom = ("--agency", "police", "--name", "Northshire Police", "--sector", "POLICE")
        wrong = await asyncio.to_thread(
            CliRunner().invoke, gateway, ("invite", "--dir", gw, *whom[:-1], "POLIS")
        )
        assert (wrong.exit_code, "POLICE" in str(wrong.exception)) == (1, True)
        code, printed = await run(gateway, "invite", "--dir", gw, *whom)
        assert code == 0
        token = next(line for line in printed.splitlines() if line.startswith(PREFIX))

        duty = ("--in-hours", "0000 000 001", "--out-of-hours", "0000 000 002")
        code, told = await run(node_join, "-", "--dir", node, *duty, stdin=f"{token[:70]}\n {token[70:]}\n")
        assert (code, "police: requested" in told) == (1, True)
        shown = re.findall(r"fingerprint (\S+)", told)[0]

        code, listed = await run(gateway, "requests", "--dir", gw)
        assert f"fingerprint {shown}" in listed
        assert str(request_path(tmp_path / "gw", "police")) in listed

        code, _ = await run(gateway, "refuse", "--dir", gw, "--agency", "police", "--reason", "not yet")
        assert code == 0
        code, told = await run(node_join, "--status", "--dir", node)
        assert (code, "rejected" in told, "not yet" in told) == (1, True, True)
        assert "nobody waits" in (await run(gateway, "requests", "--dir", gw))[1]
