"""Logs seen by others, through a real gateway: grown ones are signed, any other is noticed by a member."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, delete, select, update

from elsewhere.cli.main import commands
from elsewhere.errors import ElsewhereError, StoreUnavailable
from elsewhere.receipt import open_member_receipt, open_receipt_proof
from elsewhere.transparency.checkpoint import log_number, log_origin, open_checkpoint, open_log, stated_in
from elsewhere.transparency.frontier import Frontier
from elsewhere.transparency.merkle import leaf_hash
from elsewhere.transparency.witnesses import verifiers_of, witnesses_of
from gateway.config import load_config as gateway_config
from gateway.ledgers import Ledgers
from gateway.mirror import HashFiles, Mirror
from gateway.store import Store as GatewayStore
from gateway.store import _logs
from node.errors import LedgerSetBack
from node.ledger import book
from node.ledger.checkpoints import newest_size
from node.ledger.showing import Showing
from node.ledger.tree import begin_anew
from node.ledger.verify import read_whole
from node.ledger.witness import BEHIND_AFTER
from node.program import Node
from node.store.engine import Store, open_store
from node.store.exchange import log
from node.store.ledger import checkpoint, edge, tile, watched
from tests.federation import KAI, PATIENCE_S, ZOE, Federation, ask_about, small_federation

NOW = datetime(2026, 3, 2, tzinfo=UTC)
ALL = ("social", "police", "hospital")


async def seen_by_all(made: Federation) -> None:
    """Have everybody show its log, look at the others', and take back what they signed."""
    nodes = made.nodes.values()
    for part in ([node.showing for node in nodes], [node.witness for node in nodes]) * 2:
        for one in part:
            await one.step()


def noted(node: Node, agency: str) -> tuple[str, str | None]:
    with node._store.read() as connection:
        row = connection.execute(select(watched).where(watched.c.agency == agency)).one()
    return row.note, row.other_note


def own_entries(node: Node, kind: str) -> int:
    with node._store.read() as connection:
        return len(connection.execute(select(log.c.seq).where(log.c.kind == kind)).all())


