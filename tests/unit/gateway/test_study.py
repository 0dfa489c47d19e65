"""A study at the gateway: real nodes' parts at the other ends of its streams, and peers that do otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from elsewhere.agreement.studies import HeldTable
from elsewhere.errors import ElsewhereError
from elsewhere.research.query import Query, query_id, terms_of
from elsewhere.securesum.prepare import open_prepare, sign_prepare
from elsewhere.securesum.share import Share, open_share, sign_share
from elsewhere.signing import SigningKey
from elsewhere.wire.v1 import research_pb2, study_pb2
from gateway.studies.attending import Attending
from gateway.studies.study import Asked, Study, Waits
from tests.unit.node.study_world import NAMES, World, make_world, signed

Alter = Callable[[World, study_pb2.AttendRequest], study_pb2.AttendRequest | None]
WAITS, SHORT = Waits(20, 20), Waits(20, 1)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.stop()


@dataclass
class Told:
    """What the researcher's program was told."""

    events: list[research_pb2.StudyResponse] = field(default_factory=list)

    async def tell(self, event: research_pb2.StudyResponse) -> None:
        """Take an event."""
        self.events.append(event)

    @property
    def end(self) -> int:
        """How it ended."""
        return self.events[-1].ended.end

    @property
    def shares(self) -> list[str]:
        """Whose shares were handed on."""
        return [event.share.agency for event in self.events if event.HasField("share")]

    @property
    def last(self) -> dict[str, tuple[str, str]]:
        """Where each participant ended, and why."""
        name = research_pb2.ParticipantState.Name
        return {
            event.changed.agency: (
                name(event.changed.state).removeprefix("PARTICIPANT_STATE_"),
                event.changed.code,
            )
            for event in self.events
            if event.HasField("changed")
        }


@asynccontextmanager
async def attended(world: World, attending: Attending, alters: Mapping[str, Alter]) -> AsyncIterator[None]:
    """Have everybody's node attend; what some of them answer is altered, or kept back."""
    tasks = [asyncio.create_task(_attend(world, attending, name, alters.get(name))) for name in NAMES]
    await asyncio.sleep(0)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _attend(world: World, attending: Attending, name: str, alter: Alter | None) -> None:
    stream = attending.attach(name)
    while True:
        await stream.news.wait()
        stream.news.clear()
        while stream.waiting:
            answer: study_pb2.AttendRequest | None = await _answer(world, name, stream.waiting.popleft())
            if alter is not None and answer is not None:
                answer = alter(world, answer)
            if answer is not None:
                attending.answer(name, answer)


async def _answer(world: World, name: str, frame: study_pb2.AttendResponse) -> study_pb2.AttendRequest:
    """What the node's own part says."""
    studies, kind = world.agencies[name].studies, frame.WhichOneof("frame")
    call = frame.prepare if kind == "prepare" else frame.commit
    try:
        if kind == "prepare":
            made = await studies.prepare(call.qid, call.query)
            seals = [study_pb2.Seal(agency=one, sealed=sealed) for one, sealed in made.seals.items()]
            prepared = study_pb2.Prepared(qid=call.qid, prepare=made.prepare, seals=seals)
            return study_pb2.AttendRequest(prepared=prepared)
        opened = {seal.agency: seal.sealed for seal in frame.commit.seals}
        share = await studies.commit(call.qid, call.query, list(frame.commit.prepares), opened)
        return study_pb2.AttendRequest(shared=study_pb2.Shared(qid=call.qid, share=share))
    except ElsewhereError as err:
        return study_pb2.AttendRequest(refused=study_pb2.StudyRefused(qid=call.qid, code=err.code))


async def run(
    world: World,
    alters: Mapping[str, Alter] | None = None,
    *,
    query: Query | None = None,
    accept_missing: bool = False,
    waits: Waits = WAITS,
) -> Told:
    """Run one study to its end."""
    attending, told = Attending(), Told()
    query = query or world.query()
    envelope = signed(query)
    async with attended(world, attending, alters or {}):
        asked = Asked(envelope, query, terms_of(query, query_id(envelope), world.agreement, world.roster))
        study = Study(asked, world.roster, attending, told.tell, waits)
        fixed = await study.prepare(accept_missing=accept_missing)
        if fixed is not None:
            assert await study.gather(fixed) is (told.end == research_pb2.STUDY_END_OPENED)
    return told


def keeps_back(kind: str) -> Alter:
    """A node that does not answer one call."""
    return lambda world, answer: None if answer.WhichOneof("frame") == kind else answer


def refuses(kind: str) -> Alter:
    """A node that refuses one call."""

    def alter(world: World, answer: study_pb2.AttendRequest) -> study_pb2.AttendRequest:
        if answer.WhichOneof("frame") != kind:
            return answer
        qid = getattr(answer, kind).qid
        return study_pb2.AttendRequest(refused=study_pb2.StudyRefused(qid=qid, code="refused.budget"))

    return alter


def gives(name: str, change: Callable[[Share], Share], key: SigningKey | None = None) -> Alter:
    """A node that gives another share than its own, signed as it should be, or by another key."""

    def alter(world: World, answer: study_pb2.AttendRequest) -> study_pb2.AttendRequest:
        if answer.WhichOneof("frame") == "shared":
            own = world.agencies[name].signing
            share = change(open_share(answer.shared.share, own.public))
            answer.shared.share = sign_share(key or own, share)
        return answer

    return alter


