"""A node works with no store but its own agency's, until somebody says that it is its own now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from elsewhere.asking import State
from elsewhere.cli.main import commands
from elsewhere.database.owning import StoreTaken
from elsewhere.errors import NotAdmitted
from node.caseload.opening import open_job
from node.config import load_config
from node.errors import NodeRunning
from node.processes.place import Place
from node.program import Node
from node.store.engine import open_store
from node.store.owner import Owner, check_owner, claim, owner_of
from tests.changing import START
from tests.federation import KAI, ZOE, Federation, Shifted, ask_about, federation
from tests.rotating import SETTINGS, epochs, hasten, is_held, until

OURS = Owner("police", "northshire", "00" * 8)
pytestmark = pytest.mark.usefixtures("each_engine")


def opened(made: Federation, agency: str) -> Owner | None:
    """Construct a node, as a start does; gives the owner of its store."""
    node = Node(load_config(made.folder / agency), clock=Shifted(), random=made.random)
    with node._store.read() as conn:
        return owner_of(conn)


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

    claim(store, other, take_over=True)
    with store.read() as conn:
        assert owner_of(conn) == other
    with pytest.raises(StoreTaken):
        claim(store, OURS)
    store.close()


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
        assert (await made.ask("social", ask_about(ZOE))).state("hospital") is State.KNOWN_CURRENT
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
