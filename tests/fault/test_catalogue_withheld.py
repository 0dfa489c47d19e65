"""Catalogues withheld, altered or swapped: never used, STALE in time, and whole again afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from elsewhere.asking import CustodianAnswer, State
from elsewhere.errors import PieceRefused
from elsewhere.lookup import Head
from gateway import catalogues as caching
from gateway.catalogues import Catalogues
from gateway.store import CachedPiece, CatalogueName
from node.catalogues.holding import Held
from node.catalogues.stated import stated_heads
from node.program import Node
from tests import partnership
from tests.fault.rig import check_absent, check_healed, deadline, flipped, leaves, somebody, until
from tests.federation import EVA, Federation

pytestmark = pytest.mark.asyncio(loop_scope="module")
NAME = ("police", "protected", 1)


def _held(made: Federation) -> Held:
    held = made.nodes["social"].peers.held(*NAME)
    assert held is not None
    return held


async def _publish(made: Federation) -> int:
    """Have the police publish one more version, and wait until the gateway has it."""
    police = made.nodes["police"]
    before = police.publisher.head(*NAME[1:]).version
    await police.publisher.make()
    await until(lambda: police.publisher.head(*NAME[1:]).version > before)
    return police.publisher.head(*NAME[1:]).version


def _state(node: Node, head: Head) -> None:
    """Have a node state this version of each of its catalogues, whatever it has published."""
    object.__setattr__(node.custodian, "heads", lambda connection: dict.fromkeys(node.keys.view.names, head))


async def _check_stale(made: Federation, code: str = "catalogue.stale") -> CustodianAnswer:
    """Only the police are STALE, their receipt is there, and the copy held is the one of before."""
    before, logged = _held(made), leaves(made.nodes["police"])
    found = await made.ask("social", somebody())
    check_absent(found, police=State.STALE)
    answer = found.answers["police"]
    assert answer.code == code
    # The second round went out all the same, with nothing in it.
    assert answer.receipt
    assert answer.call_reference
    assert leaves(made.nodes["police"]) == logged + 1
    held = made.nodes["social"].peers.held(*NAME)
    assert held is None or held.head == before.head
    return answer


async def test_a_gateway_that_withholds_the_newest_piece_cannot_make_a_child_unknown(
    made: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = _held(made).head.version
    wanted = Catalogues.wanted

    def older_only(self: Catalogues, caller: str, request: Any) -> tuple[list[CachedPiece], bytes]:
        pieces, grant = wanted(self, caller, request)
        return [piece for piece in pieces if piece.version <= version], grant

    monkeypatch.setattr(Catalogues, "wanted", older_only)
    made.load("police", [EVA], source="more")
    assert await _publish(made) > version
    found = await made.ask("social", somebody(row=EVA))
    # Not "nothing returned": by the old catalogue the child would not be known.
    check_absent(found, police=State.STALE)
    await _check_stale(made)
    monkeypatch.undo()
    found = await made.ask("social", somebody(row=EVA))
    assert found.state("police") is State.KNOWN_CURRENT
    await check_healed(made)


async def test_a_gateway_that_takes_no_new_version_leaves_no_old_one_in_use(
    made: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = made.nodes["police"].publisher.head(*NAME[1:])
    publish = Catalogues.publish

    async def take_of_others(self: Catalogues, caller: str, requests: Any, show: Any) -> Any:
        if caller == "police":
            raise PieceRefused("no")
        return await publish(self, caller, requests, show)

    monkeypatch.setattr(Catalogues, "publish", take_of_others)
    await made.nodes["police"].publisher.make()
    monkeypatch.setattr(made.nodes["police"].publisher._standing, "_patience_s", -1.0)
    # By the old catalogue a child that came since would not be known, and the whole would look complete.
    await made.nodes["police"].publisher.state()
    await _check_stale(made)
    assert not made.nodes["police"].status().is_ready

    # A restart does not make it forget what it has stated.
    await made.stop("police")
    await made.start("police")
    with made.nodes["police"]._store.read() as connection:
        assert stated_heads(connection)[NAME[1:]].version == taken.version + 1
    await until(lambda: made.nodes["social"].links[0].attached.is_set())
    await _check_stale(made)

    monkeypatch.undo()
    await _publish(made)
    await check_healed(made)
    assert made.nodes["police"].status().is_ready


Lie = Callable[[pytest.MonkeyPatch], None]


def _another_custodians(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of the hospital's catalogue where those of the police are asked for."""
    wanted = Catalogues.wanted

    def theirs(self: Catalogues, caller: str, request: Any) -> tuple[list[CachedPiece], bytes]:
        request.custodian, request.held_version = "hospital", 0
        return wanted(self, caller, request)

    monkeypatch.setattr(Catalogues, "wanted", theirs)


def _under_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, labelled as if they were of the police."""
    _another_custodians(monkeypatch)
    head = caching._head

    def relabelled(piece: CachedPiece, caller: str, grant: bytes) -> Any:
        return head(replace(piece, name=CatalogueName(*NAME)), caller, grant)

    monkeypatch.setattr(caching, "_head", relabelled)


def _corrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One bit of every chunk changed."""
    chunks = Catalogues.chunks

    def changed(self: Catalogues, piece: CachedPiece, from_chunk: int) -> Iterator[tuple[int, bytes]]:
        return ((index, flipped(data, 20)) for index, data in chunks(self, piece, from_chunk))

    monkeypatch.setattr(Catalogues, "chunks", changed)


