"""TLS certificates change on live links: real gateway and nodes, real mTLS, lookups under way meanwhile."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
import structlog.testing
from click.testing import CliRunner

from elsewhere.asking import Coverage, State
from elsewhere.cli.node_rotate import describe_keys, read_key_status, rotate
from elsewhere.errors import CertificateInvalid, NotActive, SignatureInvalid
from elsewhere.renewal import sign_renewal
from elsewhere.signing import SigningKey
from elsewhere.wire.status import CertificatesTaken, NoAuthority
from elsewhere.wire.tls import certificate_end, common_name, make_authority, make_key, make_request, sign_node
from elsewhere.wire.v1 import enrolment_pb2, enrolment_pb2_grpc, link_pb2
from gateway.folder import read_authority
from gateway.joining import RENEWALS, EnrolmentService
from node.membership.hop import CERTIFICATE, KEY, read_hop
from node.program import Node
from tests.fault.rig import Hold, until
from tests.federation import PATIENCE_S, ZOE, Shifted, ask_about, federation, small_federation
from tests.gateway_support import attached, channel_to, found, join, running, utc_now
from tests.partnership import set_state


async def renewed(node: Node) -> None:
    """Have a node renew, and wait until its link with the new certificate is the one in use."""
    before = node.links[0]
    assert await node.renewal.renew(read_hop(node.config.dir))
    await until(lambda: node.links[0] is not before and node.links[0].attached.is_set())


async def call(
    channel: grpc.aio.Channel, csr_pem: bytes, signer: SigningKey, *, ago: timedelta = timedelta(0)
) -> str:
    """Renew over a channel: the certificate's name, or the code of the refusal."""
    renewal = sign_renewal(signer, csr_pem, utc_now() - ago)
    try:
        answer = await enrolment_pb2_grpc.EnrolmentServiceStub(channel).Renew(
            enrolment_pb2.RenewRequest(renewal=renewal), timeout=PATIENCE_S
        )
    except grpc.aio.AioRpcError as err:
        return str(err.details())
    return common_name(answer.certificate_pem)


async def test_no_lookup_is_lost_while_everybodys_certificates_change(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        assert made.gateway is not None
        gateway, nodes = made.gateway, made.nodes
        first, second = Hold(nodes["police"], 1), Hold(nodes["hospital"], 2)
        asking = [asyncio.create_task(made.ask("social", ask_about(ZOE, asker=f"w-{n}"))) for n in range(3)]
        await asyncio.wait_for(first.reached.wait(), PATIENCE_S)
        await asyncio.wait_for(second.reached.wait(), PATIENCE_S)

        for node in nodes.values():
            await renewed(node)
        asked_since = await made.ask("social", ask_about(ZOE))
        first.release.set()
        second.release.set()
        lookups = [*await asyncio.gather(*asking), asked_since]

        assert [lookup.coverage for lookup in lookups] == [Coverage.COMPLETE] * 4
        assert {lookup.state("police") for lookup in lookups} == {State.KNOWN_CURRENT}
        assert {lookup.state("hospital") for lookup in lookups} == {State.KNOWN_CURRENT}
        await until(lambda: len(gateway.links.all()) == len(nodes))  # the old ones have ended by themselves
        assert all(link.draining_since is None for link in gateway.links.all())


async def test_a_node_renews_by_itself_at_half_life_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = Node._renewal_parts
    monkeypatch.setattr(Node, "_renewal_parts", lambda self: replace(parts(self), look_s=0.05))
    async with federation(tmp_path) as made:
        for agency, days in (("police", 16), ("hospital", 14)):
            made.join(agency)
            aged(tmp_path / "gw", tmp_path / agency, agency, days=days)
        first, other = read_hop(tmp_path / "police"), read_hop(tmp_path / "hospital")
        for agency in ("police", "hospital"):
            await made.begin(agency)
        node = made.nodes["police"]

        await until(lambda: read_hop(tmp_path / "police").cert_pem != first.cert_pem)
        await until(lambda: node._hop.shown.cert_pem != first.cert_pem and node.links[0].attached.is_set())
        assert read_hop(tmp_path / "hospital").cert_pem == other.cert_pem

    second = read_hop(tmp_path / "police")
    assert second.key_pem != first.key_pem
    assert second.ends_utc > utc_now() + timedelta(days=29)
    assert (tmp_path / "police" / KEY).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "police" / KEY).read_bytes() == second.key_pem
    assert sorted(path.name for path in (tmp_path / "police" / "keys").glob("tls*")) == ["tls.key"]


def aged(gateway: Path, folder: Path, agency: str, *, days: int) -> None:
    """Put a certificate in a node's folder that was made so many days ago."""
    held, then = read_hop(folder), utc_now() - timedelta(days=days)
    csr = make_request(held.key_pem, agency)
    (folder / CERTIFICATE).write_bytes(sign_node(read_authority(gateway), csr, agency=agency, now=then))


