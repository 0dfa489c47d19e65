"""Two nodes that differ in clock, version or documents: each difference has its own word; nothing is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from elsewhere.asking import CustodianAnswer, State
from elsewhere.errors import RosterExpired
from elsewhere.keyfiles import write_secret
from elsewhere.lookup import EvaluateRequest
from elsewhere.sealing import SealingKey
from node.answering.guard import Guard
from node.asking.part import Part
from node.asking.questions import QuestionMaker
from node.membership.trust import Trust
from tests.fault.rig import check_absent, check_healed, kept, leaves, resign, somebody, until
from tests.federation import ZOE, Federation, Shifted, federation, small_federation

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _check(answer: CustodianAnswer, state: State, code: str) -> None:
    """A custodian's own signed decision: state and code, and a receipt for having been asked."""
    assert (answer.state, answer.code) == (state, code)
    assert answer.remedy
    assert answer.receipt
    assert len(answer.call_reference) == 8


@pytest.mark.parametrize("minutes", [10, -10])
@pytest.mark.parametrize("who", ["police", "social"])
async def test_a_clock_ten_minutes_out_is_said_to_be(made: Federation, who: str, minutes: int) -> None:
    police = made.nodes["police"]
    before = kept(police)
    made.clocks[who].by = timedelta(minutes=minutes)
    found = await made.ask("social", somebody())
    wrong = ("police",) if who == "police" else ("police", "hospital")
    check_absent(found, **dict.fromkeys(wrong, State.ERROR))
    for name in wrong:
        _check(found.answers[name], State.ERROR, "clock.skew")
    # Not counted, and yet logged: the receipt is for a decision.
    assert kept(police) == (before[0], before[1] + 1)
    made.clocks[who].by = timedelta(0)
    await check_healed(made)


async def test_a_clock_within_the_tolerance_changes_nothing_on_the_first_day_either(tmp_path: Path) -> None:
    # Roster and key statements are seconds old: of a slow clock they are in the future.
    async with small_federation(tmp_path) as made:
        for who in ("police", "social"):
            for minutes in (4, -4):
                made.clocks[who].by = timedelta(minutes=minutes)
                await check_healed(made)
            made.clocks[who].by = timedelta(0)


async def test_on_a_roster_that_has_run_out_nothing_is_asked_or_answered(made: Federation) -> None:
    police = made.nodes["police"]
    before = kept(police)
    made.clocks["police"].by = timedelta(days=100)
    found = await made.ask("social", somebody())
    check_absent(found, police=State.ERROR)
    assert found.answers["police"].code == "request.refused"
    assert kept(police) == before
    made.clocks["police"].by = timedelta(0)
    made.clocks["social"].by = timedelta(days=100)
    with pytest.raises(RosterExpired):
        await made.ask("social", somebody())
    made.clocks["social"].by = timedelta(0)
    await check_healed(made)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Federation]:
    """As everywhere in this folder, but documents and keys are hours old: slow clocks are not before them."""
    async with federation(tmp_path_factory.mktemp("federation")) as found:
        settings = {"catalogue": {"tick_s": 3600}, "lookup": {"retry_s": 900.0}}
        for agency, rows in (("social", []), ("police", [ZOE]), ("hospital", [ZOE])):
            found.join(agency, rows, **settings)
            found.clocks[agency] = Shifted(timedelta(hours=-1))
        await resign(found, ago=timedelta(hours=2))
        await found.start("social", "police", "hospital")
        for clock in found.clocks.values():
            clock.by = timedelta(0)
        yield found


Change = Callable[[EvaluateRequest], EvaluateRequest]


@pytest.mark.parametrize(
    ("change", "state", "code"),
    [
        (lambda r: replace(r, match_key_version="0"), State.INCOMPATIBLE, "version.match_keys"),
        (lambda r: replace(r, protocol_version=2), State.INCOMPATIBLE, "version.protocol"),
        (lambda r: replace(r, epoch=r.epoch + 1), State.INCOMPATIBLE, "version.epoch"),
        (lambda r: replace(r, collection="concern"), State.INCOMPATIBLE, "version.epoch"),
    ],
    ids=["match keys", "protocol", "epoch", "collection"],
)
async def test_a_searcher_of_another_version_is_told_so_by_everybody(
    made: Federation, monkeypatch: pytest.MonkeyPatch, change: Change, state: State, code: str
) -> None:
    police = made.nodes["police"]
    before = kept(police)
    made_part = QuestionMaker.part

    def other_part(maker: QuestionMaker, *given: Any) -> Part:
        part = made_part(maker, *given)
        part.request = change(part.request)
        return part

    monkeypatch.setattr(QuestionMaker, "part", other_part)
    found = await made.ask("social", somebody())
    check_absent(found, police=state, hospital=state)
    for answer in found.answers.values():
        _check(answer, state, code)
    assert kept(police) == (before[0], before[1] + 1)
    monkeypatch.undo()
    await check_healed(made)


async def test_one_custodian_with_an_old_match_key_version_is_incompatible_alone(
    made: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Guard.judge

    def with_another_version(guard: Guard, request: EvaluateRequest, *held: Any) -> Any:
        theirs = replace(request, match_key_version="0") if guard.trust.me == "police" else request
        return judge(guard, theirs, *held)

    monkeypatch.setattr(Guard, "judge", with_another_version)
    found = await made.ask("social", somebody())
    check_absent(found, police=State.INCOMPATIBLE)
    _check(found.answers["police"], State.INCOMPATIBLE, "version.match_keys")
    monkeypatch.undo()
    await check_healed(made)


async def test_a_searcher_that_is_shown_an_old_key_statement_is_told(
    made: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = made.gateway
    assert gateway is not None
    await made.stop("police")
    key = SealingKey.generate(lambda n: bytes(range(n)))
    write_secret(made.folder / "police" / "keys" / "sealing-2.key", key.to_bytes())
    # The gateway says that it took the new statement, and goes on showing the old one.
    monkeypatch.setattr(gateway.directory, "publish_statement", lambda agency, envelope: 2)
    await made.start("police")
    found = await made.ask("social", somebody())
    assert found.state("police").is_answer, "the keys that it names are in force still"

    await made.stop("police")
    (made.folder / "police" / "trust" / "own-statement.1.json").unlink()  # as when it is very old
    await made.start("police")
    found = await made.ask("social", somebody())
    check_absent(found, police=State.ERROR)
    _check(found.answers["police"], State.ERROR, "statement.unknown")

    monkeypatch.undo()
    gateway.directory.changed()  # the next directory, whatever it is sent for
    social = made.nodes["social"]
    await until(lambda: social.trust.statements["police"].version == 2)
    await check_healed(made)


async def test_an_agreement_that_only_one_of_them_holds_is_said_to_differ(
    made: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    social, police = made.nodes["social"], made.nodes["police"]
    take = Trust.take_agreement
    monkeypatch.setattr(Trust, "take_agreement", lambda t, e: False if t.me == "social" else take(t, e))
    held = social.trust.agreement
    assert held is not None
    await resign(made, ("burst = 20", "burst = 21"), to=("police", "hospital"))
    assert social.trust.agreement is held
    before = leaves(police)
    found = await made.ask("social", somebody())
    check_absent(found, police=State.ERROR, hospital=State.ERROR)
    for answer in found.answers.values():
        _check(answer, State.ERROR, "agreement.differs")
    assert leaves(police) == before + 1
    monkeypatch.undo()
    assert made.gateway is not None
    made.gateway.directory.changed()
    await until(lambda: getattr(social.trust.agreement, "version", 0) > held.version)
    await check_healed(made)