async def test_every_log_is_signed_by_two_others(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        await made.ask("social", ask_about(ZOE))
        await seen_by_all(made)
        roster = made.nodes["social"].trust.roster
        for agency in ALL:
            public = roster.active(agency).signing_key
            with made.nodes[agency]._store.read() as connection:
                newest = select(checkpoint).order_by(checkpoint.c.size.desc()).limit(1)
                row = connection.execute(newest).one()
                whole = read_whole(connection, log_origin(roster.federation, agency), public)
            seen = open_checkpoint(
                row.note.encode(),
                log_origin(roster.federation, agency),
                public,
                verifiers_of(roster, agency),
            )
            assert whole.entries == seen.checkpoint.size
            assert row.witnesses == len(seen.witnesses) == 2
            assert set(witnesses_of(roster, agency)) == {*ALL} - {agency}


async def test_a_receipt_proves_that_its_entry_is_in_the_log(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        found = await made.ask("social", ask_about(ZOE))
        roster = made.nodes["social"].trust.roster
        envelopes = [answer.receipt for answer in found.answers.values()]
        for envelope in envelopes:
            receipt, member = open_member_receipt(envelope, roster)
            open_receipt_proof(envelope, receipt, member, roster.federation)
        # The proof of one does not hold for another.
        receipt, member = open_member_receipt(envelopes[0], roster)
        with pytest.raises(ElsewhereError):
            open_receipt_proof(envelopes[1], receipt, member, roster.federation)


def rewrite(connection: Connection) -> None:
    """Alter what is logged of the last answer, and make everything in the store fit again."""
    last = select(log.c.seq).where(log.c.kind == "answered").order_by(log.c.seq.desc()).limit(1)
    seq = connection.execute(last).scalar_one()
    body = b'{"never":"asked"}'
    connection.execute(update(log).where(log.c.seq == seq).values(body=body, digest=leaf_hash(body)))
    settle(connection)


def cut(connection: Connection) -> None:
    """Take the last answer out, and what follows it."""
    last = select(log.c.seq).where(log.c.kind == "answered").order_by(log.c.seq.desc()).limit(1)
    connection.execute(delete(log).where(log.c.seq >= connection.execute(last).scalar_one()))
    settle(connection)


def cut_and_grow(connection: Connection) -> None:
    """As `cut`, and then go on as if nothing had been."""
    cut(connection)
    for number in range(9):
        book.append(connection, book.make_entry("asked", {"number": number}, NOW))


def settle(connection: Connection) -> None:
    found = Frontier()
    for digest in connection.execute(select(log.c.digest).order_by(log.c.seq)).scalars():
        found = found.append(bytes(digest))
    connection.execute(update(edge).values(size=found.size, hashes=found.to_bytes()))
    for table in (checkpoint, tile):
        connection.execute(delete(table))


FORGERIES: dict[str, Callable[[Connection], None]] = {
    "rewritten": rewrite,
    "cut": cut,
    "forked": cut_and_grow,
}


async def forge(made: Federation, how: Callable[[Connection], None]) -> None:
    """Do something to the police's log that its own software would never do."""
    config = made.nodes["police"].config
    await made.stop("police")
    store: Store = open_store(config.store_url, config.store_password)
    with store.write() as connection:
        how(connection)
    store.close()


async def back(made: Federation, agency: str) -> None:
    """Start a node and wait until all are linked; it may never answer again, as its store was altered."""
    await made.begin(agency)
    assert made.gateway is not None
    async with asyncio.timeout(PATIENCE_S):
        while any(made.gateway.links.get(name) is None for name in made.nodes):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("how", FORGERIES)
async def test_a_gateway_does_not_take_another_log_than_it_has(tmp_path: Path, how: str) -> None:
    async with small_federation(tmp_path) as made:
        for row in (ZOE, KAI):
            await made.ask("social", ask_about(row))
        await seen_by_all(made)
        assert made.gateway is not None
        before = made.gateway.ledgers.shown("police")["police"]
        await forge(made, FORGERIES[how])
        await back(made, "police")
        await seen_by_all(made)
        assert made.nodes["police"].showing._told[0] in ("log.proof", "log.short")
        assert made.gateway is not None
        assert made.gateway.ledgers.shown("police")["police"] == before


@pytest.mark.parametrize("how", FORGERIES)
async def test_with_the_gateways_help_it_is_noticed_by_another_member(tmp_path: Path, how: str) -> None:
    async with small_federation(tmp_path) as made:
        for row in (ZOE, KAI):
            await made.ask("social", ask_about(row))
        await seen_by_all(made)
        before = {agency: noted(made.nodes[agency], "police")[0] for agency in ("social", "hospital")}
        await forge(made, FORGERIES[how])
        await forgetful(made)
        await back(made, "police")
        await seen_by_all(made)
        for agency in ("social", "hospital"):  # a log that is shorter may be one that a gateway got late
            made.clocks[agency].by += BEHIND_AFTER
        await seen_by_all(made)
        for agency in ("social", "hospital"):
            seen, other = noted(made.nodes[agency], "police")
            assert seen == before[agency], "what was seen stays"
            assert other is not None
            assert own_entries(made.nodes[agency], "witness") == 1
        assert made.gateway is not None
        assert made.gateway.ledgers.shown("police")["police"].witnessed == ""


async def forgetful(made: Federation) -> None:
    """Have the gateway forget what it had of logs: it takes whatever it is given now."""
    folder = made.folder / "gw"
    await made.kill_gateway()
    shutil.rmtree(folder / "logs")
    kept = GatewayStore(gateway_config(folder).store_url)
    with kept._write() as db:
        db.execute(_logs.delete())
    kept.close()
    await made.start_gateway()


def put_back(folder: Path, backup: bytes) -> None:
    """Restore a node's store from a copy."""
    for path in folder.glob("store.sqlite*"):
        path.unlink()
    (folder / "store.sqlite").touch(0o600)
    (folder / "store.sqlite").write_bytes(backup)


async def test_a_restored_store_begins_its_log_anew_and_everybody_who_watches_says_so(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        await made.ask("social", ask_about(ZOE))
        await made.stop("police")
        backup = (tmp_path / "police" / "store.sqlite").read_bytes()
        await made.start("police")
        lost = (await made.ask("social", ask_about(KAI))).answers["police"].receipt
        await seen_by_all(made)
        seen = {agency: noted(made.nodes[agency], "police")[0] for agency in ("social", "hospital")}

        await made.stop("police")
        put_back(tmp_path / "police", backup)
        await back(made, "police")
        await seen_by_all(made)
        assert made.nodes["police"].showing._told[0] == "log.proof"
        assert is_refused(made.nodes["police"].showing)
        words = ["node", "begin-log", "--reason", "restored", "--dir", str(tmp_path / "police"), "--yes"]
        assert (await asyncio.to_thread(CliRunner().invoke, commands, words)).exit_code == 0
        await seen_by_all(made)

        roster = made.nodes["social"].trust.roster
        first, public = log_origin(roster.federation, "police"), roster.active("police").signing_key
        for agency in ("social", "hospital"):
            note, before = noted(made.nodes[agency], "police")
            assert before == seen[agency], "what was seen is kept"
            assert log_number(open_log(note.encode(), first, public).checkpoint.origin, first) > 0
            assert own_entries(made.nodes[agency], "witness") == 1
        assert made.nodes["police"].showing._told[0] == ""
        assert is_refused(made.nodes["police"].showing), "begun anew, and nobody has signed it yet"
        assert not await made.nodes["police"].showing.is_sure()
        await seen_by_all(made)
        assert await made.nodes["police"].showing.is_sure()
        assert not is_refused(made.nodes["police"].showing)
        assert own_entries(made.nodes["police"], "log_begun") == 1
        assert made.gateway is not None
        witnessed = made.gateway.ledgers.shown("police")["police"].witnessed
        assert len(open_log(witnessed.encode(), first, public, verifiers_of(roster, "police")).witnesses) == 2
        with made.nodes["police"]._store.read() as connection:
            read_whole(connection, first, public)
        # The receipt of what was lost still proves what it proved.
        receipt, member = open_member_receipt(lost, roster)
        assert open_receipt_proof(lost, receipt, member, roster.federation).checkpoint.origin == first


def is_refused(showing: Showing) -> bool:
    """Whether the ledger of studies must not be believed."""
    try:
        showing.check_newest()
    except LedgerSetBack:
        return True
    return False


async def test_a_gateway_that_breaks_calls_does_not_have_a_restored_ledger_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with small_federation(tmp_path) as made:
        await made.ask("social", ask_about(ZOE))
        await seen_by_all(made)
        police, gateway = made.nodes["police"], made.gateway
        assert gateway is not None
        grow = Ledgers.grow

        async def broken(self: Ledgers, agency: str, request: object) -> int:
            raise StoreUnavailable("not now")

        # As after a start: nobody has said anything yet, and each call breaks.
        police.showing = Showing(police._ledger_parts(), 3600)
        monkeypatch.setattr(Ledgers, "grow", broken)
        assert is_refused(police.showing)
        await police.showing.step()
        assert (is_refused(police.showing), await police.showing.is_sure()) == (True, False)

        # Once one has said that it goes further, neither a broken call nor a link that is gone helps.
        monkeypatch.setattr(Ledgers, "grow", grow)
        with police._store.write() as connection:
            book.append(connection, book.make_entry("note", {"n": 1}, NOW, random=bytes))
        await police.showing.step()
        assert (is_refused(police.showing), await police.showing.is_sure()) == (True, False), "not witnessed"
        await seen_by_all(made)
        assert (is_refused(police.showing), await police.showing.is_sure()) == (False, True)
        with police._store.read() as connection:
            before = newest_size(connection)
        monkeypatch.setattr("node.ledger.showing.newest_size", lambda connection: before - 1)
        police.showing = Showing(police._ledger_parts(), 3600)
        await police.showing.step()
        assert is_refused(police.showing)
        monkeypatch.undo()
        monkeypatch.setattr(Ledgers, "grow", broken)
        await police.showing.step()
        assert is_refused(police.showing)


async def test_a_gateway_that_says_it_saw_no_more_does_not_have_a_restored_ledger_believed(
    tmp_path: Path,
) -> None:
    async with small_federation(tmp_path) as made:
        await made.stop("police")
        backup = (tmp_path / "police" / "store.sqlite").read_bytes()
        await made.start("police")
        await made.ask("social", ask_about(ZOE))
        await seen_by_all(made)
        await made.stop("police")
        put_back(tmp_path / "police", backup)
        await forgetful(made)
        await back(made, "police")

        police = made.nodes["police"].showing
        for _ in range(3):
            await seen_by_all(made)
            assert police._overtaken is None, "the gateway takes it for the newest"
            assert (is_refused(police), await police.is_sure()) == (True, False)


async def test_a_log_from_before_does_not_come_back(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        await made.ask("social", ask_about(ZOE))
        await seen_by_all(made)
        police = made.nodes["police"]
        with police._store.write() as connection:
            begin_anew(connection, NOW)
        await seen_by_all(made)
        assert made.gateway is not None
        begun = made.gateway.ledgers.shown("police")["police"].note
        with police._store.write() as connection:
            connection.execute(update(edge).values(number=0))
            connection.execute(delete(checkpoint))
        await seen_by_all(made)
        assert police.showing._told[0] == "log.proof"
        assert made.gateway.ledgers.shown("police")["police"].note == begun


async def test_a_gateway_that_cannot_put_a_log_aside_keeps_it_and_takes_the_new_one_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with small_federation(tmp_path) as made:
        await made.ask("social", ask_about(ZOE))
        await seen_by_all(made)
        police = made.nodes["police"]
        assert made.gateway is not None
        ledgers = made.gateway.ledgers
        before = ledgers.shown("police")["police"].note
        with police._store.write() as connection:
            begin_anew(connection, NOW)

        def full(*_: object) -> None:
            raise StoreUnavailable("no room")

        with monkeypatch.context() as patch:
            patch.setattr(Mirror, "put_aside", full)
            await seen_by_all(made)
        assert ledgers.shown("police")["police"].note == before
        await seen_by_all(made)
        assert ledgers.shown("police")["police"].note != before
        (aside,) = tmp_path.rglob("police.before")
        assert HashFiles(aside).count() == stated_in(before).size
