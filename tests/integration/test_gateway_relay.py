"""Both rounds over real mTLS: a fake searcher, fake custodians, random bytes of the constant sizes."""

from __future__ import annotations

import secrets
from pathlib import Path

import grpc
import pytest

from elsewhere.wire.convert.link import REPLY_BYTES, REQUEST_BYTES
from elsewhere.wire.v1 import common_pb2, link_pb2, link_pb2_grpc
from tests.gateway_support import (
    Peer,
    ask,
    attach,
    attached,
    channel_to,
    found,
    join,
    question,
    redeem,
    reply_to,
    running,
)


async def relay_both_rounds(searcher: Peer, custodian: Peer) -> None:
    """One whole lookup of one custodian, every byte compared."""
    first, second = secrets.token_bytes(REQUEST_BYTES[1]), secrets.token_bytes(REQUEST_BYTES[2])
    asked = question(custodian.agency_id, first)
    lookup = ask(asked)
    await searcher.say(ask=lookup)
    for round_, sealed in ((1, first), (2, second)):
        if round_ == 2:
            await searcher.say(redeem=redeem(lookup.ask_id, custodian.agency_id, second))
        dispatch = await custodian.dispatch()
        assert (dispatch.round, dispatch.searcher) == (round_, searcher.agency_id)
        assert (dispatch.sealed, dispatch.lookup_id) == (sealed, asked.lookup_id)
        assert 0 < dispatch.remaining_ms <= 20_000
        reply = reply_to(dispatch)
        await custodian.say(reply=reply)
        outcome = await searcher.outcome()
        assert (outcome.ask_id, outcome.custodian) == (lookup.ask_id, custodian.agency_id)
        assert (outcome.round, outcome.sealed) == (round_, reply.sealed)
        assert outcome.non_answer == common_pb2.NON_ANSWER_UNSPECIFIED


async def test_both_rounds_pass_unaltered_and_leave_nothing(tmp_path: Path) -> None:
    found(tmp_path)
    social, police = join(tmp_path, "social"), join(tmp_path, "police")
    async with running(tmp_path) as gateway, attached(gateway, social, police) as (searcher, custodian):
        await relay_both_rounds(searcher, custodian)
        await relay_both_rounds(custodian, searcher)

        assert gateway.lookups.under_way == gateway.lookups.open_routes == 0
        assert [link.waiting for link in gateway.links.all()] == [0, 0]
        assert not gateway.lookups.ignored


async def test_a_custodian_may_be_in_round_two_while_another_is_in_round_one(tmp_path: Path) -> None:
    found(tmp_path)
    agencies = [join(tmp_path, name) for name in ("social", "police", "schools")]
    async with running(tmp_path) as gateway, attached(gateway, *agencies) as (searcher, quick, slow):
        lookup = ask(question("police"), question("schools"))
        await searcher.say(ask=lookup)
        early, late = await quick.dispatch(), await slow.dispatch()
        assert early.route != late.route
        await quick.say(reply=reply_to(early))
        assert (await searcher.outcome()).custodian == "police"
        await searcher.say(redeem=redeem(lookup.ask_id, "police"))
        await quick.say(reply=reply_to(await quick.dispatch()))
        assert (await searcher.outcome()).round == 2
        await slow.say(reply=reply_to(late))
        outcome = await searcher.outcome()
        assert (outcome.custodian, outcome.round) == ("schools", 1)


