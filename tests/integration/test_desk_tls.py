"""The desk on the agency's own network: asked with a certificate of the agency's own CA, with no other."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
import tomli_w
from sqlalchemy import select

from elsewhere.asking import State
from elsewhere.errors import (
    CertificateInvalid,
    ConfigInvalid,
    DeskUnreachable,
    KeyFileExposed,
    KeyFileMissing,
)
from elsewhere.keyfiles import write_secret
from elsewhere.sdk.desk import AsyncDesk
from elsewhere.sdk.target import ClientCertificate
from elsewhere.wire.channel import HasAuthContext
from elsewhere.wire.tls import (
    Authority,
    make_authority,
    make_key,
    make_request,
    sign_gateway,
    sign_node,
)
from elsewhere.wire.v1 import desk_pb2, desk_pb2_grpc
from node.config import load_config
from node.desk.tls import client_of, load_tls
from node.program import Node
from node.store.exchange import log
from tests.architecture.sources import ROOT
from tests.federation import ZOE, Federation, federation, person

NOW = datetime.now(UTC)
FEDERATION_CA = make_authority("northshire", now=NOW)
OWN_CA = make_authority("Social care systems", now=NOW)
ASKED: dict[str, Any] = {"purpose": "S47_ENQUIRY", "urgency": "RED"}
GUIDE = (ROOT / "docs" / "desk.md").read_text("utf-8")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def client_certificate(authority: Authority, name: str) -> tuple[bytes, bytes]:
    key = make_key()
    return key, sign_node(authority, make_request(key, name), agency=name, now=NOW)


def put(folder: Path, client_ca: bytes = OWN_CA.cert_pem, port: int = 1) -> dict[str, str]:
    """Write the desk's files into a node's folder, and give the settings for them."""
    key = make_key()
    write_secret(folder / "desk.key", key)
    (folder / "desk.pem").write_bytes(sign_gateway(OWN_CA, key, hosts=["127.0.0.1"], now=NOW))
    (folder / "clients.pem").write_bytes(client_ca)
    files = {"tls_key": "desk.key", "tls_cert": "desk.pem", "client_ca": "clients.pem"}
    return {"listen": f"127.0.0.1:{port}", **files}


@dataclass
class Serving:
    """Social care, whose desk listens on a port, and the police, who know Zofia."""

    made: Federation
    address: str

    def clients(self, node: Node) -> list[str]:
        """Who asked at the desk, as the agency's log says, oldest first."""
        with node._store.read() as connection:
            rows = connection.execute(select(log.c.body).where(log.c.kind == "asked").order_by(log.c.seq))
            return [json.loads(row.body)["desk_client"] for row in rows]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def serving(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serving]:
    folder = tmp_path_factory.mktemp("desk")
    async with federation(folder) as made:
        made.join("social", [])
        made.join("police", [ZOE])
        desk = put(folder / "social", port=free_port())
        made.configure("social", desk=desk)
        await made.start("social", "police")
        yield Serving(made, desk["listen"])


@pytest.mark.asyncio(loop_scope="module")
async def test_a_system_with_a_certificate_of_the_agencys_ca_asks_and_is_named_in_the_log(
    serving: Serving, tmp_path: Path
) -> None:
    key, cert = client_certificate(OWN_CA, "case-system")
    write_secret(tmp_path / "case-system.key", key)
    (tmp_path / "case-system.pem").write_bytes(cert)
    (tmp_path / "ca.pem").write_bytes(OWN_CA.cert_pem)
    shown = ClientCertificate.from_files(
        ca=tmp_path / "ca.pem", cert=tmp_path / "case-system.pem", key=tmp_path / "case-system.key"
    )

    async with AsyncDesk(serving.address, credentials=shown) as desk:
        found = await desk.ask(person(ZOE), **ASKED)
    async with AsyncDesk(serving.made.folder / "social") as desk:
        await desk.ask(person(ZOE), **ASKED)

    assert found.state_of("police") is State.KNOWN_CURRENT
    assert serving.clients(serving.made.nodes["social"])[-2:] == ["case-system", "socket"]


@pytest.mark.asyncio(loop_scope="module")
async def test_nobody_else_gets_in(serving: Serving) -> None:
    police = serving.made.folder / "police"
    member = ((police / "keys" / "tls.key").read_bytes(), (police / "trust" / "tls.pem").read_bytes())
    stranger = client_certificate(make_authority("Social care systems", now=NOW), "case-system")
    before = serving.clients(serving.made.nodes["social"])

    for key, cert in (member, stranger):
        async with AsyncDesk(
            serving.address, credentials=ClientCertificate(OWN_CA.cert_pem, cert, key)
        ) as desk:
            with pytest.raises(DeskUnreachable):
                await desk.ask(person(ZOE), **ASKED)
    nothing = grpc.ssl_channel_credentials(OWN_CA.cert_pem)
    async with grpc.aio.secure_channel(serving.address, nothing) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await desk_pb2_grpc.DeskServiceStub(channel).Status(desk_pb2.StatusRequest(), timeout=10)

    assert serving.clients(serving.made.nodes["social"]) == before


@pytest.mark.asyncio(loop_scope="module")
async def test_a_system_named_like_the_socket_is_refused(serving: Serving) -> None:
    key, cert = client_certificate(OWN_CA, "socket")
    before = serving.clients(serving.made.nodes["social"])

    async with AsyncDesk(serving.address, credentials=ClientCertificate(OWN_CA.cert_pem, cert, key)) as desk:
        with pytest.raises(CertificateInvalid):
            await desk.ask(person(ZOE), **ASKED)

    assert serving.clients(serving.made.nodes["social"]) == before


