"""Fetching from several gateways: the next one is asked where one is behind, broken or gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import grpc
import pytest

from node.catalogues.calls import from_any
from node.errors import CatalogueStale


class Gateways:
    """Gateways that have versions of one catalogue; None: it breaks off."""

    def __init__(self, **has: int | None) -> None:
        self.has, self.held, self.asked = has, 1, list[str]()

    def channels(self) -> Sequence[grpc.aio.Channel]:
        return cast("Sequence[grpc.aio.Channel]", list(self.has))

    async def fetch(self, channel: object) -> None:
        name = str(channel)
        self.asked.append(name)
        has = self.has[name]
        if has is None:
            raise CatalogueStale(f"{name} broke")
        self.held = max(self.held, has)

    async def run(self) -> None:
        await from_any(self.channels, self.fetch, lambda: self.held)


@pytest.mark.parametrize(
    ("has", "asked"),
    [
        ({"one": 2, "two": 3}, ["one"]),
        ({"one": 1, "two": 3}, ["one", "two"]),
        ({"one": None, "two": 3}, ["one", "two"]),
    ],
)
async def test_the_next_gateway_is_asked_only_where_the_first_has_nothing_newer(
    has: dict[str, int | None], asked: list[str]
) -> None:
    gateways = Gateways(**has)
    await gateways.run()
    assert gateways.asked == asked
    assert gateways.held > 1


async def test_nothing_newer_anywhere_is_no_error_if_one_gateway_said_so_last() -> None:
    gateways = Gateways(one=1, two=1)
    await gateways.run()
    assert (gateways.asked, gateways.held) == (["one", "two"], 1)


@pytest.mark.parametrize("has", [{}, {"one": None}, {"one": 1, "two": None}])
async def test_no_gateway_that_serves_is_stale(has: dict[str, int | None]) -> None:
    with pytest.raises(CatalogueStale):
        await Gateways(**has).run()


async def test_a_link_dialled_anew_in_between_is_another_try() -> None:
    gateways = Gateways(one=None)

    def channels() -> Sequence[grpc.aio.Channel]:
        if gateways.asked:
            gateways.has = {"one again": 2}
        return gateways.channels()

    await from_any(channels, gateways.fetch, lambda: gateways.held)
    assert gateways.asked == ["one", "one again"]
