"""A researcher comes in with a token: real gateway, real TLS, each way in which that is refused."""

from __future__ import annotations

import asyncio
import secrets
import stat
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import tomli_w
from click.testing import CliRunner

from elsewhere.agreement.studies import Researcher
from elsewhere.cli.gateway import gateway as gateway_command
from elsewhere.cli.research_report import show_request
from elsewhere.clock import Clock
from elsewhere.errors import ElsewhereError, EnrolmentRefused
from elsewhere.fields import Fields
from elsewhere.invitation import PREFIX, RESEARCH_PREFIX, ResearcherToken, TokenExpired, TokenInvalid
from elsewhere.keyfiles import read_secret
from elsewhere.sdk.researcher.calls import GatewayRefused
from elsewhere.sdk.researcher.enrolling import connect, enrol
from elsewhere.sdk.researcher.folder import (
    SIGNING_KEY,
    TLS_PAIR,
    About,
    KeyLocked,
    is_locked,
    read_about,
    read_pair,
    read_signing_key,
    write_pair,
)
from elsewhere.sdk.researcher.trust import read_documents
from elsewhere.signing import SigningKey
from elsewhere.toml import parse_toml
from elsewhere.wire.channel import CLIENT_OPTIONS, client_credentials
from elsewhere.wire.tls import certificate_end, common_name, make_request, sign_node
from elsewhere.wire.v1 import (
    catalogue_pb2,
    catalogue_pb2_grpc,
    directory_pb2,
    directory_pb2_grpc,
    enrolment_pb2,
    enrolment_pb2_grpc,
    ledger_pb2,
    ledger_pb2_grpc,
    link_pb2,
    link_pb2_grpc,
    research_pb2,
    research_pb2_grpc,
    study_pb2,
    study_pb2_grpc,
)
from gateway.folder import read_authority
from gateway.researchers import InvitedResearcher, invite_researcher
from gateway.service import Gateway
from tests import partnership
from tests.gateway_support import PATIENCE_S, channel_to, found, join, running, utc_now
from tests.studying import research

ANA = InvitedResearcher("ana", "Ana Okafor", "University of Northshire")


def token_of(folder: Path, gateway: Gateway, now: Clock = utc_now) -> str:
    """A token, once the settings name the gateway's port, which a test only learns when it runs."""
    settings = {"federation": "northshire", "listen": f"127.0.0.1:{gateway.port}"}
    (folder / "gateway.toml").write_text(tomli_w.dumps(settings))
    return invite_researcher(folder, ANA, now=now(), random=secrets.token_bytes).to_text()


async def enrolling(folder: Path, text: str, passphrase: str = "", now: datetime | None = None) -> About:
    """What `elsewhere research init` does, beside the gateway's loop."""
    step = partial(
        enrol, folder, text, passphrase=passphrase, now=now or utc_now(), random=secrets.token_bytes
    )
    return await asyncio.to_thread(step)


def channel_of(gateway: Gateway, folder: Path) -> grpc.aio.Channel:
    """A connection with the researcher's own certificate."""
    key_pem, cert_pem = read_pair(folder)
    ca_pem = read_documents(folder).anchor.tls_ca_pem
    shown = client_credentials(ca_pem=ca_pem, key_pem=key_pem, cert_pem=cert_pem)
    return grpc.aio.secure_channel(f"127.0.0.1:{gateway.port}", shown, options=CLIENT_OPTIONS)


