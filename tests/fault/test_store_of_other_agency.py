"""A node works with no store but its own agency's, until somebody says that it is its own now."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import insert, select, update

from elsewhere.asking import State
from elsewhere.cli.main import commands
from elsewhere.database.owning import StoreTaken
from elsewhere.errors import NotAdmitted
from node.caseload.index import current_load, record_count
from node.caseload.opening import open_job
from node.caseload.shields_held import Shields
from node.caseload.staging import Staging, Tagged
from node.config import load_config
from node.errors import LoadOvertaken, NodeRunning
from node.owning import take_over
from node.processes.lead import LEASE_S
from node.processes.place import Place
from node.processes.rights import LOADS
from node.program import Node
from node.store.caseload import load
from node.store.engine import open_store
from node.store.exchange import log, opening, waiting
from node.store.owner import Owner, check_owner, claim, owner_of, put_owner
from node.store.processes import LEAD, lease, process
from node.store.schema import SCHEMA
from tests.caseload import ANN, load_rows
from tests.changing import START
from tests.federation import KAI, PATIENCE_S, ZOE, Federation, Shifted, ask_about, federation
from tests.rotating import SETTINGS, epochs, hasten, is_held, until

OURS = Owner("police", "northshire", "00" * 8)
pytestmark = pytest.mark.usefixtures("each_engine")


def opened(made: Federation, agency: str) -> Owner | None:
    """Construct a node, as a start does; gives the owner of its store."""
    node = Node(load_config(made.folder / agency), clock=Shifted(), random=made.random)
    with node._store.read() as conn:
        found = owner_of(conn)
    node._writer.close()
    node._store.close()
    node._pool.shutdown()
    return found


@pytest.mark.parametrize(
    "other",
    [
        replace(OURS, agency="schools"),
        replace(OURS, federation="southshire"),
        replace(OURS, signing_key="11" * 8),
    ],
    ids=["agency", "federation", "key"],
)
def test_who_differs_in_anything_is_refused_and_changes_nothing(store_url: str, other: Owner) -> None:
    store = open_store(store_url)
    for _ in range(2):  # again, as after a restart, or as another process
        claim(store, OURS)
    with pytest.raises(StoreTaken, match="take-store"):
        claim(store, other)
    with store.read() as conn:
        assert owner_of(conn) == OURS
        check_owner(conn, replace(OURS, federation=""))  # loading before it is admitted anew

    ours = {"lookup_id": "0" * 32, "custodian": "schools", "custodian_lookup_id": bytes(16)}
    with store.write() as conn:
        conn.execute(insert(waiting).values(next_ms=1, until_ms=2, attempts=0, **ours))
        conn.execute(insert(opening).values(lookup_id="0" * 32, time_ms=1, sealed=b"sealed"))
    take_over(store, OURS, START)  # changes nothing
    with store.read() as conn:
        assert conn.execute(select(opening)).all()
        assert not conn.execute(select(log)).all()
    take_over(store, other, START)
    with store.read() as conn:
        assert owner_of(conn) == other
        (entry,) = conn.execute(select(log.c.kind, log.c.body)).all()
        assert not conn.execute(select(waiting.c.lookup_id)).all()
        assert not conn.execute(select(opening.c.lookup_id)).all()
    body = json.loads(entry.body)
    assert (entry.kind, body["from"], body["to"]) == ("owner", OURS.to_row(), other.to_row())
    with pytest.raises(StoreTaken):
        claim(store, OURS)
    store.close()


@pytest.mark.parametrize(
    "sign", ["a lead that beats", "a process that is seen", "a load that writes", "none"]
)
def test_a_store_is_taken_only_once_nobody_works_with_it(store_url: str, sign: str) -> None:
    with closing(open_store(store_url)) as store:
        claim(store, OURS)
        with store.write() as conn:
            conn.execute(insert(lease).values(name=LEAD, holder="main", number=1, beat=0))
            conditions = {"is_linked": False, "is_ready": False, "has_ended": False}
            conn.execute(insert(process).values(name="second", seen_ms=1, **conditions))
        waited_s = []

        def sleep(seconds: float) -> None:
            waited_s.append(seconds)
            if len(waited_s) == 30:
                with store.write() as conn:
                    if sign == "a lead that beats":
                        conn.execute(update(lease).values(beat=1))
                    elif sign == "a process that is seen":
                        conn.execute(update(process).values(seen_ms=2))
                    elif sign == "a load that writes":
                        conn.execute(insert(load).values(state="STAGING", started_utc=1))

        other = replace(OURS, agency="schools")
        if sign == "none":  # they were killed
            take_over(store, other, START, sleep=sleep)
            assert sum(waited_s) >= LEASE_S
            with store.read() as conn:
                assert conn.execute(select(lease.c.holder, lease.c.number)).one() == ("", 2), (
                    "its term is over"
                )
        else:
            with pytest.raises(NodeRunning):
                take_over(store, other, START, sleep=sleep)
        with store.read() as conn:
            assert owner_of(conn) == (other if sign == "none" else OURS)


@pytest.mark.parametrize("sign", ["its right", "none"])
def test_a_load_under_way_keeps_its_store_or_does_not_come_into_force(store_url: str, sign: str) -> None:
    with closing(open_store(store_url)) as store, closing(open_store(store_url)) as loads:
        claim(loads, OURS)
        load_rows(loads, [ANN])
        staging = Staging(loads, "cases", START)
        other = replace(OURS, agency="schools")
        if sign == "its right" and store_url.startswith("postgresql"):
            with loads.hold(LOADS), pytest.raises(NodeRunning):
                take_over(store, other, START, sleep=lambda _: None)
        take_over(store, other, START, sleep=lambda _: None)  # it was asleep, and wrote nothing meanwhile
        with pytest.raises(LoadOvertaken):
            staging.switch(Shields({}, {}), Tagged("", frozenset()), None)
        with store.read() as conn:
            assert (record_count(conn), current_load(conn)) == (1, staging.before)
            assert owner_of(conn) == other


async def test_a_store_is_not_taken_from_a_running_node_which_stops_if_it_is_all_the_same(
    tmp_path: Path,
) -> None:
    async with federation(tmp_path) as made:
        made.join("police", [ZOE], **SETTINGS)
        made.join("hospital", **SETTINGS)
        await made.start("police")
        police = made.nodes["police"]
        config = load_config(tmp_path / "police")
        made.configure("hospital", store={"url": config.store_url}, **SETTINGS)
        line = ["node", "take-store", "--yes", "--dir", str(tmp_path / "hospital")]
        refused = await asyncio.to_thread(CliRunner().invoke, commands, line)
        assert isinstance(refused.exception, NodeRunning)
        assert "agency 'police'" in refused.output
        assert "1 records" in refused.output

        told = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
        try:
            with police._store.write() as conn:
                put_owner(conn, OURS)
            async with asyncio.timeout(PATIENCE_S):
                await told.wait()
        finally:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
        assert police.parts.has_failed
        with police._store.read() as conn:
            assert police.lead._parts.yields(conn)


async def test_a_store_is_its_nodes_from_the_first_load_and_through_every_upgrade(tmp_path: Path) -> None:
    async with federation(tmp_path) as made:
        for agency in ("police", "hospital"):
            made.join(agency, **SETTINGS)
        police, hospital = tmp_path / "police", tmp_path / "hospital"
        url = load_config(police).store_url
        made.configure("hospital", store={"url": url}, **SETTINGS)
        anchor = (police / "trust" / "federation.json").read_bytes()
        (police / "trust" / "federation.json").unlink()
        with open_job(police, START):
            pass  # loads before it is admitted
        (police / "trust" / "federation.json").write_bytes(anchor)
        assert isinstance(typed("rotate", "sealing", hospital).exception, StoreTaken)
        assert isinstance(typed("rotate", "epoch", hospital).exception, StoreTaken)
        show = ["audit", "show", "A1B2C3D4", "--dir", str(hospital)]
        assert isinstance(CliRunner().invoke(commands, show).exception, StoreTaken)
        with pytest.raises(StoreTaken), open_job(hospital, START):
            pass
        with pytest.raises(StoreTaken):
            opened(made, "hospital")
        ours = opened(made, "police")
        assert ours is not None
        assert ours.federation == "northshire"

        assert isinstance(typed("upgrade", "--to", "0009", "--yes", hospital).exception, StoreTaken)
        for version in ("0009", SCHEMA.head):
            assert typed("upgrade", "--to", version, "--yes", police).exit_code == 0
        with closing(open_store(url)) as store, store.read() as conn:
            assert owner_of(conn) == ours


def typed(*words: object) -> Result:
    """What `elsewhere node` makes of some words, the last of which is the folder."""
    *line, folder = words
    return CliRunner().invoke(commands, ["node", *map(str, line), "--dir", str(folder)])


async def test_a_node_joined_anew_takes_its_old_store_only_by_command_and_then_finds_who_is_there(
    tmp_path: Path,
) -> None:
    async with federation(tmp_path) as made:
        for agency, rows in (("social", []), ("police", [ZOE, KAI]), ("hospital", [])):
            made.join(agency, rows, **SETTINGS)
        await made.start("social", "police")
        await made.stop("police")
        url = load_config(tmp_path / "police").store_url
        made.configure("hospital", store={"url": url}, catalogue={"tick_s": 0.5}, **SETTINGS)

        with pytest.raises(StoreTaken, match="'police'"):
            opened(made, "hospital")
        with pytest.raises(StoreTaken), open_job(tmp_path / "hospital", START):
            pass
        line = ["node", "take-store", "--dir", str(tmp_path / "hospital")]
        assert CliRunner().invoke(commands, line, input="n\n").exit_code == 1
        with Place(tmp_path / "hospital", "second").alone():
            assert isinstance(CliRunner().invoke(commands, [*line, "--yes"]).exception, NodeRunning)
        with pytest.raises(StoreTaken):
            opened(made, "hospital")
        assert CliRunner().invoke(commands, line, input="y\n").exit_code == 0

        await made.begin("hospital")
        node = made.nodes["hospital"]
        hasten(node)
        await until(lambda: epochs(node) == {2})
        await until(lambda: is_held(made, "social", "hospital", 2))
        found = await made.ask("social", ask_about(ZOE))
        async with asyncio.timeout(PATIENCE_S):
            while found.state("hospital") is State.STALE:  # a version each half second: one may be on its way
                await asyncio.sleep(0.1)
                found = await made.ask("social", ask_about(ZOE))
        assert found.state("hospital") is State.KNOWN_CURRENT
        with pytest.raises(StoreTaken):
            opened(made, "police")


async def test_a_renewed_certificate_and_further_processes_are_the_same_owner(tmp_path: Path) -> None:
    async with federation(tmp_path) as made:
        made.join("police", [ZOE], **SETTINGS)
        first = opened(made, "police")
        (tmp_path / "police" / "trust" / "tls.pem").touch()
        assert opened(made, "police") == first
        Node(load_config(tmp_path / "police"), clock=Shifted(), random=made.random, process="second")


def test_who_is_not_admitted_takes_no_store(tmp_path: Path, store_url: str) -> None:
    assert store_url
    (tmp_path / "node.toml").write_text('agency = "police"\nname = "Police"\n')
    taken = CliRunner().invoke(commands, ["node", "take-store", "--yes", "--dir", str(tmp_path)])
    assert isinstance(taken.exception, NotAdmitted)
