"""Lookups without a network: every part ends once, with a reason, and nothing is left."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elsewhere.clock import to_ms
from elsewhere.errors import FrameMalformed
from elsewhere.wire.convert.link import REPLY_BYTES, REQUEST_BYTES, check_from_gateway
from elsewhere.wire.v1 import common_pb2, link_pb2
from gateway.links import Link, Links
from gateway.lookups import Limits, Lookups
from tests.gateway_timing import FakeTiming

TIMED_OUT = common_pb2.NON_ANSWER_TIMED_OUT
AGENCIES = ("social", "police", "schools", "hospital")


def numbered() -> Iterator[bytes]:
    """Ids that never repeat."""
    return (hashlib.sha256(b"%d" % n).digest()[:16] for n in count())


class Bench:
    """Four attached agencies and what each has been sent."""

    def __init__(
        self, timing: FakeTiming, *, limits: Limits | None = None, capacity: int = 64, owed: int = 64
    ) -> None:
        self.timing, self.ids, self.capacity, self.owed = timing, numbered(), capacity, owed
        self.links = Links(
            timing, beat_ms=60_000, last_seen={}, left=lambda link: self.lookups.lost(link), most=3
        )
        routes = numbered()
        self.lookups = Lookups(
            self.links,
            timing,
            random=lambda size: b"r" + next(routes)[1:size],
            limits=limits or Limits(of_agency=8, of_all=16),
        )
        for agency in AGENCIES:
            self.attach(agency)

    def attach(self, agency: str, process: str = "") -> Link:
        link = Link(agency, capacity=self.capacity, owed=self.owed, process=process)
        self.links.attach(link)
        return link

    def sent(self, agency: str) -> list[link_pb2.AttachResponse]:
        """Take what waits for an agency; every frame keeps the rules."""
        link = self.links.get(agency)
        assert link is not None
        found = list(link._waiting)
        link._waiting.clear()
        for frame in found:
            check_from_gateway(frame)
        return found

    def outcomes(self, agency: str = "social") -> list[link_pb2.Outcome]:
        return [frame.outcome for frame in self.sent(agency) if frame.HasField("outcome")]

    def dispatch(self, agency: str) -> link_pb2.Dispatch:
        (frame,) = self.sent(agency)
        return frame.dispatch

    def ask(self, *custodians: str, searcher: str = "social", deadline_ms: int = 3000) -> bytes:
        questions = [
            link_pb2.Question(custodian=custodian, lookup_id=next(self.ids), sealed=bytes(REQUEST_BYTES[1]))
            for custodian in custodians
        ]
        ask_id = next(self.ids)
        frame = link_pb2.Ask(ask_id=ask_id, deadline_ms=deadline_ms, questions=questions)
        link = self.links.get(searcher)
        assert link is not None
        self.lookups.ask(link, frame)
        return ask_id

    def redeem(self, ask_id: bytes, custodian: str) -> None:
        frame = link_pb2.Redeem(ask_id=ask_id, custodian=custodian, sealed=bytes(REQUEST_BYTES[2]))
        self.lookups.redeem("social", frame)

    def reply(self, agency: str, dispatch: link_pb2.Dispatch) -> None:
        sealed = bytes(REPLY_BYTES[dispatch.round])
        self.lookups.reply(agency, link_pb2.Reply(route=dispatch.route, sealed=sealed))

    def assert_nothing_left(self) -> None:
        assert self.lookups.under_way == self.lookups.open_routes == 0
        assert not self.lookups._by_searcher
        assert self.timing.pending == len(self.links.all())  # one beat each; no deadline


@pytest.fixture
def bench(timing: FakeTiming) -> Bench:
    return Bench(timing)


def test_the_time_left_is_told_to_each_round(bench: Bench) -> None:
    ask_id = bench.ask("police", deadline_ms=3000)
    first = bench.dispatch("police")
    bench.timing.advance(1)
    bench.reply("police", first)
    bench.redeem(ask_id, "police")

    assert first.remaining_ms == 3000
    assert bench.dispatch("police").remaining_ms == 2000


def test_one_deadline_covers_both_rounds(bench: Bench) -> None:
    ask_id = bench.ask("police", "schools", "hospital")
    bench.timing.advance(2.9)
    for agency in ("schools", "hospital"):
        bench.reply(agency, bench.dispatch(agency))
    bench.redeem(ask_id, "hospital")
    bench.outcomes()
    bench.timing.advance(0.2)

    ended = [(o.custodian, o.round, o.non_answer) for o in bench.outcomes()]
    assert ended == [("police", 1, TIMED_OUT), ("schools", 2, TIMED_OUT), ("hospital", 2, TIMED_OUT)]
    bench.assert_nothing_left()


def test_a_custodian_that_leaves_ends_its_open_rounds_and_no_other(bench: Bench) -> None:
    ask_id = bench.ask("police", "schools")
    bench.reply("schools", bench.dispatch("schools"))
    bench.outcomes()
    bench.redeem(ask_id, "schools")
    for agency in ("police", "schools"):
        link = bench.links.get(agency)
        assert link is not None
        link.end(None)

    ended = {o.custodian: (o.round, o.non_answer, o.since_ms) for o in bench.outcomes()}
    since = to_ms(bench.timing.utc_now())
    assert ended == {
        "police": (1, common_pb2.NON_ANSWER_UNREACHABLE, since),
        "schools": (2, common_pb2.NON_ANSWER_UNREACHABLE, since),
    }
    bench.assert_nothing_left()


def test_a_custodian_that_leaves_between_the_rounds_is_unreachable_in_the_second(bench: Bench) -> None:
    ask_id = bench.ask("police")
    bench.reply("police", bench.dispatch("police"))
    link = bench.links.get("police")
    assert link is not None
    link.end(None)
    bench.outcomes()

    bench.redeem(ask_id, "police")

    (ended,) = bench.outcomes()
    assert (ended.round, ended.non_answer) == (2, common_pb2.NON_ANSWER_UNREACHABLE)
    bench.assert_nothing_left()


@pytest.mark.parametrize("is_drained", [False, True])
def test_another_process_is_asked_what_a_lost_one_left_open(bench: Bench, is_drained: bool) -> None:
    first = bench.links.get("police")
    assert first is not None
    bench.ask("police", "schools")
    asked = bench.dispatch("police")
    second = bench.attach("police", "second")
    bench.timing.advance(1)
    bench.links.drain(second, draining=is_drained)
    first.end(None)

    if is_drained:
        (ended,) = bench.outcomes()
        assert ended.non_answer == common_pb2.NON_ANSWER_MAINTENANCE
        return
    again = bench.dispatch("police")
    assert (again.route, again.sealed) == (asked.route, asked.sealed)
    assert (asked.remaining_ms, again.remaining_ms) == (3000, 2000)
    bench.reply("police", again)
    bench.reply("police", asked)  # of the one whose link was lost, had it come back

    assert [o.round for o in bench.outcomes()] == [1]
    assert bench.lookups.ignored == {"reply on no route": 1}


def test_questions_go_to_the_process_with_least_at_hand(bench: Bench) -> None:
    first, second = bench.links.get("police"), bench.attach("police", "second")
    assert first is not None
    for _ in range(4):
        bench.ask("police")

    assert [first.waiting, second.waiting] == [2, 2]
    bench.timing.advance(3)
    assert [first.at_hand, second.at_hand] == [0, 0]


def test_a_process_whose_queue_is_full_leaves_questions_to_the_other(timing: FakeTiming) -> None:
    bench = Bench(timing, capacity=1)
    bench.attach("police", "second")
    for _ in range(3):
        bench.ask("police")

    assert [o.non_answer for o in bench.outcomes()] == [common_pb2.NON_ANSWER_OVERLOADED]


def test_what_is_not_kept_for_another_process_ends_as_overloaded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.lookups.KEPT", 0)
    first = bench.links.get("police")
    assert first is not None
    bench.ask("police")
    bench.attach("police", "second")
    first.end(None)

    assert [o.non_answer for o in bench.outcomes()] == [common_pb2.NON_ANSWER_OVERLOADED]
    bench.lookups.ignored.clear()


def test_outcomes_go_down_the_link_that_asked(bench: Bench) -> None:
    asker = bench.links.get("social")
    assert asker is not None
    bench.ask("police")
    other = bench.attach("social", "second")
    bench.reply("police", bench.dispatch("police"))

    assert [asker.waiting, other.waiting] == [1, 0]
    asker.end(None)
    assert bench.lookups.under_way == 0


def test_a_searcher_that_leaves_takes_its_lookups_with_it(bench: Bench) -> None:
    bench.ask("police", "schools")
    dispatch = bench.dispatch("police")
    link = bench.links.get("social")
    assert link is not None
    link.end(None)

    bench.assert_nothing_left()
    bench.reply("police", dispatch)
    assert bench.lookups.ignored == {"reply on no route": 1}


def test_a_custodian_that_reads_nothing_is_overloaded_and_the_others_are_asked(timing: FakeTiming) -> None:
    bench = Bench(timing, capacity=1)
    bench.ask("police", searcher="hospital")
    bench.ask("police", "schools")

    (ended,) = bench.outcomes()
    assert (ended.custodian, ended.non_answer) == ("police", common_pb2.NON_ANSWER_OVERLOADED)
    assert bench.dispatch("schools").searcher == "social"


def test_a_searcher_dropped_while_it_is_being_told_leaves_nothing(timing: FakeTiming) -> None:
    bench = Bench(timing, capacity=1, owed=1)
    for agency in ("police", "schools"):
        link = bench.links.get(agency)
        assert link is not None
        link.end(None)

    bench.ask("police", "schools", "nobody", "hospital")  # its queue takes two of three non-answers

    assert bench.links.get("social") is None
    assert bench.sent("hospital") == []
    bench.assert_nothing_left()


@pytest.mark.parametrize(("of_agency", "of_all"), [(1, 16), (2, 2)])
def test_limits_turn_lookups_away_until_one_ends(timing: FakeTiming, of_agency: int, of_all: int) -> None:
    bench = Bench(timing, limits=Limits(of_agency=of_agency, of_all=of_all))
    bench.ask("police")
    if of_all == 2:
        bench.ask("police", searcher="hospital")
    bench.ask("schools", "hospital")
    assert [o.non_answer for o in bench.outcomes()] == [common_pb2.NON_ANSWER_OVERLOADED] * 2
    bench.timing.advance(3)
    bench.outcomes()
    bench.ask("schools")
    assert bench.outcomes() == []


def test_limits_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="of_agency"):
        Limits(of_agency=5, of_all=4)


def test_a_gateway_going_down_takes_nothing_new_and_says_when_it_is_idle(bench: Bench) -> None:
    seen: list[str] = []
    ask_id = bench.ask("police")
    bench.lookups.is_closing = True
    bench.lookups.when_idle(lambda: seen.append("idle"))
    bench.ask("schools")
    (turned_away,) = bench.outcomes()
    assert turned_away.non_answer == common_pb2.NON_ANSWER_OVERLOADED
    bench.reply("police", bench.dispatch("police"))
    bench.redeem(ask_id, "police")
    assert seen == []
    bench.reply("police", bench.dispatch("police"))
    assert seen == ["idle"]
    bench.lookups.when_idle(lambda: seen.append("still"))
    assert seen == ["idle", "still"]


def test_a_reply_of_the_other_rounds_size_is_malformed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REPLY_BYTES, 2, REPLY_BYTES[1] - 1)
    bench.ask("police")
    dispatch = bench.dispatch("police")

    with pytest.raises(FrameMalformed):
        bench.lookups.reply("police", link_pb2.Reply(route=dispatch.route, sealed=bytes(REPLY_BYTES[2])))


STEP = st.tuples(
    st.sampled_from(["reply", "refuse", "redeem", "wait", "leave", "come", "drain"]),
    st.sampled_from(AGENCIES[1:]),
)


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(STEP, max_size=25))
def test_every_part_ends_exactly_once_whatever_happens(steps: list[tuple[str, str]]) -> None:
    bench = Bench(FakeTiming())
    ask_id = bench.ask(*AGENCIES[1:])
    open_dispatches: dict[str, list[link_pb2.Dispatch]] = {agency: [] for agency in AGENCIES}
    first_replies: set[str] = set()
    redeemed: set[str] = set()
    ends: dict[str, int] = dict.fromkeys(AGENCIES[1:], 0)

    def collect() -> None:
        for agency in AGENCIES[1:]:
            if bench.links.get(agency) is not None:
                open_dispatches[agency] += [f.dispatch for f in bench.sent(agency) if f.HasField("dispatch")]
        for outcome in bench.outcomes():
            if outcome.sealed and outcome.round == 1:
                first_replies.add(outcome.custodian)
            else:
                ends[outcome.custodian] += 1

    for act, agency in steps:
        collect()
        link = bench.links.get(agency)
        if act in ("reply", "refuse") and open_dispatches[agency]:
            dispatch = open_dispatches[agency].pop()
            if act == "reply":
                bench.reply(agency, dispatch)
            else:
                bench.lookups.reply(agency, link_pb2.Reply(route=dispatch.route, refused=True))
        elif act == "redeem" and agency in first_replies - redeemed and not ends[agency]:
            redeemed.add(agency)
            bench.redeem(ask_id, agency)
        elif act == "wait":
            bench.timing.advance(0.5)
        elif act == "leave" and link is not None:
            link.end(None)
        elif act == "come" and link is None:
            bench.attach(agency)
        elif act == "drain" and link is not None:
            bench.links.drain(link, draining=True)
    bench.timing.advance(3)
    collect()

    assert ends == dict.fromkeys(AGENCIES[1:], 1)
    bench.assert_nothing_left()
