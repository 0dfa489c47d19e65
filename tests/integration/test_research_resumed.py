"""A study that failed is taken up again with the very same query: what was charged for it is not lost."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from elsewhere.research.errors import QueryExpired
from elsewhere.sdk.research import Research, utc_now
from elsewhere.sdk.researcher.ends import Failed, Opened, Refused
from elsewhere.sdk.researcher.sent import NothingSent, sent_ids
from node.store.studies import charge
from node.studies.errors import TableUnread
from node.studies.tables.reading import Tables
from tests.federation import Federation
from tests.integration.test_research_sdk import beside, said, studying, typed


def breaks(patch: pytest.MonkeyPatch) -> None:
    """Have the table be unreadable for a moment, as while its file is put there."""

    def unread(tables: Tables, question: object) -> list[int]:
        raise TableUnread("expected a table that can be read")

    patch.setattr(Tables, "vector", unread)


def charges(made: Federation) -> dict[str, list[int]]:
    """What each agency has charged."""
    found: dict[str, list[int]] = {}
    for agency, node in made.nodes.items():
        with node._store.read() as connection:
            found[agency] = [row.nrho for row in connection.execute(select(charge))]
    return found


async def failed(ana: Path, monkeypatch: pytest.MonkeyPatch) -> Failed:
    """A study that fails once it was paid for."""
    study = Research(ana).table("referral", year=2025).group_by("nfa").count()
    with monkeypatch.context() as patch:
        breaks(patch)
        end = await beside(partial(study.run, accuracy=40))
    assert isinstance(end, Failed)
    return end


async def test_a_failed_study_opens_later_and_is_charged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with studying(tmp_path) as (made, ana):
        end = await failed(ana, monkeypatch)
        assert sent_ids(ana) == [end.query_id]
        assert sum(map(len, charges(made).values())) >= 3, "the others had paid"

        again = said(await typed(ana, "resume", end.query_id[:12], "--json"))

        assert (again["outcome"], again["query_id"]) == ("opened", end.query_id)
        assert [len(paid) for paid in charges(made).values()] == [1, 1, 1, 1]
        assert sent_ids(ana) == []
        assert (ana / "studies" / f"{end.query_id}.json").exists()


async def test_what_fails_says_how_it_is_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with studying(tmp_path) as (_, ana):
        with monkeypatch.context() as patch:
            breaks(patch)
            words = ("query", "referral", "--year", "2025", "--by", "nfa", "--accuracy", "40")
            printed = (await typed(ana, *words)).stdout
        (query_id,) = sent_ids(ana)
        assert f"elsewhere research resume {query_id[:12]}" in printed

        assert isinstance(await beside(Research(ana).resume), Opened)


async def test_what_has_ended_or_run_out_is_not_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with studying(tmp_path) as (made, ana):
        with pytest.raises(NothingSent, match="there are: none"):
            await beside(Research(ana).resume)
        study = Research(ana).table("referral", year=2025).group_by("nfa").count()
        assert isinstance(await beside(partial(study.run, accuracy=40)), Opened)
        assert sent_ids(ana) == []
        assert isinstance(await refused(made, study), Refused)
        assert sent_ids(ana) == []

        end = await failed(ana, monkeypatch)
        later = Research(ana, clock=lambda: utc_now() + timedelta(minutes=31))
        with pytest.raises(QueryExpired):
            await beside(partial(later.resume, end.query_id))
        assert sent_ids(ana) == []


async def refused(made: Federation, study: Any) -> Any:
    """A study that one agency declines."""
    made.nodes["police"].studies._studies._parts.declines.append("*")  # type: ignore[attr-defined]
    try:
        return await beside(partial(study.run, accuracy=40))
    finally:
        made.nodes["police"].studies._studies._parts.declines.pop()  # type: ignore[attr-defined]
