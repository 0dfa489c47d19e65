"""Another signing key while all run: what was signed before counts still, the key before for nothing new."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from click.testing import CliRunner

from elsewhere.asking import State
from elsewhere.cli.main import commands
from elsewhere.errors import EnrolmentRefused, SignatureInvalid
from elsewhere.proposalwords import describe, newcomers
from elsewhere.receipt import (
    ReceiptKeyReplaced,
    check_seen_in_time,
    open_member_receipt,
    open_receipt_proof,
)
from elsewhere.rekeying import RekeyingInvalid, open_rekeying, sign_rekeying
from elsewhere.signing import SigningKey, open_document
from elsewhere.statement import CATALOGUE_STATEMENT_TYPE, check_newer_statement, sign_statement
from elsewhere.transparency.witnesses import all_verifiers
from gateway.inforce import read_succession
from gateway.invitations import Invited, invite
from gateway.proposing import Change, propose
from node.auditing.drawing import open_draw, read_signed
from node.keys.ring import KeyRing, read_coming, read_earlier
from node.keys.signing import SigningUnlisted
from node.membership.hop import read_hop
from node.membership.joining import Contacts, ask, prepare
from node.store.owner import owner_of
from tests.fault.rig import until
from tests.federation import PATIENCE_S, ZOE, Federation, ask_about, small_federation
from tests.integration.test_ledger_witnessed import seen_by_all
from tests.partnership import sign_all


def run(*args: str) -> Any:
    """Run a command."""
    return CliRunner().invoke(commands, list(args))


def wish(made: Federation, agency: str) -> bytes:
    """Have an agency make its next key."""
    out = made.folder / f"{agency}-rekey.json"
    said = run("node", "rotate", "signing", "--dir", str(made.folder / agency), "--out", str(out))
    assert said.exit_code == 0, said.output
    return out.read_bytes()


def list_key(made: Federation, file: bytes) -> None:
    """Have the stewards list it."""
    sign_all(made.folder / "gw", propose(made.folder / "gw", Change(rekey=(file,)), now=datetime.now(UTC)))


async def rekeyed(made: Federation, agency: str) -> tuple[SigningKey, SigningKey]:
    """Change a running node's signing key; gives the one before and the one in force."""
    before = made.nodes[agency].keys.view.signing
    list_key(made, wish(made, agency))
    coming = read_coming(made.folder / agency)
    assert coming is not None or made.nodes[agency].keys.view.signing is not before
    await until(lambda: made.nodes[agency].keys.view.signing.key_id != before.key_id)
    return before, made.nodes[agency].keys.view.signing