async def test_the_deadline_ends_every_custodian_in_the_round_it_is_in(tmp_path: Path) -> None:
    found(tmp_path)
    agencies = [join(tmp_path, name) for name in ("social", "police", "schools", "hospital")]
    async with running(tmp_path) as gateway, attached(gateway, *agencies) as peers:
        searcher, silent, unredeemed, redeemed = peers
        lookup = ask(question("police"), question("schools"), question("hospital"), deadline_ms=1500)
        await searcher.say(ask=lookup)
        await silent.dispatch()
        await unredeemed.say(reply=reply_to(await unredeemed.dispatch()))
        await redeemed.say(reply=reply_to(await redeemed.dispatch()))
        await searcher.outcome()
        await searcher.outcome()
        await searcher.say(redeem=redeem(lookup.ask_id, "hospital"))
        late = await redeemed.dispatch()

        ends = {o.custodian: o for o in [await searcher.outcome() for _ in range(3)]}

        assert {name: outcome.round for name, outcome in ends.items()} == {
            "police": 1,
            "schools": 2,
            "hospital": 2,
        }
        assert {o.non_answer for o in ends.values()} == {common_pb2.NON_ANSWER_TIMED_OUT}
        assert gateway.lookups.under_way == gateway.lookups.open_routes == 0
        await redeemed.say(reply=reply_to(late))
        await relay_both_rounds(searcher, redeemed)  # in order behind the late reply, which was dropped
        assert gateway.lookups.ignored == {"reply on no route": 1}


async def test_a_custodian_without_a_link_is_unreachable_since_it_left(tmp_path: Path) -> None:
    found(tmp_path)
    social, police, _ = (join(tmp_path, name) for name in ("social", "police", "schools"))
    async with running(tmp_path) as gateway, attached(gateway, social) as (searcher,):
        async with attached(gateway, police) as (custodian,):
            lookup = ask(question("police"))
            await searcher.say(ask=lookup)
            await custodian.dispatch()
        while_asked = await searcher.outcome()
        await searcher.say(ask=ask(question("police"), question("schools")))
        left, never = await searcher.outcome(), await searcher.outcome()

        for outcome in (while_asked, left, never):
            assert outcome.non_answer == common_pb2.NON_ANSWER_UNREACHABLE
            assert outcome.round == 1
        assert while_asked.since_ms == left.since_ms > 0
        assert never.since_ms == 0


async def test_a_drained_custodian_finishes_what_it_has_and_takes_nothing_new(tmp_path: Path) -> None:
    found(tmp_path)
    social, police = join(tmp_path, "social"), join(tmp_path, "police")
    async with running(tmp_path) as gateway, attached(gateway, social, police) as (searcher, custodian):
        lookup = ask(question("police"))
        await searcher.say(ask=lookup)
        dispatch = await custodian.dispatch()
        await custodian.say(drain=link_pb2.Drain(draining=True))
        await custodian.say(reply=reply_to(dispatch))
        await searcher.outcome()
        await searcher.say(ask=ask(question("police")))
        refused = await searcher.outcome()
        await searcher.say(redeem=redeem(lookup.ask_id, "police"))
        await custodian.say(reply=reply_to(await custodian.dispatch()))
        assert (await searcher.outcome()).round == 2
        assert refused.non_answer == common_pb2.NON_ANSWER_MAINTENANCE
        assert refused.since_ms > 0
        await custodian.say(drain=link_pb2.Drain(draining=False))
        await custodian.say(beat=link_pb2.Beat(sequence=1))
        await relay_both_rounds(custodian, searcher)  # in order behind the drain's end
        await relay_both_rounds(searcher, custodian)


async def test_a_reply_of_another_agency_is_ignored_and_the_right_one_still_counts(tmp_path: Path) -> None:
    found(tmp_path)
    agencies = [join(tmp_path, name) for name in ("social", "police", "schools")]
    async with running(tmp_path) as gateway, attached(gateway, *agencies) as (searcher, custodian, other):
        await searcher.say(ask=ask(question("police")))
        dispatch = await custodian.dispatch()
        await other.say(reply=reply_to(dispatch))
        await relay_both_rounds(other, custodian)  # in order behind the foreign reply
        await custodian.say(reply=reply_to(dispatch, bytes(REPLY_BYTES[1])))
        await custodian.say(reply=reply_to(dispatch))  # the route is used up
        assert (await searcher.outcome()).sealed == bytes(REPLY_BYTES[1])
        await relay_both_rounds(custodian, other)
        assert gateway.lookups.ignored == {"reply of another agency": 1, "reply on no route": 1}


