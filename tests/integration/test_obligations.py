"""What the agreement asks of whoever has an answer is told with it, and carried out by the node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from elsewhere.agreement.document import agreement_from_toml
from elsewhere.agreement.template import starting_agreement
from elsewhere.agreement.terms import Party, Validity
from elsewhere.asking import State
from elsewhere.cli.ask_report import describe_answer
from elsewhere.roster import Member
from node.asking.questions import QuestionMaker
from node.program import Node
from node.store.exchange import asked, log
from tests.federation import ZOE, Federation, ask_about, federation

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Federation]:
    async with federation(tmp_path_factory.mktemp("obliged")) as running:
        running.join("social", [])
        running.join("police", [ZOE])
        await running.start("social", "police")
        yield running


def kept(node: Node, lookup_id: str) -> int:
    """How many answers to a question the store holds."""
    with node._store.read() as connection:
        rows = select(func.count()).select_from(asked).where(asked.c.lookup_id == lookup_id)
        return int(connection.execute(rows).scalar_one())


@pytest.mark.asyncio(loop_scope="module")
async def test_an_answer_that_may_not_be_passed_on_says_so(made: Federation) -> None:
    answer = (await made.ask("social", ask_about(ZOE))).answers["police"]

    assert answer.state is State.KNOWN_CURRENT
    assert answer.no_onward  # in every rule of the starting agreement
    assert answer.delete_by is None
    assert ("pass on", "to nobody, as the agreement says") in describe_answer(answer)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_askers_copy_is_deleted_on_the_day_agreed_and_the_log_stays(
    made: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    social, plain = made.nodes["social"], QuestionMaker.obligations
    monkeypatch.setattr(QuestionMaker, "obligations", lambda *given: plain(*given) | {"DELETE_AFTER_7"})
    lookup = await made.ask("social", ask_about(ZOE))
    lookup_id, answer = lookup.started.lookup_id, lookup.answers["police"]
    assert answer.delete_by is not None
    assert "deleted by" in dict(describe_answer(answer))
    shown = social.answers(lookup_id)[0].delete_by
    assert shown == answer.delete_by.replace(microsecond=0)

    before, after, old = answer.delete_by - timedelta(seconds=1), answer.delete_by + DAY, NOW + 4000 * DAY
    for now, told, left in ((before, 1, 1), (after, 0, 1), (after + DAY, 0, 1), (old, 0, 0)):
        with social._store.write() as connection:
            social._history.forget(connection, now)
            receipts = social._history.receipts(connection, lookup_id)
        assert len(social.answers(lookup_id)) == told
        assert kept(social, lookup_id) == left
        # It proves what was asked, for as long as that may be opened.
        assert receipts == ({"police": answer.receipt} if left else {})
    with social._store.read() as connection:
        bodies = connection.execute(select(log.c.body).where(log.c.kind == "told")).scalars()
        assert any(lookup_id.encode() in body for body in bodies)


@pytest.mark.asyncio(loop_scope="module")
async def test_without_a_day_agreed_an_answer_stays(made: Federation) -> None:
    social = made.nodes["social"]
    lookup = await made.ask("social", ask_about(ZOE))

    with social._store.write() as connection:
        social._history.forget(connection, datetime.now(UTC) + 4000 * DAY)

    assert kept(social, lookup.started.lookup_id) == 1


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ([], {"LOG"}),
        (["NO_ONWARD", "DELETE_AFTER_30"], {"LOG", "NO_ONWARD", "DELETE_AFTER_30"}),
        (["DELETE_AFTER_9", "HUMAN_REVIEW"], {"LOG", "DELETE_AFTER_9", "HUMAN_REVIEW"}),
    ],
)
def test_what_is_owed_is_what_the_agreement_writes(written: list[str], expected: set[str]) -> None:
    parties = [
        Party(name, name.title(), sector, "0000 000 001", "0000 000 002")
        for name, sector in (("social", "SOCIAL_CARE"), ("police", "POLICE"))
    ]
    validity = Validity(NOW - DAY, NOW + 300 * DAY, NOW + 200 * DAY)
    text = starting_agreement(id="northshire", title="Northshire", validity=validity, parties=parties)
    listed = ", ".join(f'"{word}"' for word in written)
    text = text.replace('obligations = ["NO_ONWARD"]', f"obligations = [{listed}]")
    agreement = agreement_from_toml(text).signed_by_all()
    police = Member("police", "Police", "POLICE", "Police", "active", b"p" * 32)
    roster = SimpleNamespace(active=lambda agency: SimpleNamespace(sector="SOCIAL_CARE"))
    trust = cast("Any", SimpleNamespace(me="social", roster=roster, agreement=agreement))
    maker = QuestionMaker(cast("Any", None), trust, lambda: NOW, lambda size: bytes(size))

    # For this purpose location-shielded children are not asked about, whose rules ask for more.
    assert maker.obligations(ask_about(ZOE, purpose="MASH_TRIAGE"), police, NOW) == expected
