"""A gateway that alters, drops, repeats, swaps and reorders what it relays: nothing wrong, nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta

import pytest

from elsewhere.asking import State
from elsewhere.wire.v1 import link_pb2
from node.answering.kept import forget
from tests.fault.rig import (
    Relay,
    altered,
    check_absent,
    check_healed,
    deadline,
    flipped,
    kept,
    sealed_of,
    somebody,
    until,
    what_is,
)
from tests.federation import EVA, KAI, Federation

pytestmark = pytest.mark.asyncio(loop_scope="module")
Frame = link_pb2.AttachResponse
MESSAGES = ("question", "reply", "redeem", "answer")
# ML-KEM ciphertext, X25519 share, length, message, padding, tag.
REGIONS = (0, 1087, 1088, 1119, 1120, 1200, -400, -17, -16, -1)


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> Relay:
    return Relay(monkeypatch)


def _concerns_police(agency: str, frame: Frame) -> bool:
    return agency == "police" or frame.outcome.custodian == "police"


def _route(number: int) -> bytes:
    """A route of the gateway's own making."""
    return bytes([number]) * 16


@pytest.mark.parametrize(
    ("what", "code", "counts", "logs"),
    [
        ("question", "request.refused", 0, 0),
        ("reply", "seal.broken", 1, 1),
        ("redeem", "request.refused", 1, 0),
        ("answer", "seal.broken", 1, 1),
    ],
)
async def test_one_bit_changed_anywhere_makes_an_error_of_that_custodian_alone(
    made: Federation, relay: Relay, what: str, code: str, counts: int, logs: int
) -> None:
    police = made.nodes["police"]
    for region in REGIONS:
        before = kept(police)

        def flip(agency: str, frame: Frame, at: int = region) -> Iterable[Frame]:
            if what_is(frame) == what and _concerns_police(agency, frame):
                return (altered(frame, sealed=flipped(sealed_of(frame), at)),)
            return (frame,)

        relay.down = flip
        found = await made.ask("social", somebody())
        check_absent(found, police=State.ERROR)
        assert (found.answers["police"].code, found.answers["police"].remedy != "") == (code, True)
        # A reply that did not open is redeemed all the same, so that the gateway learns nothing from it.
        assert kept(police) == (before[0] + counts, before[1] + logs)
    relay.down = lambda agency, frame: (frame,)
    await check_healed(made)


@pytest.mark.parametrize("what", MESSAGES)
async def test_a_dropped_frame_is_a_time_out_and_the_rest_is_heard(
    made: Federation, relay: Relay, what: str
) -> None:
    deadline(made.nodes["social"], 1500)
    relay.down = lambda to, f: () if what_is(f) == what and _concerns_police(to, f) else (f,)
    found = await made.ask("social", somebody())
    deadline(made.nodes["social"], 20_000)
    check_absent(found, police=State.TIMED_OUT)
    relay.down = lambda agency, frame: (frame,)
    await check_healed(made)


async def test_every_frame_sent_twice_gives_one_answer_and_is_counted_once(
    made: Federation, relay: Relay
) -> None:
    police = made.nodes["police"]
    before = kept(police)
    relay.down = lambda agency, frame: (frame, frame) if what_is(frame) in MESSAGES else (frame,)
    found = await made.ask("social", somebody())
    check_absent(found, police=State.KNOWN_CURRENT)
    await until(lambda: len([to for to, _ in relay.replies if to == "police"]) == 4)
    assert kept(police) == (before[0] + 1, before[1] + 1)
    said = [reply for to, reply in relay.replies if to == "police"]
    assert not any(reply.refused for reply in said)
    # Both times the very same bytes, in both rounds.
    assert len({reply.sealed for reply in said}) == 2
    relay.down = lambda agency, frame: (frame,)
    await check_healed(made)


async def test_a_message_kept_and_sent_again_gets_the_same_bytes_until_it_gets_nothing(
    made: Federation, relay: Relay
) -> None:
    police = made.nodes["police"]
    await made.ask("social", somebody())
    first = {what: relay.of(what, "police")[-1] for what in ("question", "redeem")}
    before = kept(police)
    for number, frame in enumerate(first.values()):
        again = await relay.hand(made, altered(frame, route=_route(number)))
        assert again.sealed in [reply.sealed for to, reply in relay.replies[:-1] if to == "police"]
    assert kept(police) == before

    # After ten minutes the replies are gone, whether or not they have been removed yet.
    made.clocks["police"].by = timedelta(minutes=10, seconds=5)
    for number, frame in enumerate(first.values()):
        assert (await relay.hand(made, altered(frame, route=_route(10 + number)))).refused
    assert kept(police) == before
    # After days, when even the nonce is forgotten, the question's own time speaks against it.
    made.clocks["police"].by = timedelta(days=5)
    with police._store.write() as connection:
        forget(connection, made.clocks["police"]())
    emptied = kept(police)
    assert await police.answering.handle(altered(first["question"], route=_route(20)).dispatch) is None
    assert (await relay.hand(made, altered(first["redeem"], route=_route(21)))).refused
    assert kept(police) == emptied
    made.clocks["police"].by = timedelta(0)
    await check_healed(made)


