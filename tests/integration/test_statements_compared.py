"""A member that shows two others different keys, with the gateway's help, is found out by their machines."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from elsewhere.comparing import open_told
from elsewhere.statement import KeyStatement, sign_statement
from node.keys.identity import write_own
from node.membership.freshness import Freshness, FreshnessParts
from node.program import Node
from node.store.exchange import log
from tests.federation import Federation, small_federation


def freshness(node: Node) -> Freshness:
    kept = (node.keys.newest, node._writer, node._sources(), node._clock)
    return Freshness(FreshnessParts(node.trust, *kept))


def stated(made: Federation, to: str, *, earlier: bool) -> KeyStatement:
    """Have the police state to one member a version of its own."""
    node = made.nodes["police"]
    held = node.keys.view.own.statement
    issued = held.issued_utc - timedelta(seconds=int(earlier))
    found = replace(held, version=held.version + 1, issued_utc=issued)
    made.nodes[to].trust.take_statement(sign_statement(node.keys.view.signing, found))
    assert made.nodes[to].trust.statements["police"] == found
    return found


def entries(node: Node) -> list[dict[str, Any]]:
    with node._store.read() as connection:
        rows = connection.execute(select(log.c.body).where(log.c.kind == "statement")).scalars()
        return [json.loads(body) for body in rows]


async def test_two_statements_of_one_version_are_told_of_and_kept_as_evidence(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        one, other = stated(made, "social", earlier=False), stated(made, "hospital", earlier=True)
        assert one.digest != other.digest
        social, hospital = freshness(made.nodes["social"]), freshness(made.nodes["hospital"])
        with capture_logs() as logs:
            await social.step()
            await hospital.step()
            await social.step()
            await social.step()
        told = [e for e in logs if e["event"] == "statement.differs"]
        assert [(e["agency"], e["held_by"]) for e in told] == [
            ("police", ["social"]),
            ("police", ["hospital"]),
        ]
        assert [e["agency"] for e in logs if e["event"] == "statements differ"] == ["police"], "the gateway's"
        (entry,) = entries(made.nodes["social"])
        assert (entry["agency"], entry["held"]) == ("police", one.digest.hex())
        kept = open_told(entry["note"].encode(), made.nodes["social"].trust.roster)
        assert (kept.checkpoint.root, list(kept.times)) == (other.digest, ["hospital"])


async def test_who_speaks_in_an_agencys_name_is_found_out_by_it(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        thiefs = stated(made, "social", earlier=True)
        police = made.nodes["police"]
        with capture_logs() as logs:
            await freshness(made.nodes["social"]).step()
            await freshness(police).step()
        told = [e for e in logs if e["event"] == "statement.not_ours"]
        assert [(e["agency"], e["version"], e["held_by"]) for e in told] == [
            ("police", thiefs.version, ["social"])
        ]
        (entry,) = entries(police)
        assert entry["held_version"] == thiefs.version - 1


@pytest.mark.parametrize("is_withheld", [False, True], ids=["compared", "withheld"])
async def test_where_nobody_says_what_they_hold_for_a_day_that_is_told(
    tmp_path: Path, is_withheld: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"keys": {"epoch_days": 300, "sealing_days": 300}}
    async with small_federation(tmp_path, **settings) as made:
        if is_withheld:
            monkeypatch.setattr("gateway.comparing.Comparing.exchange", lambda *given: [])
        nodes = [freshness(node) for node in made.nodes.values()]
        with capture_logs() as logs:
            for _ in range(2):
                for _ in range(2):
                    for node in nodes:
                        await node.step()
                for clock in made.clocks.values():
                    clock.by += timedelta(days=1, minutes=1)
        late = {e["agency"] for e in logs if e["event"] == "statement.not_compared"}
        assert late == ({"social", "police", "hospital"} if is_withheld else set())
        assert not any(entries(node) for node in made.nodes.values())


async def test_what_another_process_of_the_node_has_just_stated_is_its_own(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        police, social = made.nodes["police"], made.nodes["social"]
        held = police.keys.view.own.statement
        newer = replace(held, version=held.version + 1)
        write_own(made.folder / "police", police.keys.view.signing, newer)
        social.trust.take_statement(sign_statement(police.keys.view.signing, newer))
        with capture_logs() as logs:
            await freshness(social).step()
            await freshness(police).step()
        assert not [e for e in logs if e["event"].startswith("statement.")]
        assert not entries(police)
