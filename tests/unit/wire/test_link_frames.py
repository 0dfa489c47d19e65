"""Frames of a link: every rule of link.proto that needs no memory, in both directions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from elsewhere.errors import FrameMalformed
from elsewhere.wire.convert import link
from elsewhere.wire.v1 import common_pb2, link_pb2

ID = b"i" * 16
ROUND_1, ROUND_2 = bytes(link.REQUEST_BYTES[1]), bytes(link.REQUEST_BYTES[2])
REPLY = bytes(link.REPLY_BYTES[1])


def question(custodian: str = "police", lookup_id: bytes = ID, sealed: bytes = ROUND_1) -> link_pb2.Question:
    return link_pb2.Question(custodian=custodian, lookup_id=lookup_id, sealed=sealed)


def ask(*questions: link_pb2.Question, ask_id: bytes = ID, deadline_ms: int = 3000) -> link_pb2.AttachRequest:
    return link_pb2.AttachRequest(
        ask=link_pb2.Ask(ask_id=ask_id, deadline_ms=deadline_ms, questions=questions)
    )


def redeem(ask_id: bytes = ID, custodian: str = "police", sealed: bytes = ROUND_2) -> link_pb2.AttachRequest:
    return link_pb2.AttachRequest(redeem=link_pb2.Redeem(ask_id=ask_id, custodian=custodian, sealed=sealed))


def reply(route: bytes = ID, sealed: bytes = b"", refused: bool = False) -> link_pb2.AttachRequest:
    return link_pb2.AttachRequest(reply=link_pb2.Reply(route=route, sealed=sealed, refused=refused))


def outcome(**fields: object) -> link_pb2.AttachResponse:
    base: dict[str, object] = {"ask_id": ID, "custodian": "police", "round": 1}
    return link_pb2.AttachResponse(outcome=link_pb2.Outcome(**(base | fields)))  # type: ignore[arg-type]


def dispatch(**fields: object) -> link_pb2.AttachResponse:
    base: dict[str, object] = {
        "route": ID,
        "round": 1,
        "searcher": "police",
        "lookup_id": ID,
        "sealed": ROUND_1,
        "remaining_ms": 100,
    }
    return link_pb2.AttachResponse(dispatch=link_pb2.Dispatch(**(base | fields)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "frame",
    [
        ask(question()),
        ask(*(question(f"a{n}", n.to_bytes(16, "big")) for n in range(100)), deadline_ms=100),
        ask(question(), deadline_ms=30_000),
        redeem(),
        reply(sealed=REPLY),
        reply(refused=True),
        link_pb2.AttachRequest(hello=link_pb2.Hello(protocol_min=1, protocol_max=3)),
        link_pb2.AttachRequest(beat=link_pb2.Beat(sequence=1)),
        link_pb2.AttachRequest(drain=link_pb2.Drain(draining=True)),
        link_pb2.AttachRequest(),  # a kind that a later version adds
    ],
)
def test_a_frame_within_the_rules_passes(frame: link_pb2.AttachRequest) -> None:
    link.check_from_node(frame)


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        (ask(question(), ask_id=b"short"), "ask_id"),
        (ask(question(), deadline_ms=99), "deadline_ms"),
        (ask(question(), deadline_ms=30_001), "deadline_ms"),
        (ask(), "questions"),
        (ask(*(question(f"a{n}", n.to_bytes(16, "big")) for n in range(101))), "questions"),
        (ask(question(), question(lookup_id=b"j" * 16)), "custodian"),
        (ask(question(), question("schools")), "lookup_id"),
        (ask(question(lookup_id=b"")), "lookup_id"),
        (ask(question("Police")), "custodian"),
        (ask(question("a" * 33)), "custodian"),
        (ask(question("police\n")), "custodian"),
        (ask(question(sealed=ROUND_1 + b"x")), "sealed"),
        (ask(question(sealed=ROUND_1[1:])), "sealed"),
        (redeem(ask_id=b""), "ask_id"),
        (redeem(custodian=""), "custodian"),
        (redeem(sealed=ROUND_1), "sealed"),
        (reply(), "sealed"),
        (reply(route=b"r", refused=True), "route"),
        (reply(sealed=REPLY, refused=True), "sealed"),
        (reply(sealed=REPLY[1:]), "sealed"),
        (link_pb2.AttachRequest(hello=link_pb2.Hello(protocol_min=0, protocol_max=1)), "protocol_min"),
        (link_pb2.AttachRequest(hello=link_pb2.Hello(protocol_min=2, protocol_max=1)), "protocol_min"),
        (link_pb2.AttachRequest(beat=link_pb2.Beat(sequence=0)), "sequence"),
    ],
)
def test_a_frame_of_a_node_that_breaks_a_rule_is_refused_by_field(
    frame: link_pb2.AttachRequest, field: str
) -> None:
    with pytest.raises(FrameMalformed) as refusal:
        link.check_from_node(frame)

    assert refusal.value.field == field


@pytest.mark.parametrize(
    "frame",
    [
        dispatch(),
        dispatch(round=2, sealed=ROUND_2, remaining_ms=0),
        outcome(sealed=REPLY),
        outcome(non_answer=common_pb2.NON_ANSWER_TIMED_OUT),
        outcome(non_answer=common_pb2.NON_ANSWER_UNREACHABLE, since_ms=5),
        link_pb2.AttachResponse(welcome=link_pb2.Welcome(protocol_version=1, beat_ms=5000)),
        link_pb2.AttachResponse(beat=link_pb2.Beat(sequence=9)),
        link_pb2.AttachResponse(),
    ],
)
def test_a_frame_of_the_gateway_within_the_rules_passes(frame: link_pb2.AttachResponse) -> None:
    link.check_from_gateway(frame)


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        (dispatch(route=b""), "route"),
        (dispatch(round=0), "round"),
        (dispatch(round=3), "round"),
        (dispatch(round=2), "sealed"),
        (dispatch(searcher=""), "searcher"),
        (dispatch(lookup_id=b""), "lookup_id"),
        (dispatch(remaining_ms=30_001), "remaining_ms"),
        (outcome(), "sealed"),
        (outcome(ask_id=b""), "ask_id"),
        (outcome(custodian=""), "custodian"),
        (outcome(round=3, sealed=REPLY), "round"),
        (outcome(sealed=REPLY, non_answer=common_pb2.NON_ANSWER_TIMED_OUT), "sealed"),
        (outcome(non_answer=99), "non_answer"),
        (outcome(sealed=REPLY, since_ms=1), "since_ms"),
        (outcome(non_answer=common_pb2.NON_ANSWER_UNREACHABLE, since_ms=2**45 + 1), "since_ms"),
        (outcome(non_answer=common_pb2.NON_ANSWER_TIMED_OUT, since_ms=1), "since_ms"),
        (link_pb2.AttachResponse(welcome=link_pb2.Welcome(protocol_version=1, beat_ms=499)), "beat_ms"),
        (link_pb2.AttachResponse(welcome=link_pb2.Welcome(beat_ms=500)), "protocol_version"),
        (link_pb2.AttachResponse(beat=link_pb2.Beat()), "sequence"),
    ],
)
def test_a_frame_of_the_gateway_that_breaks_a_rule_is_refused_by_field(
    frame: link_pb2.AttachResponse, field: str
) -> None:
    with pytest.raises(FrameMalformed) as refusal:
        link.check_from_gateway(frame)

    assert refusal.value.field == field


def test_a_reply_has_the_size_of_its_own_round() -> None:
    check: Callable[[link_pb2.Reply, int], None] = link.check_reply_size

    check(link_pb2.Reply(route=ID, sealed=REPLY), 1)
    check(link_pb2.Reply(route=ID, refused=True), 2)
    with pytest.raises(FrameMalformed):
        check(link_pb2.Reply(route=ID, sealed=REPLY[1:]), 2)


@pytest.mark.parametrize(("low", "high", "agreed"), [(1, 1, 1), (1, 9, 1), (2, 9, None)])
def test_the_highest_common_version_is_agreed(low: int, high: int, agreed: int | None) -> None:
    assert link.agree_version(link_pb2.Hello(protocol_min=low, protocol_max=high)) == agreed
