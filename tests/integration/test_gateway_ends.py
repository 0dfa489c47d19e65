"""A gateway says in time what runs out first, and how its operator renews it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from elsewhere.errors import StoreUnavailable
from elsewhere.roster import open_roster
from gateway import enrolment
from gateway.config import load_config
from gateway.ends import REMEDIES
from gateway.service import Gateway
from gateway.store import Store
from tests.gateway_support import found, join, running, utc_now


async def test_the_roster_is_said_to_end_before_all_else_and_resigning_moves_it(tmp_path: Path) -> None:
    found(tmp_path)
    anchor = join(tmp_path, "police").admission.anchor
    join(tmp_path, "social")
    async with running(tmp_path) as gateway:
        end = gateway.nearest_end()
        roster = open_roster((tmp_path / "roster.json").read_bytes(), anchor.public)
        assert (end.what, end.at) == ("roster", roster.valid_until_utc)
        assert "elsewhere gateway resign" in str(end)
        assert f"{end.at:%Y-%m-%d}" in str(end)

        enrolment.resign(tmp_path, now=utc_now() + timedelta(days=80))
        gateway.directory.refresh()
        assert gateway.nearest_end().at > end.at
        assert {one.what for one in gateway.directory.ends()} == {"roster", "agreement"}


@pytest.mark.parametrize(("days", "said"), [(60, []), (80, ["roster"]), (100, ["roster"])])
async def test_an_end_within_three_weeks_is_logged_when_the_gateway_starts(
    tmp_path: Path, days: int, said: list[str]
) -> None:
    found(tmp_path)
    gateway = Gateway(load_config(tmp_path), clock=lambda: utc_now() + timedelta(days=days))
    with capture_logs() as logs:
        await gateway.start()
    gateway.stop()
    await gateway.serve()
    soon = [entry for entry in logs if entry["event"] == "ends soon"]
    assert [entry["what"] for entry in soon] == said
    assert all(entry["remedy"] == REMEDIES[entry["what"]] for entry in soon)


async def test_a_store_that_takes_nothing_is_logged_and_links_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(store: Store, seen: object) -> None:
        raise StoreUnavailable("full")

    found(tmp_path)
    monkeypatch.setattr(Store, "put_seen", full)
    with capture_logs() as logs:
        async with running(tmp_path):
            pass
    failed = [entry["code"] for entry in logs if entry["event"] == "times of contact not kept"]
    assert failed == ["store.unavailable"]