async def test_what_breaks_the_order_of_a_lookup_is_refused(tmp_path: Path) -> None:
    found(tmp_path)
    agencies = [join(tmp_path, name) for name in ("social", "police", "schools")]
    async with running(tmp_path) as gateway, attached(gateway, *agencies) as (searcher, custodian, _):
        lookup = ask(question("police"))
        await searcher.say(ask=lookup)
        dispatch = await custodian.dispatch()
        await searcher.say(ask=ask(question("schools"), ask_id=lookup.ask_id))
        await searcher.say(redeem=redeem(lookup.ask_id, "police"))  # before the first reply
        await searcher.say(redeem=redeem(lookup.ask_id, "schools"))  # not asked
        refused = [await searcher.outcome() for _ in range(3)]
        await custodian.say(reply=reply_to(dispatch))
        await searcher.outcome()
        await searcher.say(redeem=redeem(lookup.ask_id, "police"))
        await searcher.say(redeem=redeem(lookup.ask_id, "police"))  # a second time
        refused.append(await searcher.outcome())
        await custodian.say(reply=reply_to(await custodian.dispatch()))
        assert (await searcher.outcome()).sealed

        assert [(o.custodian, o.round) for o in refused] == [
            ("schools", 1),
            ("police", 2),
            ("schools", 2),
            ("police", 2),
        ]
        assert {o.non_answer for o in refused} == {common_pb2.NON_ANSWER_REFUSED}


async def test_a_refusal_of_the_custodian_is_an_outcome(tmp_path: Path) -> None:
    found(tmp_path)
    social, police = join(tmp_path, "social"), join(tmp_path, "police")
    async with running(tmp_path) as gateway, attached(gateway, social, police) as (searcher, custodian):
        await searcher.say(ask=ask(question("police")))
        dispatch = await custodian.dispatch()
        await custodian.say(reply=link_pb2.Reply(route=dispatch.route, refused=True))
        assert (await searcher.outcome()).non_answer == common_pb2.NON_ANSWER_REFUSED
        assert gateway.lookups.under_way == 0


async def test_more_lookups_than_an_agency_may_have_are_turned_away(tmp_path: Path) -> None:
    found(tmp_path, lookup={"of_agency": 1, "of_all": 8})
    social, police = join(tmp_path, "social"), join(tmp_path, "police")
    async with running(tmp_path) as gateway, attached(gateway, social, police) as (searcher, custodian):
        await searcher.say(ask=ask(question("police")))
        dispatch = await custodian.dispatch()
        await searcher.say(ask=ask(question("police")))
        assert (await searcher.outcome()).non_answer == common_pb2.NON_ANSWER_OVERLOADED
        await custodian.say(reply=link_pb2.Reply(route=dispatch.route, refused=True))
        await searcher.outcome()
        await relay_both_rounds(searcher, custodian)


@pytest.mark.parametrize(
    "frame",
    [
        {"ask": ask(question("police", b"x"))},
        {"reply": link_pb2.Reply(route=b"r" * 16, sealed=b"short")},
        {"redeem": redeem(b"short", "police")},
    ],
)
async def test_a_frame_of_a_wrong_size_ends_the_link(tmp_path: Path, frame: dict[str, object]) -> None:
    found(tmp_path)
    social = join(tmp_path, "social")
    async with running(tmp_path) as gateway, attached(gateway, social) as (peer,):
        await peer.say(**frame)
        assert await peer.end() == (grpc.StatusCode.INVALID_ARGUMENT, "frame.malformed")
        assert gateway.links.all() == ()


