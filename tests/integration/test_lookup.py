"""A lookup through all parties: real gateway, real nodes, real mTLS, real stores."""

from __future__ import annotations

from pathlib import Path

from elsewhere.asking import Coverage, State
from tests.federation import EVA, KAI, ZOE, ask_about, small_federation


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