def prepares(name: str, **changes: object) -> Alter:
    """A node that signs a prepare which says something else."""

    def alter(world: World, answer: study_pb2.AttendRequest) -> study_pb2.AttendRequest:
        if answer.WhichOneof("frame") == "prepared":
            own = world.agencies[name].signing
            prepare = replace(open_prepare(answer.prepared.prepare, own.public), **changes)  # type: ignore[arg-type]
            answer.prepared.prepare = sign_prepare(own, prepare)
        return answer

    return alter


async def test_all_shares_are_handed_on_once_all_are_in(world: World) -> None:
    told = await run(world)

    assert told.end == research_pb2.STUDY_END_OPENED
    assert sorted(told.shares) == sorted(NAMES)
    assert set(told.last.values()) == {("SHARED", "")}


BROKEN: dict[str, Alter] = {
    "refused": refuses("shared"),
    "of another roster": gives("police", lambda share: replace(share, rh=bytes(32))),
    "of another query": gives("police", lambda share: replace(share, qid=bytes(32))),
    "of another agency": gives("police", lambda share: replace(share, agency="schools")),
    "too short": gives("police", lambda share: replace(share, body=share.body[:-8])),
    "too long": gives("police", lambda share: replace(share, body=share.body + bytes(8))),
    "signed by another": gives("police", lambda share: share, SigningKey(b"t" * 32)),
    "another frame": lambda world, answer: (
        study_pb2.AttendRequest(budget=study_pb2.BudgetStated(qid=answer.shared.qid))
        if answer.HasField("shared")
        else answer
    ),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_no_share_is_handed_on_where_one_is_not_what_it_should_be(what: str, world: World) -> None:
    told = await run(world, {"police": BROKEN[what]})

    assert (told.end, told.shares) == (research_pb2.STUDY_END_FAILED, [])
    code = "refused.budget" if what == "refused" else "refused.document"
    assert told.last["police"] == ("REFUSED", code)


async def test_no_share_is_handed_on_where_one_does_not_come(world: World) -> None:
    told = await run(world, {"police": keeps_back("shared")}, waits=SHORT)

    assert (told.end, told.shares) == (research_pb2.STUDY_END_FAILED, [])
    assert told.last["police"] == ("TIMED_OUT", "")
    assert all(state == ("SHARED", "") for name, state in told.last.items() if name != "police")


@pytest.mark.parametrize("changes", [{"qid": bytes(32)}, {"agency": "aa"}], ids=["query", "agency"])
async def test_a_prepare_for_another_query_or_agency_counts_for_nothing(
    changes: dict[str, object], world: World
) -> None:
    told = await run(world, {"hospital": prepares("hospital", **changes)})

    assert told.end == research_pb2.STUDY_END_NOT_STARTED
    assert told.last["hospital"] == ("REFUSED", "refused.document")
    assert {told.last[name] for name in NAMES if name != "hospital"} == {("RELEASED", "")}


@pytest.mark.parametrize("accepts", [False, True])
async def test_who_is_missing_ends_a_study_unless_that_is_accepted(accepts: bool, world: World) -> None:
    told = await run(world, {"police": refuses("prepared")}, accept_missing=accepts)

    if accepts:
        assert told.end == research_pb2.STUDY_END_OPENED
        assert sorted(told.shares) == ["hospital", "schools", "social"]
    else:
        assert told.end == research_pb2.STUDY_END_NOT_STARTED
        assert {told.last[name] for name in NAMES if name != "police"} == {("RELEASED", "")}
    assert told.last["police"] == ("REFUSED", "refused.budget")


async def test_too_few_operators_end_a_study_before_anybody_is_charged(tmp_path: Path) -> None:
    world = make_world(tmp_path, operators={"hospital": "shared", "police": "shared"})
    try:
        assert (await run(world)).end == research_pb2.STUDY_END_OPENED  # three operators
        told = await run(world, {"schools": refuses("prepared")}, accept_missing=True)
    finally:
        world.stop()

    assert told.end == research_pb2.STUDY_END_NOT_STARTED
    assert {told.last[name] for name in NAMES if name != "schools"} == {("RELEASED", "")}


async def test_a_study_that_too_few_holders_are_left_for_is_not_begun(world: World) -> None:
    holding = HeldTable("referral", ("police", "schools", "social"))
    world.restate(held=(holding, HeldTable("contact", ("social",), min_holders=1)))

    told = await run(world, {"schools": refuses("prepared")}, accept_missing=True)

    assert (told.end, told.shares) == (research_pb2.STUDY_END_NOT_STARTED, [])
    assert {told.last[name] for name in NAMES if name != "schools"} == {("RELEASED", "")}


async def test_a_node_that_is_away_is_told_of_at_once_and_waited_for_once_it_has_prepared(
    world: World,
) -> None:
    attending, told, query = Attending(), Told(), world.query()
    envelope = signed(query)
    asked = Asked(envelope, query, terms_of(query, query_id(envelope), world.agreement, world.roster))
    study = Study(asked, world.roster, attending, told.tell, WAITS)
    assert await study.prepare(accept_missing=False) is None
    assert set(told.last.values()) == {("UNREACHABLE", "")}

    told = Told()
    study = Study(asked, world.roster, attending, told.tell, WAITS)
    async with attended(world, attending, {}):
        fixed = await study.prepare(accept_missing=False)
    assert fixed is not None
    for name in NAMES:  # all streams end, and begin anew while shares are gathered
        attending.detach(attending._here[name])
    gathering = asyncio.create_task(study.gather(fixed))
    await asyncio.sleep(0)
    async with attended(world, attending, {}):
        assert await gathering
    assert sorted(told.shares) == sorted(NAMES)