async def test_a_frame_over_the_bound_does_not_get_through(tmp_path: Path) -> None:
    found(tmp_path)
    social = join(tmp_path, "social")
    async with running(tmp_path) as gateway:
        channel = grpc.aio.secure_channel(
            f"127.0.0.1:{gateway.port}",
            grpc.ssl_channel_credentials(
                social.admission.anchor.tls_ca_pem, social.tls_pem, social.admission.certificate_pem
            ),
        )
        async with channel:
            peer = await attach(channel, "social")
            await peer.say(ask=ask(question("police", bytes(3 * 1024 * 1024))))
            code, _ = await peer.end()
            assert code == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_newer_link_of_a_process_takes_over_and_is_asked_what_was_open(tmp_path: Path) -> None:
    found(tmp_path)
    social, police = join(tmp_path, "social"), join(tmp_path, "police")
    async with running(tmp_path) as gateway, attached(gateway, social, police) as (searcher, older):
        await searcher.say(ask=ask(question("police")))
        dispatch = await older.dispatch()
        async with channel_to(gateway, police) as channel:
            newer = await attach(channel, "police")
            assert await older.end() == (grpc.StatusCode.ABORTED, "link.replaced")
            again = await newer.dispatch()
            assert (again.route, again.sealed) == (dispatch.route, dispatch.sealed)
            await newer.say(reply=reply_to(again))
            assert (await searcher.outcome()).sealed
            await relay_both_rounds(searcher, newer)


async def test_several_processes_of_an_agency_share_its_questions_and_outlive_each_other(
    tmp_path: Path,
) -> None:
    found(tmp_path, link={"of_agency": 2})
    social, police = join(tmp_path, "social"), join(tmp_path, "police")
    async with (
        running(tmp_path) as gateway,
        attached(gateway, social) as (searcher,),
        channel_to(gateway, police) as one_channel,
        channel_to(gateway, police) as two_channel,
        channel_to(gateway, police) as three_channel,
    ):
        one = await attach(one_channel, "police", process="one")
        two = await attach(two_channel, "police", process="two")
        call = link_pb2_grpc.LinkServiceStub(three_channel).Attach()  # type: ignore[call-arg]
        three = Peer("police", call)
        await three.say(hello=link_pb2.Hello(protocol_min=1, protocol_max=1, process="three"))
        assert await three.end() == (grpc.StatusCode.RESOURCE_EXHAUSTED, "link.too_many")

        # Each is asked while the other has a question at hand; the second round goes where the first went.
        lookups = [ask(question("police")), ask(question("police"))]
        for lookup in lookups:
            await searcher.say(ask=lookup)
        first, second = await one.dispatch(), await two.dispatch()
        await one.say(reply=reply_to(first))
        assert (await searcher.outcome()).sealed
        await searcher.say(redeem=redeem(lookups[0].ask_id, "police"))
        last = await one.dispatch()
        assert last.round == 2

        # What the second had at hand is the first one's once the second is gone; no time is lost over it.
        two.call.cancel()
        taken_over = await one.dispatch()
        assert (taken_over.route, taken_over.sealed) == (second.route, second.sealed)
        for dispatch in (last, taken_over):
            await one.say(reply=reply_to(dispatch))
            assert (await searcher.outcome()).sealed
        assert gateway.links.absence("police") is None


async def test_a_custodian_that_stops_reading_holds_up_nobody_else(tmp_path: Path) -> None:
    found(tmp_path, link={"beat_ms": 2500, "queue_frames": 16}, lookup={"of_agency": 4096, "of_all": 4096})
    agencies = [join(tmp_path, name) for name in ("social", "police", "schools")]
    async with running(tmp_path) as gateway, attached(gateway, *agencies) as (searcher, _, other):
        reasons: list[int] = []
        # The police read nothing and send no beats: first their queue is full, then their link is ended.
        while common_pb2.NON_ANSWER_UNREACHABLE not in reasons:
            lookup = ask(question("police"), question("schools"))
            await searcher.say(ask=lookup)
            dispatch = await other.dispatch()
            await other.say(reply=link_pb2.Reply(route=dispatch.route, refused=True))
            while True:
                outcome = await searcher.outcome()
                if outcome.custodian == "schools":
                    break
                reasons.append(outcome.non_answer)
        assert common_pb2.NON_ANSWER_OVERLOADED in reasons
        assert gateway.links.get("police") is None