async def code_of_call(call: Any) -> str:
    """The code with which a call is refused; empty if it is not."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            if hasattr(call, "read"):
                await call.read()
            else:
                await call
    except grpc.aio.AioRpcError as err:
        return str(err.details())
    return ""


async def test_a_researcher_comes_in_with_a_token_and_holds_what_the_stewards_signed(tmp_path: Path) -> None:
    gw, folder = tmp_path / "gw", tmp_path / "ana"
    found(gw)
    for agency in ("police", "schools"):
        join(gw, agency)
    async with running(gw) as gateway:
        about = await enrolling(folder, token_of(gw, gateway))
        _, cert_pem = read_pair(folder)
        documents = read_documents(folder)

        assert common_name(cert_pem) == "researcher:ana"
        assert certificate_end(cert_pem) > utc_now() + timedelta(days=29)
        assert read_signing_key(folder).public == about.key == read_about(folder).key
        assert {one.agency_id for one in documents.roster.active_members()} == {"police", "schools"}
        assert documents.agreement is not None
        for path in (SIGNING_KEY, TLS_PAIR):
            assert stat.S_IMODE((folder / path).stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert sorted(path.name for path in (folder / "keys").iterdir()) == ["signing.key", "tls.pem"]


async def test_a_token_is_good_for_one_key_and_again_for_the_same_one(tmp_path: Path) -> None:
    gw, folder = tmp_path / "gw", tmp_path / "ana"
    found(gw)
    async with running(gw) as gateway:
        text = token_of(gw, gateway)
        lost = tmp_path / "lost"
        await enrolling(lost, text)

        with pytest.raises(GatewayRefused) as refusal:
            await enrolling(folder, text)
        assert refusal.value.code == "invitation.used"
        # An answer that was lost is asked for again: same key, same request.
        text = token_of(gw, gateway)
        shown = ResearcherToken.from_text(text)
        credentials = client_credentials(ca_pem=shown.ca_pem, key_pem=shown.key_pem, cert_pem=shown.cert_pem)
        csr = (folder / "certificate-request.pem").read_bytes()
        address = f"127.0.0.1:{gateway.port}"
        async with grpc.aio.secure_channel(address, credentials, options=CLIENT_OPTIONS) as channel:
            await enrolment_pb2_grpc.EnrolmentServiceStub(channel).JoinResearcher(
                enrolment_pb2.JoinResearcherRequest(csr_pem=csr), timeout=PATIENCE_S
            )
        assert (await enrolling(folder, text)).researcher == "ana"


async def test_another_token_brings_another_certificate_and_keeps_the_key(tmp_path: Path) -> None:
    gw, folder = tmp_path / "gw", tmp_path / "ana"
    found(gw)
    async with running(gw) as gateway:
        before = await enrolling(folder, token_of(gw, gateway))
        pair = read_secret(folder / TLS_PAIR)

        after = await enrolling(folder, token_of(gw, gateway))

        assert after.key == before.key
        assert read_secret(folder / TLS_PAIR) != pair


async def test_a_signing_key_may_be_locked_with_a_passphrase(tmp_path: Path) -> None:
    gw, folder = tmp_path / "gw", tmp_path / "ana"
    found(gw)
    async with running(gw) as gateway:
        with pytest.raises(KeyLocked, match="at least 12"):
            await enrolling(folder, token_of(gw, gateway), "short")
        about = await enrolling(folder, token_of(gw, gateway), "correct horse battery staple")

    assert is_locked(folder)
    assert read_signing_key(folder, "correct horse battery staple").public == about.key
    with pytest.raises(KeyLocked, match="this one fails"):
        read_signing_key(folder, "another horse battery staple")
    assert b"seed" not in read_secret(folder / SIGNING_KEY)


async def test_what_does_not_hold_is_refused_and_nothing_of_it_taken(tmp_path: Path) -> None:
    gw, folder = tmp_path / "gw", tmp_path / "ana"
    found(gw)
    async with running(gw) as gateway:
        text = token_of(gw, gateway)
        with pytest.raises(TokenInvalid):
            await enrolling(folder, text[:-5])
        with pytest.raises(TokenInvalid):
            await enrolling(folder, text.replace(RESEARCH_PREFIX, PREFIX))
        with pytest.raises(TokenExpired):
            await enrolling(folder, text, now=utc_now() + timedelta(hours=25))
        token = ResearcherToken.from_text(text)
        # Of a token whose anchor is another federation's.
        other = ResearcherToken(
            **{name: getattr(token, name) for name in ("federation", "researcher", "name", "organisation")},
            **{
                name: getattr(token, name)
                for name in ("gateways", "expires_utc", "ca_pem", "cert_pem", "key_pem")
            },
            anchor=bytes(32),
        )
        with pytest.raises(EnrolmentRefused, match="another"):
            await enrolling(folder, other.to_text())
        assert not (folder / "trust").exists()
        assert not (folder / TLS_PAIR).exists()

        late = token_of(gw, gateway, lambda: utc_now() - timedelta(hours=25))
        with pytest.raises(GatewayRefused) as refusal:
            await enrolling(tmp_path / "late", late, now=utc_now() - timedelta(hours=2))
        assert refusal.value.code == "invitation.expired"


def calls_of_members(channel: grpc.aio.Channel) -> dict[str, Callable[[], Any]]:
    """One call to each service that is for members."""
    return {
        "link": lambda: link_pb2_grpc.LinkServiceStub(channel).Attach(iter([link_pb2.AttachRequest()])),
        "study": lambda: study_pb2_grpc.StudyServiceStub(channel).Attend(iter([study_pb2.AttendRequest()])),
        "directory": lambda: directory_pb2_grpc.DirectoryServiceStub(channel).PublishStatement(
            directory_pb2.PublishStatementRequest()
        ),
        "catalogue": lambda: catalogue_pb2_grpc.CatalogueServiceStub(channel).Fetch(
            catalogue_pb2.FetchRequest()
        ),
        "ledger": lambda: ledger_pb2_grpc.LedgerServiceStub(channel).Checkpoints(
            ledger_pb2.CheckpointsRequest()
        ),
    }


async def test_a_researcher_is_no_member_and_a_member_no_researcher(tmp_path: Path) -> None:
    gw, folder = tmp_path / "gw", tmp_path / "ana"
    found(gw)
    police = join(gw, "police")
    join(gw, "schools")
    async with running(gw) as gateway:
        await enrolling(folder, token_of(gw, gateway))
        async with channel_of(gateway, folder) as channel:
            refused = {
                service: await code_of_call(call()) for service, call in calls_of_members(channel).items()
            }
            described = await research_pb2_grpc.ResearchServiceStub(channel).Describe(
                research_pb2.DescribeRequest(), timeout=PATIENCE_S
            )
            renewed = await code_of_call(
                enrolment_pb2_grpc.EnrolmentServiceStub(channel).Renew(enrolment_pb2.RenewRequest())
            )
        assert set(refused.values()) == {"roster.not_active"}, refused
        assert described.roster
        assert renewed == "refused.researcher"  # no agreement lists her yet
        async with channel_to(gateway, police) as channel:
            stub = research_pb2_grpc.ResearchServiceStub(channel)
            assert await code_of_call(stub.Describe(research_pb2.DescribeRequest())) == "tls.certificate"
            assert await code_of_call(stub.Study(research_pb2.StudyRequest())) == "tls.certificate"
            assert await code_of_call(stub.Budget(research_pb2.BudgetRequest())) == "tls.certificate"
            joining = enrolment_pb2_grpc.EnrolmentServiceStub(channel).JoinResearcher(
                enrolment_pb2.JoinResearcherRequest()
            )
            assert await code_of_call(joining) == "invitation.unknown"


async def test_an_agreed_researcher_renews_at_half_life_and_another_goes_on_with_what_there_is(
    tmp_path: Path,
) -> None:
    gw, folder = tmp_path / "gw", tmp_path / "ana"
    found(gw)
    for agency in ("police", "schools"):
        join(gw, agency)
    async with running(gw) as gateway:
        about = await enrolling(folder, token_of(gw, gateway))
        key, first = read_signing_key(folder), read_secret(folder / TLS_PAIR)
        await asyncio.to_thread(connect, folder, key, now=utc_now())
        assert read_secret(folder / TLS_PAIR) == first  # not due

        key_pem, then = read_pair(folder)[0], utc_now() - timedelta(days=20)
        csr = make_request(key_pem, "researcher:ana")
        aged = sign_node(read_authority(gw), csr, agency="researcher:ana", now=then)
        write_pair(folder, key_pem, aged)
        await asyncio.to_thread(connect, folder, key, now=utc_now())
        assert read_pair(folder) == (key_pem, aged)  # due, but not listed: nothing new

        list_researcher(gw, about)
        gateway.directory.refresh()
        await asyncio.to_thread(connect, folder, SigningKey(b"t" * 32), now=utc_now())
        assert read_pair(folder) == (key_pem, aged)  # whoever has the TLS pair alone gets no other
        await asyncio.to_thread(connect, folder, key, now=utc_now())

        assert read_pair(folder)[0] != key_pem
        assert common_name(read_pair(folder)[1]) == "researcher:ana"


def list_researcher(gw: Path, about: About) -> None:
    """Put a researcher into the agreement, signed."""
    part = research(["police"], people=(about.researcher,), researchers=(about.entry,), min_roster=2)
    path = gw / "agreement.toml"
    path.write_text(path.read_text("utf-8") + "\n" + tomli_w.dumps({"research": part.to_json()}))
    partnership.resign(gw, now=utc_now())


async def test_the_operator_invites_either_an_agency_or_a_researcher(tmp_path: Path) -> None:
    gw = tmp_path / "gw"
    found(gw)
    where = ["invite", "--dir", str(gw), "--name", "Ana Okafor"]
    run = partial(CliRunner().invoke, gateway_command)

    made = run([*where, "--researcher", "ana", "--organisation", "University of Northshire"])
    assert made.exit_code == 0, made.output
    assert ResearcherToken.from_text(made.stdout).researcher == "ana"
    for odd in (
        ["--researcher", "ana"],
        ["--researcher", "ana", "--agency", "police", "--organisation", "x", "--sector", "POLICE"],
        ["--agency", "police", "--organisation", "x"],
    ):
        assert run([*where, *odd]).exit_code == 2


def test_the_request_is_what_the_agreement_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    about = About("ana", 'Ana "A" Ökafor', "University", "northshire", bytes(range(32)), ("127.0.0.1:1",))
    show_request(tmp_path, about)
    block = capsys.readouterr().out.partition("\n\n")[2].partition("\n\n")[0]

    (entry,) = parse_toml(block)["research"]["researchers"]
    assert Researcher.from_fields(Fields(entry)) == about.entry
    with pytest.raises(ElsewhereError):
        read_about(tmp_path)
