"""One federation for all tests of a file: each test breaks it, and shows at its end that it works again."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.federation import Federation, small_federation


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Federation]:
    """Social care asks; police and hospital know Zofia. Catalogues are published when a test says so.

    Nobody is asked again in the background, so that what a custodian counts is what a test asked.
    """
    folder = tmp_path_factory.mktemp("federation")
    settings = {"catalogue": {"tick_s": 3600}, "lookup": {"retry_s": 900.0, "deadline_ms": 20_000}}
    async with small_federation(folder, **settings) as federation:
        yield federation
        for node in federation.nodes.values():
            node.links[0]._owed.clear()  # what was torn off on purpose is not waited for