def _older(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything from the beginning, what is held included."""
    wanted = Catalogues.wanted

    def from_the_start(self: Catalogues, caller: str, request: Any) -> tuple[list[CachedPiece], bytes]:
        request.held_version = 0
        return wanted(self, caller, request)

    monkeypatch.setattr(Catalogues, "wanted", from_the_start)


def _old_as_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old piece under the number of the newest one."""
    wanted = Catalogues.wanted

    def renumbered(self: Catalogues, caller: str, request: Any) -> tuple[list[CachedPiece], bytes]:
        pieces, grant = wanted(self, caller, request)
        all_, _ = wanted(self, caller, type(request)(**_named(request)))
        return [replace(all_[0], version=piece.version) for piece in pieces], grant

    monkeypatch.setattr(Catalogues, "wanted", renumbered)


def _named(request: Any) -> dict[str, Any]:
    return {"custodian": request.custodian, "collection": request.collection, "epoch": request.epoch}


def _cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads without their chunks."""
    monkeypatch.setattr(Catalogues, "chunks", lambda self, piece, from_chunk: iter(()))


@pytest.mark.parametrize(
    "lie", [_another_custodians, _under_another_name, _corrupted, _older, _old_as_new, _cut_short]
)
async def test_what_a_gateway_serves_in_place_of_a_catalogue_is_never_used(
    made: Federation, monkeypatch: pytest.MonkeyPatch, lie: Lie
) -> None:
    lie(monkeypatch)
    with capture_logs() as logs:
        await _publish(made)
        await _check_stale(made)
    if lie is not _cut_short:
        codes = {e["code"] for e in logs if e["event"] == "catalogue.refused" and e["custodian"] == "police"}
        assert codes <= {"catalogue.broken", "signature.invalid"}
        assert codes
    monkeypatch.undo()
    await check_healed(made)
    assert _held(made).head == made.nodes["police"].publisher.head(*NAME[1:])


async def test_a_custodian_that_states_another_catalogue_than_others_are_shown_is_found_out(
    made: Federation,
) -> None:
    police, social = made.nodes["police"], made.nodes["social"]
    await _publish(made)  # so that what is fetched anew is a snapshot and then some
    await check_healed(made)
    truth = police.custodian.heads
    version = _held(made).head.version
    _state(police, Head(version, bytes(32)))
    with capture_logs() as logs:
        await _check_stale(made, "catalogue.diverged")
    assert "catalogue.diverged" in {entry["event"] for entry in logs}
    object.__setattr__(police.custodian, "heads", truth)
    await check_healed(made)
    assert social.peers.held(*NAME) is not None


async def test_a_copy_that_was_dropped_never_comes_back_older(
    made: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    police, social = made.nodes["police"], made.nodes["social"]
    await _publish(made)
    await check_healed(made)
    version = _held(made).head.version
    # Nothing is held of a suspended custodian.
    partnership.set_state(made.folder / "gw", "police", "suspended", now=datetime.now(UTC))
    await until(lambda: social.peers.held(*NAME) is None)
    wanted = Catalogues.wanted

    def older_only(self: Catalogues, caller: str, request: Any) -> tuple[list[CachedPiece], bytes]:
        pieces, grant = wanted(self, caller, request)
        return [piece for piece in pieces if piece.version < version], grant

    monkeypatch.setattr(Catalogues, "wanted", older_only)
    partnership.set_state(made.folder / "gw", "police", "active", now=datetime.now(UTC))
    await until(lambda: social.trust.is_active("police"))
    await until(lambda: social.links[0].attached.is_set() and police.links[0].attached.is_set())
    # A custodian that names an old version as its newest does not make it good either.
    truth = police.custodian.heads
    for head in (None, Head(1, bytes(32))):
        if head is not None:
            _state(police, head)
        found = await made.ask("social", somebody())
        check_absent(found, police=State.STALE)
        assert social.peers.held(*NAME) is None
    object.__setattr__(police.custodian, "heads", truth)
    monkeypatch.undo()
    await check_healed(made)
    assert _held(made).head.version >= version


async def test_a_version_that_the_custodian_never_published_is_stale_at_once(made: Federation) -> None:
    police = made.nodes["police"]
    truth = police.custodian.heads
    _state(police, Head(2**40, bytes(32)))
    answer = await _check_stale(made)
    assert answer.elapsed_ms < 10_000
    object.__setattr__(police.custodian, "heads", truth)
    await check_healed(made)


async def test_a_fetch_that_hangs_leaves_time_for_the_second_round(
    made: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()

    def hang(self: Catalogues, piece: CachedPiece, from_chunk: int) -> Iterator[tuple[int, bytes]]:
        let_go.wait(30)
        yield from ()

    monkeypatch.setattr(Catalogues, "chunks", hang)
    await _publish(made)
    deadline(made.nodes["social"], 3000)
    answer = await _check_stale(made)
    assert 1300 <= answer.elapsed_ms < 3000
    deadline(made.nodes["social"], 20_000)
    let_go.set()
    monkeypatch.undo()
    await check_healed(made)
