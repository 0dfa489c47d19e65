"""Finding a desk: long paths, other people's sockets, and never an open port without a certificate."""

from __future__ import annotations

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest

from elsewhere.errors import CertificateInvalid, DeskUnreachable, KeyFileExposed, KeyFileMissing
from elsewhere.person.identity import Person
from elsewhere.sdk.desk import Desk
from elsewhere.sdk.target import ClientCertificate, Target
from elsewhere.wire.socket_path import MAX_SUN_PATH, SocketAddress, check_own_socket
from elsewhere.wire.tls import make_authority, make_key, make_request, sign_gateway, sign_node
from elsewhere.wire.v1 import desk_pb2_grpc
from tests.unit.desk.fake import FakeDesk, RunningDesk

LEE = Person.of(given="Ann", family="Lee", dob="2015-03-02")


def test_a_folder_with_a_path_longer_than_a_socket_address_works(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 100) / ("b" * 100)
    deep.mkdir(parents=True)
    assert len(str(deep)) > MAX_SUN_PATH
    running = RunningDesk(deep, FakeDesk())
    try:
        with Desk(deep) as desk:
            assert desk.ask(LEE, purpose="S47_ENQUIRY", urgency="RED").is_complete
            assert desk.status().is_ready
    finally:
        running.stop()


def test_a_short_path_is_given_as_it_is(tmp_path: Path) -> None:
    with SocketAddress(Path("/run/desk.sock")) as address:
        assert address.target == "unix:/run/desk.sock"


def test_a_folder_is_let_go_of_when_the_address_is_closed(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 120)
    deep.mkdir()
    address = SocketAddress(deep / "desk.sock")
    handle = int(address.target.split("/")[4])

    address.close()

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(handle)


def test_a_folder_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    with Desk(tmp_path / "nobody") as desk, pytest.raises(DeskUnreachable):
        desk.status()
    with pytest.raises(DeskUnreachable):
        Desk(tmp_path / ("a" * 120) / "desk.sock")


def test_a_file_that_is_no_socket_is_refused(tmp_path: Path) -> None:
    (tmp_path / "desk.sock").write_text("")

    with Desk(tmp_path) as desk, pytest.raises(DeskUnreachable, match="something else"):
        desk.status()


def test_no_question_is_sent_into_another_users_socket(
    node: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: (node.folder / "desk.sock").stat().st_uid + 1)

    with pytest.raises(DeskUnreachable, match="another"):
        check_own_socket(node.folder / "desk.sock")
    with Desk(node.folder) as desk, pytest.raises(DeskUnreachable, match="another"):
        desk.ask(LEE, purpose="S47_ENQUIRY", urgency="RED")
    assert node.desk.asked == []


def test_host_and_port_want_a_certificate_and_a_folder_wants_none(tmp_path: Path) -> None:
    certificate = ClientCertificate(b"ca", b"cert", b"key")

    with pytest.raises(DeskUnreachable, match="certificate"):
        Desk("127.0.0.1:7001")
    with pytest.raises(DeskUnreachable, match="host:port"):
        Desk(tmp_path, credentials=certificate)


def _write_certificates(folder: Path) -> tuple[Path, Path, Path, bytes, bytes]:
    """A CA, a client's certificate and key as files; a server's key and certificate."""
    now = datetime.now(UTC)
    authority = make_authority("Northshire", now=now)
    key, server_key = make_key(), make_key()
    paths = (folder / "ca.pem", folder / "tls.pem", folder / "tls.key")
    paths[0].write_bytes(authority.cert_pem)
    paths[1].write_bytes(sign_node(authority, make_request(key, "police"), agency="police", now=now))
    paths[2].touch(0o600)
    paths[2].write_bytes(key)
    return (*paths, server_key, sign_gateway(authority, server_key, hosts=["127.0.0.1"], now=now))


def test_a_desk_on_another_machine_is_asked_over_mutual_tls(tmp_path: Path) -> None:
    ca, cert, key, server_key, server_cert = _write_certificates(tmp_path)
    desk = FakeDesk()
    server = grpc.server(ThreadPoolExecutor(2))
    desk_pb2_grpc.add_DeskServiceServicer_to_server(desk, server)
    credentials = grpc.ssl_server_credentials(
        [(server_key, server_cert)], ca.read_bytes(), require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        shown = ClientCertificate.from_files(ca=ca, cert=cert, key=key)
        with Desk(f"127.0.0.1:{port}", credentials=shown) as client:
            assert client.ask(LEE, purpose="S47_ENQUIRY", urgency="RED").is_complete
    finally:
        server.stop(None).wait()


def test_key_files_are_read_only_when_nobody_else_can(tmp_path: Path) -> None:
    ca, cert, key, _, _ = _write_certificates(tmp_path)

    with pytest.raises(CertificateInvalid):
        ClientCertificate.from_files(ca=tmp_path / "none", cert=cert, key=key)
    with pytest.raises(KeyFileMissing):
        ClientCertificate.from_files(ca=ca, cert=cert, key=tmp_path / "none")
    key.chmod(0o640)
    with pytest.raises(KeyFileExposed):
        ClientCertificate.from_files(ca=ca, cert=cert, key=key)


def test_a_client_certificate_does_not_print_its_key() -> None:
    assert "secret" not in repr(ClientCertificate(b"ca", b"cert", b"secret"))


def test_a_folder_stands_for_whichever_process_of_its_node_listens(tmp_path: Path) -> None:
    other = tmp_path / "processes" / "b"
    other.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(tmp_path / "desk.sock"))  # by a process that was killed since
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(other / "desk.sock"))
        listening.listen()
        assert Target(tmp_path, None).name == f"unix:{other / 'desk.sock'}"
        with socket.socket(socket.AF_UNIX) as back:
            (tmp_path / "desk.sock").unlink()
            back.bind(str(tmp_path / "desk.sock"))
            back.listen()
            assert Target(tmp_path, None).name == f"unix:{tmp_path / 'desk.sock'}"
            assert Target(other, None).name == f"unix:{other / 'desk.sock'}"
    assert Target(tmp_path, None).name == f"unix:{tmp_path / 'desk.sock'}", "so that the error names it"
