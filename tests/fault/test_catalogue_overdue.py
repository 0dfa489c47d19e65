"""Of a child that was loaded nobody is told "nothing returned" for long, whatever keeps its tags back."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from elsewhere.asking import State
from elsewhere.errors import GatewayDraining
from gateway.links import Link as GatewayLink
from node.caseload.load import drop_source
from node.caseload.opening import loads_in_force, open_job
from node.catalogues import own
from node.catalogues.times import within
from node.errors import CatalogueOverdue, RecordsMissing
from tests.fault.rig import somebody, until
from tests.federation import EVA, ZOE, Federation, federation

TICK_S = 1.0
QUICK: dict[str, Any] = {"catalogue": {"tick_s": TICK_S}, "lookup": {"retry_s": 900.0}}


@asynccontextmanager
async def asked(folder: Path) -> AsyncIterator[Federation]:
    """Social care asks the police, who know Zofia and publish every second."""
    async with federation(folder) as made:
        made.join("social", [], **QUICK)
        made.join("police", [ZOE], **QUICK)
        await made.start("social", "police")
        assert (await made.ask("social", somebody())).state("police") is State.KNOWN_CURRENT
        yield made


def later(made: Federation) -> None:
    """Let as much time pass for both nodes as a load may take to go out."""
    for clock in made.clocks.values():
        clock.by += within(TICK_S) + timedelta(seconds=2)


async def overdue(made: Federation) -> bool:
    """Whether the police say so, to whomever they are asked about."""
    found = [await made.ask("social", somebody(row=row)) for row in (EVA, ZOE)]
    codes = {lookup.answers["police"].code for lookup in found}
    states = {lookup.state("police") for lookup in found}
    return codes == {CatalogueOverdue.code} and states == {State.ERROR}


async def test_a_load_goes_out_and_is_found_however_long_ago_it_was(tmp_path: Path) -> None:
    async with asked(tmp_path) as made:
        made.load("police", [EVA], source="more")

        async def is_found() -> bool:
            return (await made.ask("social", somebody(row=EVA))).state("police") is State.KNOWN_CURRENT

        while not await is_found():
            continue
        later(made)
        assert await is_found()
        later(made)
        assert await is_found()


async def test_a_gateway_that_tells_a_custodian_nothing_hides_no_child_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asked(tmp_path) as made:
        police = made.nodes["police"]
        put, show = GatewayLink._put, GatewayLink.show_catalogues

        def put_but_notices(link: GatewayLink, frame: Any) -> None:
            if link.agency != "police" or frame.WhichOneof("frame") != "notices":
                put(link, frame)

        def show_others(link: GatewayLink, newest: Any) -> None:
            if link.agency != "police":
                show(link, newest)

        monkeypatch.setattr(GatewayLink, "_put", put_but_notices)
        monkeypatch.setattr(GatewayLink, "show_catalogues", show_others)
        assert made.gateway is not None
        made.gateway.links.end_all(GatewayDraining("bye"), agencies=["police"])
        await until(lambda: not police.links[0].attached.is_set())
        await until(lambda: police.links[0].attached.is_set())
        made.load("police", [EVA], source="more")
        later(made)
        assert await overdue(made)

        # And not by another load either, which would be the newest one then.
        made.load("police", [EVA], source="still-more")
        assert await overdue(made)


async def test_a_disk_that_has_no_room_for_a_catalogue_hides_no_child_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asked(tmp_path) as made:
        police = made.nodes["police"]

        def full(*_: Any, **__: Any) -> None:
            raise OSError(errno.ENOSPC, "no space left")

        monkeypatch.setattr(own, "write_catalogue", full)
        monkeypatch.setattr(own, "MAX_BACKLOG_TICKS", 0)
        made.load("police", [EVA], source="more")
        await until(lambda: not police.publisher.is_current)
        assert not police.status().is_ready
        later(made)
        assert await overdue(made)
        monkeypatch.undo()
        await until(lambda: police.publisher.is_current)
        while (await made.ask("social", somebody(row=EVA))).state("police") is not State.KNOWN_CURRENT:
            continue


async def test_who_has_loaded_nothing_yet_does_not_say_that_nothing_is_known(tmp_path: Path) -> None:
    async with federation(tmp_path) as made:
        made.join("social", [])
        made.join("police", [], lookup={"asks_only": False}, catalogue={"tick_s": TICK_S})
        await made.start("social", "police")
        found = (await made.ask("social", somebody())).answers["police"]
        assert (found.state, found.code) == (State.ERROR, RecordsMissing.code)

        made.load("police", [ZOE])
        while (await made.ask("social", somebody())).state("police") is not State.KNOWN_CURRENT:
            continue


async def test_who_has_dropped_its_only_source_does_not_say_that_nothing_is_known(tmp_path: Path) -> None:
    async with federation(tmp_path) as made:
        made.join("social", [])
        made.join("police", [ZOE], lookup={"asks_only": False}, catalogue={"tick_s": TICK_S})
        await made.start("social", "police")
        while (await made.ask("social", somebody())).state("police") is not State.KNOWN_CURRENT:
            continue
        with open_job(tmp_path / "police", datetime.now(UTC)) as job:
            (name,) = loads_in_force(tmp_path / "police")
            await asyncio.to_thread(drop_source, name, job)

        found = (await made.ask("social", somebody())).answers["police"]
        assert (found.state, found.code) == (State.ERROR, RecordsMissing.code)


async def test_who_has_no_records_may_say_so(tmp_path: Path) -> None:
    async with federation(tmp_path) as made:
        made.join("social", [])
        made.join("police", [], lookup={"asks_only": True})
        await made.start("social", "police")
        assert (await made.ask("social", somebody())).state("police") is State.NOTHING_RETURNED
