"""How old a source may be before answers say so is what the parties agreed, however much is promised."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.fault.direct import pair
from tests.federation import EVA, ZOE, ask_about


@pytest.mark.parametrize("row", [ZOE, EVA], ids=["known", "not known"])
@pytest.mark.parametrize(("agreed", "is_stale"), [(2, True), (5, False), (30, False)])
async def test_a_source_older_than_agreed_is_told_as_such(
    tmp_path: Path, row: dict[str, str], agreed: int, is_stale: bool
) -> None:
    async with pair(tmp_path, ("max_age_days = 7", f"max_age_days = {agreed}")) as two:
        two.clock.by = timedelta(days=3)  # the mapping promises 7
        part = two.part(ask_about(row))
        reply = await two.evaluate(part)
        assert reply is not None
        answer = await two.redeem(part, two.every_hit(part, reply)[:4])
        assert answer is not None
        assert (answer.answer.source_age_days, answer.answer.source_stale) == (3, is_stale)


async def test_what_an_agency_promises_itself_binds_it_where_more_was_agreed(tmp_path: Path) -> None:
    async with pair(tmp_path, ("max_age_days = 7", "max_age_days = 30")) as two:
        two.clock.by = timedelta(days=9)
        part = two.part(ask_about(EVA))
        assert await two.evaluate(part) is not None
        answer = await two.redeem(part)
        assert answer is not None
        assert answer.answer.source_stale