async def test_a_certificate_is_renewed_for_active_members_under_their_own_name_alone(tmp_path: Path) -> None:
    found(tmp_path)
    police, social = join(tmp_path, "police"), join(tmp_path, "social")
    key = make_key()
    async with running(tmp_path) as gateway, channel_to(gateway, police) as channel:
        assert await call(channel, make_request(key, "police"), police.signing) == "police"
        others = make_request(key, social.agency_id)
        assert await call(channel, others, police.signing) == CertificateInvalid.code
        assert await call(channel, b"x" * 20_000, police.signing) == CertificateInvalid.code
        for state in ("suspended", "revoked"):
            set_state(tmp_path, "police", state, now=utc_now())
            gateway.directory.refresh()
            assert await call(channel, make_request(key, "police"), police.signing) == NotActive.code


async def test_who_has_the_tls_pair_alone_renews_nothing(tmp_path: Path) -> None:
    found(tmp_path)
    police, social = join(tmp_path, "police"), join(tmp_path, "social")
    csr = make_request(make_key(), "police")
    async with running(tmp_path) as gateway, channel_to(gateway, police) as channel:
        for thief in (SigningKey(b"t" * 32), social.signing):
            for _ in range(RENEWALS + 1):
                assert await call(channel, csr, thief) == SignatureInvalid.code
        # What he does uses up none of the agency's own, and what it signed long ago is no use to him.
        assert await call(channel, csr, police.signing, ago=timedelta(minutes=6)) == CertificateInvalid.code
        assert await call(channel, csr, police.signing, ago=timedelta(minutes=-6)) == CertificateInvalid.code
        assert await call(channel, csr, police.signing) == "police"


async def test_certificates_are_not_made_without_end_nor_without_the_cas_key(tmp_path: Path) -> None:
    found(tmp_path)
    police, social = join(tmp_path, "police"), join(tmp_path, "social")
    csr = make_request(make_key(), "police")
    async with running(tmp_path) as gateway:
        async with channel_to(gateway, police) as channel:
            told = [await call(channel, csr, police.signing) for _ in range(RENEWALS + 1)]
            assert told == ["police"] * RENEWALS + [CertificatesTaken.code]
        (tmp_path / "keys" / "ca.key").unlink()
        async with channel_to(gateway, social) as channel:
            csr = make_request(make_key(), "social")
            assert await call(channel, csr, social.signing) == NoAuthority.code


async def test_a_certificate_of_another_authority_or_name_is_not_taken(tmp_path: Path) -> None:
    async with federation(tmp_path) as made:
        made.join("police")
        await made.begin("police")
        node, other = made.nodes["police"], make_authority("another", now=utc_now())
        await until(lambda: node.links[0].attached.is_set())
        before, link = read_hop(tmp_path / "police"), node.links[0]

        def signed_by_another(self: EnrolmentService, agency: str, csr_pem: bytes) -> bytes:
            return sign_node(other, csr_pem, agency=agency, now=utc_now())

        with pytest.MonkeyPatch.context() as patched, structlog.testing.capture_logs() as events:
            patched.setattr(EnrolmentService, "_certify", signed_by_another)
            assert not await node.renewal.renew(before)

        assert read_hop(tmp_path / "police").cert_pem == before.cert_pem
        assert ("certificate.not_renewed", CertificateInvalid.code) in [
            (event["event"], event.get("code")) for event in events
        ]
        assert node.links[0] is link


async def test_the_gateways_own_certificate_changes_without_a_restart(tmp_path: Path) -> None:
    found(tmp_path)
    police = join(tmp_path, "police")
    clock = Shifted()
    certified = (tmp_path / "tls.pem").read_bytes

    async with running(tmp_path, clock=clock) as gateway, attached(gateway, police) as (peer,):
        first = certified()
        clock.by = timedelta(days=200)
        gateway.renew_certificate()
        second = certified()

        assert certificate_end(second) - certificate_end(first) >= timedelta(days=199)
        shown = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", gateway.port))
        assert shown.encode() == second
        await peer.say(beat=link_pb2.Beat(sequence=1))  # the link that stands is not touched
        await peer.frame("beat")


async def test_a_key_is_changed_by_command_and_a_running_node_takes_it_up(tmp_path: Path) -> None:
    async with federation(tmp_path) as made:
        made.join("police")
        await made.begin("police")
        node = made.nodes["police"]
        await until(lambda: node.links[0].attached.is_set())
        before, link = read_hop(tmp_path / "police"), node.links[0]
        run = CliRunner().invoke

        told = await asyncio.to_thread(run, rotate, ["tls", "--dir", str(tmp_path / "police")])

        assert told.exit_code == 0, told.output
        assert read_hop(tmp_path / "police").key_pem != before.key_pem
        await until(lambda: node.links[0] is not link and node.links[0].attached.is_set())
        status = await asyncio.to_thread(read_key_status, tmp_path / "police")
        assert status is not None
        assert status.certificate_ends_utc == read_hop(tmp_path / "police").ends_utc
        assert "certificate until" in "\n".join(describe_keys(status, utc_now()))
