"""Found, not found, denied, for review, limited: one shape on the wire, one list of work at the custodian."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

import node.answering.custodian
import node.answering.heldkeys
import node.answering.redeem
import node.answering.reviewing
from elsewhere.asking import State
from elsewhere.clock import to_ms
from elsewhere.lookup import EvaluateReply, Head
from elsewhere.reviewing import ReviewDecision
from node.answering.answer import NOTHING
from node.answering.custodian import Custodian
from node.answering.guard import Guard
from node.answering.reviewing import Reviews
from node.asking import results
from node.asking.part import Part
from node.asking.questions import QuestionMaker, pseudonym
from node.asking.rounds import Exchange
from node.store.exchange import question
from node.store.reviewing import review
from tests.federation import Federation
from tests.privacy.people import DORRAN, QUILLA, YSOLDE, ask
from tests.privacy.transcript import Transcript, tapped

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNDER_REVIEW: dict[str, Any] = {"purpose": "CIN_ASSESSMENT", "asker": "somebody whose questions are reviewed"}
BUSY = "somebody who has asked much"


@dataclass
class Shared:
    made: Federation
    tap: Transcript


@dataclass(frozen=True)
class View:
    """What one lookup looked like to the gateway, and to a clock beside the custodian."""

    state: State
    frames: list[Any]
    steps: list[list[str]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    async with tapped(tmp_path_factory.mktemp("federation")) as (made, tap):
        # The deadline is what a custodian waits for whose second round never comes, as in one twin.
        rare = {"catalogue": {"tick_s": 60}, "lookup": {"deadline_ms": 4000, "retry_s": 900, "review_s": 900}}
        policy = {"denied_purposes": ["EARLY_HELP"], "review_purposes": ["CIN_ASSESSMENT"]}
        made.join("social", [], **rare)
        made.join("police", [QUILLA, DORRAN], policy=policy, **rare)
        await made.start("social", "police")
        await use_up_limit(made)
        yield Shared(made, tap)


async def use_up_limit(made: Federation) -> None:
    """Let somebody have asked as much within a minute as the agreement allows, and for an hour to come."""
    police, social = made.nodes["police"], made.nodes["social"]
    now = police.custodian.clock() + timedelta(hours=1)
    rows = [
        {
            "digest": number.to_bytes(32),
            "searcher": "social",
            "lookup_id": number.to_bytes(16),
            "nonce": number.to_bytes(16),
            "pseudonym": pseudonym(social.keys.view.ring.pseudonym, "police", b"person", BUSY),
            "received_ms": to_ms(now),
            "core": number.to_bytes(32),
            "counted": True,
            "ruling": "{}",
        }
        for number in range(1, 21)
    ]
    await police._writer.run(lambda connection: connection.execute(question.insert(), rows))


async def view(shared: Shared, child: Any, *, skew: timedelta = timedelta(0), **terms: Any) -> View:
    """Ask the police alone, and see."""
    shared.made.clocks["social"].by = skew
    try:
        lookup = await shared.tap.ask(shared.made, ask(child, "police", **terms))
    finally:
        shared.made.clocks["social"].by = timedelta(0)
    frames = [frame.shape for frame in shared.tap.lookup_frames]
    return View(lookup.state("police"), frames, shared.tap.operations.of("police"))


async def views(shared: Shared) -> dict[str, View]:
    """Every way in which a question can end at a custodian that answers."""
    return {
        "found": await view(shared, QUILLA),
        "not found": await view(shared, YSOLDE),
        "found by less": await view(shared, {**QUILLA, "family": "Vexborough"}, purpose="MASH_TRIAGE"),
        "perhaps": await view(shared, {**DORRAN, "given": "Baby"}),
        "denied": await view(shared, QUILLA, purpose="EARLY_HELP"),
        "denied, not known": await view(shared, YSOLDE, purpose="EARLY_HELP"),
        "review": await view(shared, QUILLA, purpose="CIN_ASSESSMENT"),
        "limited": await view(shared, QUILLA, asker=BUSY),
        "clock": await view(shared, QUILLA, skew=timedelta(minutes=10)),
    }


def assert_one_shape(seen: dict[str, View]) -> None:
    """The same frames, in number, order and size."""
    first = next(iter(seen.values())).frames
    assert len(first) == 8
    for name, one in seen.items():
        assert one.frames == first, name


def assert_same_work(seen: dict[str, View]) -> None:
    """The same operations at the custodian in both rounds, in the same order."""
    first = next(iter(seen.values())).steps
    assert [len(steps) > 20 for steps in first] == [True, True]
    for name, one in seen.items():
        assert [len(steps) for steps in one.steps] == [len(steps) for steps in first], name
        for steps, expected in zip(one.steps, first, strict=True):
            assert steps == expected, name


async def test_every_outcome_has_the_same_frames_and_the_same_work(shared: Shared) -> None:
    seen = await views(shared)

    assert {name: one.state for name, one in seen.items()} == {
        "found": State.KNOWN_CURRENT,
        "not found": State.NOTHING_RETURNED,
        "found by less": State.KNOWN_CURRENT,
        "perhaps": State.POSSIBLE,
        "denied": State.DENIED,
        "denied, not known": State.DENIED,
        "review": State.REVIEW,
        "limited": State.RATE_LIMITED,
        "clock": State.ERROR,
    }
    assert_one_shape(seen)
    assert_same_work(seen)


async def test_a_store_that_cannot_answer_has_the_shape_and_the_work_of_one_that_can(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {"found": await view(shared, QUILLA)}
    part = QuestionMaker.part

    def ahead(maker: QuestionMaker, *given: Any) -> Part:
        made = part(maker, *given)
        made.request = replace(made.request, held=Head(10**6, bytes(32)))
        return made

    monkeypatch.setattr(QuestionMaker, "part", ahead)
    seen |= {"set back": await view(shared, QUILLA), "set back, not known": await view(shared, YSOLDE)}

    assert [one.state for one in seen.values()] == [State.KNOWN_CURRENT, State.ERROR, State.ERROR]
    assert_one_shape(seen)
    assert_same_work(seen)


async def test_a_question_under_review_looks_like_any_other_at_each_asking(shared: Shared) -> None:
    social, police = shared.made.nodes["social"], shared.made.nodes["police"]
    with police._store.write() as connection:
        connection.execute(review.delete())
    seen = {"found": await view(shared, QUILLA)}
    asked = await shared.tap.ask(shared.made, ask(QUILLA, "police", **UNDER_REVIEW))
    frames = [frame.shape for frame in shared.tap.lookup_frames]
    seen["review"] = View(asked.state("police"), frames, shared.tap.operations.of("police"))
    with social._store.read() as connection:
        what = social._history.opening(connection, asked.started.lookup_id)
    assert what is not None

    queue = Reviews(police._store, police._writer, police.custodian.clock)

    async def again(lookup_id: bytes) -> View:
        shared.tap.clear()
        answer = await social.searcher.again(what, social.trust.roster.active("police"), lookup_id)
        shapes = [frame.shape for frame in shared.tap.lookup_frames]
        return View(answer.state, shapes, shared.tap.operations.of("police"))

    seen["not decided"] = await again(b"1" * 16)
    (one,) = queue.waiting()
    queue.decide(ReviewDecision(one.number, True, "called"), "reviewer")
    seen["released"] = await again(b"2" * 16)
    seen["used"] = await again(b"3" * 16)
    (one,) = queue.waiting()
    queue.decide(ReviewDecision(one.number, False, "called"), "reviewer")
    seen["refused"] = await again(b"4" * 16)

    states = [
        State.KNOWN_CURRENT,
        State.REVIEW,
        State.REVIEW,
        State.KNOWN_CURRENT,
        State.REVIEW,
        State.DENIED,
    ]
    assert [one.state for one in seen.values()] == states
    assert_one_shape(seen)
    assert_same_work(seen)


async def test_twin_a_queue_that_is_written_for_reviews_alone_is_caught(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = node.answering.reviewing.note

    def idle(connection: Any, came: Any, standing: Any) -> bool:
        return note(connection, came, standing) if came.ruling.code == "agreement.review" else True

    monkeypatch.setattr(node.answering.custodian, "note", idle)
    seen = {"found": await view(shared, QUILLA), "review": await view(shared, YSOLDE, **UNDER_REVIEW)}

    with pytest.raises(AssertionError, match="review"):
        assert_same_work(seen)


async def test_the_work_that_is_compared_is_all_there(shared: Shared) -> None:
    first, second = (await view(shared, QUILLA)).steps

    for step in ("open_sealed", "check_signature", "multiply_each of 40", "multiply_pairs of 40", "seal"):
        assert step in first, step
    assert first.count("is_element") == 40
    assert first[-1] == "commit"
    assert second.count("match key") == 64
    assert second.count("hash_to_group of 1") == 4
    assert second.count("append") == second.count("sign_receipt") == second.count("commit") == 1
    assert second[-1] == "commit"
    assert sum("INSERT INTO log" in step for step in second) == 1


async def test_twin_no_second_round_where_nothing_was_found_is_caught(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_reply = Exchange._first_reply

    async def hasty(exchange: Exchange, lookup: Any, carrier: Any, outcome: Any) -> None:
        part = lookup.parts[outcome.custodian]
        reply = part.open_reply(outcome.sealed)
        held = exchange._parts.peers.held("police", part.request.collection, part.request.epoch)
        if part.find_reveals(reply, held)[0]:
            await first_reply(exchange, lookup, carrier, outcome)
        else:
            nothing = results.absent(lookup.asked["police"], State.NOTHING_RETURNED, "")
            exchange._settle(lookup, nothing)

    monkeypatch.setattr(Exchange, "_first_reply", hasty)
    seen = {"found": await view(shared, QUILLA), "not found": await view(shared, YSOLDE)}
    assert shared.made.gateway is not None
    link = shared.made.gateway.links.get("social")
    assert link is not None
    shared.made.gateway.lookups.lost(link)  # which still awaits that round

    assert seen["not found"].state is State.NOTHING_RETURNED
    with pytest.raises(AssertionError, match="not found"):
        assert_one_shape(seen)
    with pytest.raises(AssertionError, match="not found"):
        assert_same_work(seen)


async def test_twin_a_denial_that_evaluates_nothing_is_caught(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = Custodian._reply

    def early(custodian: Custodian, request: Any, digest: bytes, verdict: Any, *given: Any) -> EvaluateReply:
        if verdict.permits:
            return reply(custodian, request, digest, verdict, *given)
        heads, _ = given
        published = heads[request.collection, request.epoch]
        return EvaluateReply(digest, verdict.ruling, request.elements, bytes(64), published)

    monkeypatch.setattr(Custodian, "_reply", early)
    seen = await views(shared)

    assert_one_shape(seen)
    with pytest.raises(AssertionError, match="denied"):
        assert_same_work(seen)


async def test_twin_a_denial_that_counts_no_limits_is_caught(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_limit = Guard.find_limit

    def early(guard: Guard, request: Any, *rest: Any) -> Any:
        return None if request.terms.purpose == "EARLY_HELP" else find_limit(guard, request, *rest)

    monkeypatch.setattr(Guard, "find_limit", early)
    seen = {"found": await view(shared, QUILLA), "denied": await view(shared, QUILLA, purpose="EARLY_HELP")}

    with pytest.raises(AssertionError, match="denied"):
        assert_same_work(seen)


async def test_twin_a_second_round_without_decoys_is_caught(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    redeem = node.answering.redeem.redeem

    def idle(
        connection: Any, rounds: node.answering.redeem.Both, **rest: Any
    ) -> node.answering.redeem.Redeemed:
        if rounds.asked.reveals and rounds.tier:
            return redeem(connection, rounds, **rest)
        return node.answering.redeem.Redeemed(NOTHING, (), "none")

    monkeypatch.setattr(node.answering.custodian, "redeem", idle)
    seen = {"found": await view(shared, QUILLA), "not found": await view(shared, YSOLDE)}

    assert_one_shape(seen)
    with pytest.raises(AssertionError, match="not found"):
        assert_same_work(seen)


async def test_twin_keys_derived_as_far_as_they_are_needed_are_caught(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.answering.heldkeys, "KEYS", 0)
    seen = {"found": await view(shared, QUILLA), "not found": await view(shared, YSOLDE)}

    with pytest.raises(AssertionError, match="not found"):
        assert_same_work(seen)


async def test_twin_a_reply_that_says_refused_is_caught(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {"found": await view(shared, QUILLA)}
    guard = shared.made.nodes["police"].custodian.guard
    stranger = replace(guard, trust=replace(guard.trust, me="elsewhere"))
    with monkeypatch.context() as patch:
        patch.setattr(Custodian, "guard", stranger)
        seen["denied"] = await view(shared, QUILLA)

    with pytest.raises(AssertionError, match="denied"):
        assert_one_shape(seen)
