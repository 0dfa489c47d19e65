"""A lookup through all parties: real gateway, real nodes, real mTLS, real stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from elsewhere.asking import Coverage, State
from elsewhere.wire.v1.catalogue_pb2 import FetchRequest
from gateway.catalogues import CatalogueService
from node.catalogues.holding import CatalogueName
from node.catalogues.peers import Peers
from tests.federation import EVA, KAI, ZOE, ask_about, federation, small_federation


@pytest.mark.usefixtures("each_engine")
async def test_a_child_known_at_two_agencies_is_found_at_both(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        found = await made.ask("social", ask_about(ZOE))
        assert found.state("police") is State.KNOWN_CURRENT
        assert found.state("hospital") is State.KNOWN_CURRENT
        assert found.coverage is Coverage.COMPLETE

        only = await made.ask("social", ask_about(KAI))
        assert only.state("police") is State.KNOWN_CURRENT
        assert only.state("hospital") is State.NOTHING_RETURNED

        nowhere = await made.ask("social", ask_about(EVA))
        assert {answer.state for answer in nowhere.answers.values()} == {State.NOTHING_RETURNED}


async def test_a_fetch_in_mid_lookup_does_not_tell_the_collection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    serve = CatalogueService.Fetch

    async def noting(self: CatalogueService, request: FetchRequest, context: Any) -> AsyncIterator[Any]:
        asked.append((request.custodian, request.collection))
        async for part in serve(self, request, context):
            yield part

    begun: list[str] = []  # at the node: a gateway may take up two calls of one moment in any order
    stream = Peers._stream

    async def beginning(self: Peers, name: CatalogueName, *given: Any) -> None:
        begun.append(name.collection)
        await stream(self, name, *given)

    monkeypatch.setattr(CatalogueService, "Fetch", noting)
    async with federation(tmp_path) as made:
        made.join("social", catalogue={"tick_s": 3600.0})
        made.join("police", [ZOE], catalogue={"tick_s": 3600.0})
        await made.start("social", "police")
        monkeypatch.setattr(Peers, "_begin_to_follow", lambda self, name: None)
        monkeypatch.setattr(Peers, "_stream", beginning)
        peers = made.nodes["social"].peers

        for purpose in ("S47_ENQUIRY", "MASH_TRIAGE"):
            async with asyncio.timeout(20):
                while peers._fetches or peers._background:  # the other collection may still be on its way
                    await asyncio.sleep(0.01)
            asked.clear()
            begun.clear()
            peers._copies._held.clear()
            peers._copies._intakes.clear()
            found = await made.ask("social", ask_about(ZOE, purpose=purpose))
            assert found.state("police") is State.KNOWN_CURRENT
            assert sorted(asked) == [("police", "involvement"), ("police", "protected")]
            assert begun == ["involvement", "protected"]
