"""A gateway says in time what runs out first, and how its operator renews it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from elsewhere.errors import StoreUnavailable
from elsewhere.succession import read_roster
from gateway.config import load_config
from gateway.ends import REMEDIES
from gateway.service import Gateway
from gateway.store import Store
from tests import partnership
from tests.gateway_support import found, join, running, utc_now


async def test_the_roster_is_said_to_end_before_all_else_and_resigning_moves_it(tmp_path: Path) -> None:
    found(tmp_path)
    join(tmp_path, "police")
    join(tmp_path, "social")
    async with running(tmp_path) as gateway:
        end = gateway.nearest_end()
        roster = read_roster((tmp_path / "roster.json").read_bytes())
        assert (end.what, end.at) == ("roster", roster.valid_until_utc)
        assert "elsewhere gateway propose" in end.remedy

        partnership.resign(tmp_path, now=utc_now() + timedelta(days=80))
        gateway.directory.refresh()
        assert gateway.nearest_end().at > end.at
        assert {one.what for one in gateway.directory.ends()} == {"roster", "agreement"}


@pytest.mark.parametrize(("days", "level"), [(60, "info"), (80, "warning"), (100, "warning")])
async def test_what_runs_out_first_is_logged_at_the_start_and_within_three_weeks_as_a_warning(
    tmp_path: Path, days: int, level: str
) -> None:
    found(tmp_path)
    gateway = Gateway(load_config(tmp_path), clock=lambda: utc_now() + timedelta(days=days))
    with capture_logs() as logs:
        await gateway.start()
    gateway.stop()
    await gateway.serve()
    said = [entry for entry in logs if entry["event"] == "runs out first"]
    assert [(entry["what"], entry["remedy"]) for entry in said] == [("roster", REMEDIES["roster"])]
    assert [entry["log_level"] for entry in said] == [level]


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