async def askable(made: Federation) -> None:
    """Wait until both that know a child are asked and found again."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = await made.ask("social", ask_about(ZOE))
            if {found.state(agency) for agency in ("police", "hospital")} == {State.KNOWN_CURRENT}:
                return
            await asyncio.sleep(0.1)


def verified(folder: Path, receipt: Path) -> Any:
    return run("audit", "verify", str(receipt), "--dir", str(folder))


async def test_a_running_node_takes_it_up_and_all_goes_on(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        await askable(made)
        asked = await made.ask("social", ask_about(ZOE))
        receipt = tmp_path / "receipt.json"
        receipt.write_bytes(asked.answers["police"].receipt)
        await seen_by_all(made)

        before, after = await rekeyed(made, "police")
        await askable(made)
        await rekeyed(made, "social")
        await askable(made)

        folder = made.folder / "police"
        roster = made.nodes["social"].trust.roster
        assert roster.active("police").keys == (after.public, before.public)
        assert read_earlier(folder) == (before.public,)
        assert read_coming(folder) is None
        assert all(before.seed not in path.read_bytes() for path in (folder / "keys").iterdir())
        with made.nodes["police"]._store.read() as connection:
            owner = owner_of(connection)
        assert owner is not None
        assert owner.signing_key == after.key_id
        await seen_by_all(made)
        sound = run("audit", "verify", "--dir", str(folder))
        assert sound.exit_code == 0, sound.output
        # By the time of the first proof nobody had seen the log; whoever has the old key could have made it.
        assert isinstance(verified(made.folder / "social", receipt).exception, ReceiptKeyReplaced)
        refreshed = await asyncio.to_thread(
            run, "audit", "refresh", str(receipt), "--dir", str(made.folder / "social")
        )
        assert refreshed.exit_code == 0, refreshed.output
        proven = verified(made.folder / "social", receipt)
        assert proven.exit_code == 0, proven.output
        for agency in ("police", "social"):
            await made.stop(agency)
            await made.begin(agency)
        await made.settle()
        await askable(made)


async def test_what_witnesses_saw_before_is_drawn_and_proven_after(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        asked = await made.ask("social", ask_about(ZOE))
        await seen_by_all(made)
        await rekeyed(made, "police")
        await askable(made)
        await seen_by_all(made)
        await rekeyed(made, "hospital")
        await askable(made)
        await seen_by_all(made)

        social, now = made.nodes["social"], datetime.now(UTC)
        roster = social.trust.roster
        for owner, witness in (("police", "social"), ("social", "police"), ("police", "hospital")):
            node = made.nodes[witness]
            with node._store.read() as connection:
                file = read_signed(connection, owner, (witness, node.keys.view.signing), now)
            states = open_draw(file, roster, owner, now).states
            assert len(states) >= 3
        receipt, member = open_member_receipt(asked.answers["police"].receipt, roster)
        assert member.agency_id == receipt.custodian == "police"


async def test_who_stole_the_key_before_can_say_nothing_with_it(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        await askable(made)
        stolen = made.nodes["police"].keys.view.signing
        stated = made.nodes["police"].keys.view.own.statement
        thiefs = sign_statement(stolen, replace(stated, version=stated.version + 1000))
        social = made.nodes["social"].trust
        social.take_statement(thiefs)  # in time: until the key is replaced it is the police who speak so
        assert social.statements["police"].version == stated.version + 1000

        _, after = await rekeyed(made, "police")
        await askable(made)

        held = social.statements["police"]
        assert held.version == stated.version + 1, "the new key begins anew, below what the thief has stated"
        check_newer_statement(stated, held)
        with pytest.raises(SignatureInvalid):
            social.take_statement(thiefs)
        assert made.gateway is not None
        with pytest.raises(SignatureInvalid):
            made.gateway.directory.publish_statement("police", thiefs)
        own = SigningKey.from_seed(b"\x07" * 32)
        with pytest.raises(RekeyingInvalid, match="signatures"):
            open_rekeying(sign_rekeying("police", stolen, own), social.roster)
        assert after.key_id != stolen.key_id


async def test_the_gateway_hands_out_nothing_that_the_key_before_has_signed(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        assert made.gateway is not None
        before, after = await rekeyed(made, "police")
        await askable(made)

        held = {name for name, _ in made.gateway.catalogues.newest() if name.custodian == "police"}
        pieces = made.gateway.catalogues._store.pieces_of("police")
        assert len(held) == 2
        for piece in pieces:
            open_document(piece.statement, CATALOGUE_STATEMENT_TYPE, [after.public])
            with pytest.raises(SignatureInvalid):
                open_document(piece.statement, CATALOGUE_STATEMENT_TYPE, [before.public])


async def test_a_receipt_under_the_key_before_that_nobody_saw_proves_nothing(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        asked = await made.ask("social", ask_about(ZOE))
        envelope = asked.answers["police"].receipt
        await rekeyed(made, "police")
        roster = made.nodes["police"].trust.roster
        receipt, member = open_member_receipt(envelope, roster)
        seen = open_receipt_proof(envelope, receipt, member, roster.federation, all_verifiers(roster))
        with pytest.raises(ReceiptKeyReplaced):
            check_seen_in_time(seen, roster)


async def test_a_node_that_was_off_takes_it_up_when_it_comes_back(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        file, before = wish(made, "police"), made.nodes["police"].keys.view.signing
        assert wish(made, "police") == file, "asked again, it is the same key"
        assert "waits for the stewards" in run("node", "status", "--dir", str(made.folder / "police")).output
        await made.stop("police")
        list_key(made, file)
        await until(
            lambda: (
                made.nodes["social"].trust.roster.version
                == read_succession(made.folder / "gw").roster.version
            )
        )

        await made.begin("police")
        await until(lambda: made.nodes["police"].keys.view.signing.key_id != before.key_id)
        await made.settle()
        await askable(made)


async def test_stewards_are_told_and_hear_the_fingerprint(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        file = wish(made, "police")
        proposal = propose(made.folder / "gw", Change(rekey=(file,)), now=datetime.now(UTC))
        assert any("ANOTHER KEY" in line for line in describe(proposal))
        (new,) = newcomers(proposal, b"")
        coming = read_coming(made.folder / "police")
        assert coming is not None
        member = proposal.roster.member("police")
        assert member is not None
        assert (member.signing_key, new.fingerprint) == (coming.public, member.fingerprint)
        sign_all(
            made.folder / "gw",
            propose(made.folder / "gw", Change(states={"police": "revoked"}), now=datetime.now(UTC)),
        )
        with pytest.raises(EnrolmentRefused, match="revoked"):
            propose(made.folder / "gw", Change(rekey=(file,)), now=datetime.now(UTC))


async def test_a_node_whose_key_another_has_replaced_says_so(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        node = made.nodes["police"]
        held = KeyRing.load(made.folder / "police").signing
        strange = SigningKey.from_seed(b"\x09" * 32)
        list_key(made, sign_rekeying("police", held, strange))
        await until(lambda: node.trust.own_key() == strange.public)
        with pytest.raises(SigningUnlisted):
            node.rotation.step()
        assert node.keys.view.signing.key_id == held.key_id


async def test_a_member_with_another_key_is_certified_anew_by_an_invitation(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        file = wish(made, "police")
        list_key(made, file)
        await until(lambda: read_coming(made.folder / "police") is None)
        await made.stop("police")
        assert made.gateway is not None
        settings = {"federation": "northshire", "listen": f"127.0.0.1:{made.gateway.port}"}
        (made.folder / "gw" / "gateway.toml").write_text(tomli_w.dumps(settings))
        token = invite(
            made.folder / "gw",
            Invited("police", "Agency police", "POLICE"),
            now=datetime.now(UTC),
            random=secrets.token_bytes,
        ).to_text()
        held = read_hop(made.folder / "police").cert_pem
        contacts = Contacts("0000 000 001", "0000 000 002")
        prepare(made.folder / "police", token, contacts, now=datetime.now(UTC), random=secrets.token_bytes)
        told = await ask(made.folder / "police", {}, lambda: datetime.now(UTC))
        assert told.state == "active"
        assert read_hop(made.folder / "police").cert_pem != held
        await made.begin("police")
        await made.settle()
        await askable(made)