@pytest.mark.asyncio(loop_scope="module")
async def test_a_node_whose_desk_lets_the_federation_in_does_not_start(serving: Serving) -> None:
    """Every other agency has a certificate of that CA."""
    folder = serving.made.folder / "police"
    ca = (folder / "trust" / "ca.pem").read_bytes()
    serving.made.configure("police", desk=put(folder, client_ca=OWN_CA.cert_pem + ca))

    with pytest.raises(ConfigInvalid, match=r"^desk\.client_ca: .*federation"):
        Node(load_config(folder), clock=lambda: NOW, random=os.urandom)


class Tls:
    """A node's folder with settings of a desk that can be spoiled one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.desk = folder, put(folder)

    def load(self, **changes: str) -> object:
        desk = {**self.desk, **changes}
        settings = {"agency": "social", "name": "Social care", "desk": desk}
        (self.folder / "node.toml").write_text(tomli_w.dumps(settings))
        return load_tls(load_config(self.folder), FEDERATION_CA.cert_pem)


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return Tls(tmp_path)


def test_paths_start_at_the_nodes_folder_and_may_be_whole(tls: Tls) -> None:
    assert tls.load() is not None
    assert tls.load(tls_key=str(tls.folder / "desk.key")) is not None
    assert tls.load(listen="") is None


@pytest.mark.parametrize("missing", ["tls_key", "tls_cert", "client_ca"])
def test_a_desk_is_never_open(tls: Tls, missing: str) -> None:
    with pytest.raises(ConfigInvalid, match="never open"):
        tls.load(**{missing: ""})


def test_a_key_that_others_can_read_is_refused(tls: Tls) -> None:
    (tls.folder / "desk.key").chmod(0o644)

    with pytest.raises(KeyFileExposed):
        tls.load()


def test_a_key_that_is_not_there_is_named(tls: Tls) -> None:
    with pytest.raises(KeyFileMissing, match=r"other\.key"):
        tls.load(tls_key="other.key")


@pytest.mark.parametrize(
    ("name", "file", "data"),
    [
        ("tls_cert", "desk.pem", OWN_CA.cert_pem),  # of another key
        ("tls_cert", "desk.pem", b"no certificate"),
        ("client_ca", "clients.pem", b""),
        ("client_ca", "clients.pem", client_certificate(OWN_CA, "case-system")[1]),  # no CA
        ("client_ca", "clients.pem", FEDERATION_CA.cert_pem),
        ("tls_key", "desk.key", b"no key"),
    ],
)
def test_files_that_do_not_fit_are_refused_by_name(tls: Tls, name: str, file: str, data: bytes) -> None:
    (tls.folder / file).write_bytes(data)

    with pytest.raises(ConfigInvalid, match=rf"^desk\.{name}: "):
        tls.load()


def test_the_federations_ca_is_known_by_its_key_whatever_its_certificate(tls: Tls) -> None:
    again = tls.folder / "again.pem"
    (tls.folder / "ca.key").write_bytes(FEDERATION_CA.key_pem)
    words = ["openssl", "req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN=Ours", "-out", again.name]
    subprocess.run(words, cwd=tls.folder, check=True, capture_output=True)

    with pytest.raises(ConfigInvalid, match="federation"):
        tls.load(client_ca="again.pem")


@pytest.mark.parametrize("change", [{"tls_cert": "none.pem"}, {"client_ca": "none.pem"}, {"listen": "7444"}])
def test_a_setting_that_leads_nowhere_is_named(tls: Tls, change: dict[str, str]) -> None:
    with pytest.raises(ConfigInvalid, match=rf"^desk\.{next(iter(change))}: "):
        tls.load(**change)


class Caller(HasAuthContext):
    def __init__(self, *shown: bytes) -> None:
        self.shown = shown

    def auth_context(self) -> dict[str, tuple[bytes, ...]]:
        return {"x509_pem_cert": self.shown} if self.shown else {}


def test_a_caller_without_a_certificate_came_through_the_socket() -> None:
    assert client_of(Caller()) == "socket"


def test_a_caller_with_two_certificates_is_nobody() -> None:
    cert = client_certificate(OWN_CA, "case-system")[1]

    with pytest.raises(CertificateInvalid):
        client_of(Caller(cert, cert))


def test_the_commands_of_the_guide_make_files_that_a_desk_takes(tls: Tls) -> None:
    block = re.search(r"^```sh\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    settings = re.search(r"^```toml\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert block is not None
    assert settings is not None
    made = tls.folder / "made"
    made.mkdir()
    subprocess.run(["bash", "-euo", "pipefail", "-c", block[1]], cwd=made, check=True, capture_output=True)

    (made / "node.toml").write_text(f'agency = "social"\nname = "Social care"\n{settings[1]}')

    assert load_tls(load_config(made), FEDERATION_CA.cert_pem) is not None
    assert client_of(Caller((made / "case-system.pem").read_bytes())) == "case-system"
    assert (made / "case-system.key").stat().st_mode & 0o077 == 0
    for name, purpose in (("desk.pem", "sslserver"), ("case-system.pem", "sslclient")):
        words = ["openssl", "verify", "-CAfile", "clients.pem", "-purpose", purpose, name]
        subprocess.run(words, cwd=made, check=True, capture_output=True)