async def test_what_belongs_to_another_place_does_not_open(made: Federation, relay: Relay) -> None:
    police = made.nodes["police"]
    await made.ask("social", somebody())
    question, redeem = relay.of("question", "police")[-1], relay.of("redeem", "police")[-1]
    theirs = relay.of("question", "hospital")[-1]
    before = kept(police)
    wrong = [
        altered(question, searcher="hospital"),
        altered(question, lookup_id=bytes(16)),
        altered(question, sealed=sealed_of(theirs)),
        altered(question, searcher="nobody-at-all"),
        altered(question, searcher="police"),
        altered(redeem, searcher="hospital"),
        altered(redeem, lookup_id=bytes(16)),
        altered(redeem, lookup_id=theirs.dispatch.lookup_id),
    ]
    for number, frame in enumerate(wrong):
        assert (await relay.hand(made, altered(frame, route=_route(30 + number)))).refused
    assert kept(police) == before
    await check_healed(made)


@pytest.mark.parametrize("what", ["reply", "answer"])
async def test_replies_swapped_between_custodians_open_nowhere(
    made: Federation, relay: Relay, what: str
) -> None:
    waiting: list[Frame] = []

    def swap(agency: str, frame: Frame) -> Iterable[Frame]:
        if what_is(frame) != what:
            return (frame,)
        waiting.append(frame)
        if len(waiting) < 2:
            return ()
        one, other = waiting
        return (altered(one, sealed=sealed_of(other)), altered(other, sealed=sealed_of(one)))

    relay.down = swap
    found = await made.ask("social", somebody())
    check_absent(found, police=State.ERROR, hospital=State.ERROR)
    assert {answer.code for answer in found.answers.values()} == {"seal.broken"}
    relay.down = lambda agency, frame: (frame,)
    await check_healed(made)


@pytest.mark.parametrize("what", ["reply", "answer"])
async def test_a_reply_about_another_child_is_never_given_for_this_one(
    made: Federation, relay: Relay, what: str
) -> None:
    await made.ask("social", somebody(row=KAI))
    kept_back = {f.outcome.custodian: f for f in relay.of(what, "social")[-2:]}

    def instead(agency: str, frame: Frame) -> Iterable[Frame]:
        if what_is(frame) != what:
            return (frame,)
        return (altered(frame, sealed=sealed_of(kept_back[frame.outcome.custodian])),)

    relay.down = instead
    found = await made.ask("social", somebody(row=EVA))
    check_absent(found, police=State.ERROR, hospital=State.ERROR)
    assert {answer.code for answer in found.answers.values()} == {"seal.broken"}
    relay.down = lambda agency, frame: (frame,)
    await check_healed(made)


async def test_rounds_out_of_order_are_ignored_or_refused_and_the_right_ones_still_count(
    made: Federation, relay: Relay
) -> None:
    police = made.nodes["police"]
    await made.ask("social", somebody(row=KAI))
    old = {what: relay.of(what)[-1] for what in ("redeem", "answer")}
    old_redeem = relay.of("redeem", "police")[-1]
    before = kept(police)

    def out_of_order(agency: str, frame: Frame) -> Iterable[Frame]:
        if what_is(frame) == "question" and agency == "police":
            # A Redeem before its question, on a route of the gateway's own.
            early = altered(old_redeem, route=_route(50), lookup_id=frame.dispatch.lookup_id)
            return (early, frame)
        if what_is(frame) == "reply":
            # An answer before the reply, then the reply, then the reply of round one as one of round two.
            to = {"ask_id": frame.outcome.ask_id, "custodian": frame.outcome.custodian}
            return (altered(old["answer"], **to), frame)
        return (frame,)

    relay.down = out_of_order
    found = await made.ask("social", somebody())
    check_absent(found, police=State.KNOWN_CURRENT)
    assert [r.refused for _, r in relay.replies if r.route == _route(50)] == [True]
    assert kept(police) == (before[0] + 1, before[1] + 1)
    relay.down = lambda agency, frame: (frame,)
    await check_healed(made)


async def test_a_frame_cut_short_ends_the_link_and_the_next_lookup_is_whole(
    made: Federation, relay: Relay
) -> None:
    relay.down = lambda to, f: (
        (altered(f, sealed=sealed_of(f)[:-1]),) if what_is(f) == "question" and to == "police" else (f,)
    )
    found = await made.ask("social", somebody())
    check_absent(found, police=State.UNREACHABLE)
    relay.down = lambda to, f: (altered(f, sealed=sealed_of(f)[:-1]),) if what_is(f) == "reply" else (f,)
    await made.settle()
    found = await made.ask("social", somebody())
    check_absent(found, police=State.UNREACHABLE, hospital=State.UNREACHABLE)
    relay.down = lambda agency, frame: (frame,)
    await check_healed(made)


async def test_frames_of_lookups_that_are_over_or_were_never_asked_are_ignored(
    made: Federation, relay: Relay
) -> None:
    assert made.gateway is not None
    await made.ask("social", somebody())
    link = made.gateway.links.get("social")
    assert link is not None
    for frame in relay.of("answer", "social")[-2:]:
        link.send(frame)
        link.send(altered(frame, ask_id=bytes(16)))
        link.send(altered(frame, custodian="schools"))
    strange = link_pb2.AttachResponse()
    strange.ParseFromString(b"\xfa\x07\x03abc")  # field 127, of a version to come
    link.send(strange)
    found = await asyncio.wait_for(made.ask("social", somebody()), 10)
    check_absent(found, police=State.KNOWN_CURRENT)
