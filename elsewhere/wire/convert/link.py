"""Checks of every frame of a link, for both ends: sizes, ranges, and nothing that could carry a hint.

Sees:     agency ids, ids of questions, sealed bytes of constant size. What is inside a seal is unknown here.
Refuses:  a frame that breaks a rule of link.proto. One odd length would let two ends of a lookup whisper
          past the constant sizes, so lengths are exact and every field that must be empty is empty.
Source:   proto/elsewhere/wire/v1/link.proto.
"""

from __future__ import annotations

import re

from elsewhere.clock import MAX_MS
from elsewhere.errors import FrameMalformed
from elsewhere.roster import AGENCY_ID
from elsewhere.sealing import EVALUATE_REPLY, EVALUATE_REQUEST, REDEEM_REPLY, REDEEM_REQUEST, sealed_size
from elsewhere.wire.v1 import common_pb2, directory_pb2, link_pb2

PROTOCOL_VERSION = 1
PROCESS_NAME = "[a-z][a-z0-9-]{0,31}"
ID_BYTES = 16
MAX_QUESTIONS = 100
MIN_DEADLINE_MS, MAX_DEADLINE_MS = 100, 30_000
MIN_BEAT_MS, MAX_BEAT_MS = 500, 60_000
MISSED_BEATS = 3
REQUEST_BYTES = {1: sealed_size(EVALUATE_REQUEST), 2: sealed_size(REDEEM_REQUEST)}
REPLY_BYTES = {1: sealed_size(EVALUATE_REPLY), 2: sealed_size(REDEEM_REPLY)}

_AGENCY = re.compile(AGENCY_ID)
_PROCESS = re.compile(PROCESS_NAME)
_ANSWERED = common_pb2.NON_ANSWER_UNSPECIFIED
_DATED = (common_pb2.NON_ANSWER_UNREACHABLE, common_pb2.NON_ANSWER_MAINTENANCE)


def check_from_node(frame: link_pb2.AttachRequest) -> None:
    """Return only if a frame that a node sent keeps every rule that needs no memory.

    A frame of a later version has no known kind and passes; its receiver ignores it.

    Raises:
        FrameMalformed: `.field` says which; end the link.
    """
    kind = frame.WhichOneof("frame")
    if kind == "reply":
        check_reply(frame.reply)
    elif kind == "redeem":
        check_redeem(frame.redeem)
    elif kind == "ask":
        check_ask(frame.ask)
    elif kind == "beat":
        check_beat(frame.beat)
    elif kind == "hello":
        check_hello(frame.hello)


def check_from_gateway(frame: link_pb2.AttachResponse) -> None:
    """Return only if a frame that the gateway sent keeps every rule that needs no memory.

    Raises:
        FrameMalformed: `.field` says which; end the link.
    """
    kind = frame.WhichOneof("frame")
    if kind == "outcome":
        check_outcome(frame.outcome)
    elif kind == "dispatch":
        check_dispatch(frame.dispatch)
    elif kind == "beat":
        check_beat(frame.beat)
    elif kind == "notices":
        check_notices(frame.notices)
    elif kind == "welcome":
        check_welcome(frame.welcome)


def check_hello(hello: link_pb2.Hello) -> None:
    """A closed range of protocol versions, from 1 up, and a process by its name; raises FrameMalformed."""
    _check_range("protocol_min", hello.protocol_min, 1, hello.protocol_max)
    if hello.process and _PROCESS.fullmatch(hello.process) is None:
        raise FrameMalformed("process", f"expected a name of the form {PROCESS_NAME}, or none")


def check_welcome(welcome: link_pb2.Welcome) -> None:
    """A version and a beat within bounds; raises FrameMalformed."""
    _check_range("protocol_version", welcome.protocol_version, 1, 2**32 - 1)
    _check_range("beat_ms", welcome.beat_ms, MIN_BEAT_MS, MAX_BEAT_MS)


def check_beat(beat: link_pb2.Beat) -> None:
    """Sequences start at 1; raises FrameMalformed."""
    _check_range("sequence", beat.sequence, 1, 2**64 - 1)


def check_ask(ask: link_pb2.Ask) -> None:
    """1..100 questions of one constant size, each for another custodian; raises FrameMalformed."""
    _check_size("ask_id", ask.ask_id, ID_BYTES)
    _check_range("deadline_ms", ask.deadline_ms, MIN_DEADLINE_MS, MAX_DEADLINE_MS)
    _check_range("questions", len(ask.questions), 1, MAX_QUESTIONS)
    custodians: set[str] = set()
    lookups: set[bytes] = set()
    for question in ask.questions:
        _check_agency("custodian", question.custodian)
        _check_size("lookup_id", question.lookup_id, ID_BYTES)
        _check_size("sealed", question.sealed, REQUEST_BYTES[1])
        custodians.add(question.custodian)
        lookups.add(question.lookup_id)
    if len(custodians) != len(ask.questions):
        raise FrameMalformed("custodian", "expected each custodian once; one is repeated")
    if len(lookups) != len(ask.questions):
        # One id for two custodians would let them find that they were asked together.
        raise FrameMalformed("lookup_id", "expected another id for each custodian; one is repeated")


def check_redeem(redeem: link_pb2.Redeem) -> None:
    """One custodian's second round at its constant size; raises FrameMalformed."""
    _check_size("ask_id", redeem.ask_id, ID_BYTES)
    _check_agency("custodian", redeem.custodian)
    _check_size("sealed", redeem.sealed, REQUEST_BYTES[2])


def check_dispatch(dispatch: link_pb2.Dispatch) -> None:
    """A sealed message with its route, round, sender and time left; raises FrameMalformed."""
    _check_size("route", dispatch.route, ID_BYTES)
    _check_range("round", dispatch.round, 1, 2)
    _check_agency("searcher", dispatch.searcher)
    _check_size("lookup_id", dispatch.lookup_id, ID_BYTES)
    _check_size("sealed", dispatch.sealed, REQUEST_BYTES[dispatch.round])
    _check_range("remaining_ms", dispatch.remaining_ms, 0, MAX_DEADLINE_MS)


def check_reply(reply: link_pb2.Reply) -> None:
    """Sealed bytes or a refusal, never both and never neither; raises FrameMalformed.

    The round is known to whoever keeps the route: it also calls `check_reply_size`.
    """
    _check_size("route", reply.route, ID_BYTES)
    if reply.refused:
        _check_size("sealed", reply.sealed, 0)
    elif len(reply.sealed) not in REPLY_BYTES.values():
        raise FrameMalformed(
            "sealed", f"expected a reply of constant size or a refusal, got {len(reply.sealed)} bytes"
        )


def check_reply_size(reply: link_pb2.Reply, round_: int) -> None:
    """Return only if an unrefused reply has the constant size of its round; raises FrameMalformed."""
    if not reply.refused:
        _check_size("sealed", reply.sealed, REPLY_BYTES[round_])


def check_outcome(outcome: link_pb2.Outcome) -> None:
    """Sealed bytes or a non-answer, never both and never neither; raises FrameMalformed."""
    _check_size("ask_id", outcome.ask_id, ID_BYTES)
    _check_agency("custodian", outcome.custodian)
    _check_range("round", outcome.round, 1, 2)
    if outcome.non_answer == _ANSWERED:
        _check_size("sealed", outcome.sealed, REPLY_BYTES[outcome.round])
    else:
        _check_size("sealed", outcome.sealed, 0)
        if outcome.non_answer not in common_pb2.NonAnswer.values():
            raise FrameMalformed("non_answer", f"expected a known non-answer, got {outcome.non_answer}")
    if outcome.since_ms and outcome.non_answer not in _DATED:
        raise FrameMalformed("since_ms", "expected a time only with UNREACHABLE or MAINTENANCE")
    _check_range("since_ms", outcome.since_ms, 0, MAX_MS)


def check_notices(notices: directory_pb2.CatalogueNotices) -> None:
    """Custodians by their ids, and versions from 1 up; raises FrameMalformed."""
    for notice in notices.notices:
        _check_agency("custodian", notice.custodian)
        _check_range("version", notice.version, 1, 2**64 - 1)


def agree_version(hello: link_pb2.Hello) -> int | None:
    """Give the highest version that both ends speak; None if there is none."""
    return PROTOCOL_VERSION if hello.protocol_min <= PROTOCOL_VERSION <= hello.protocol_max else None


def _check_agency(field: str, agency: str) -> None:
    """An agency id, without quoting what came: it may be anything."""
    if _AGENCY.fullmatch(agency) is None:
        raise FrameMalformed(field, f"expected an agency id of the form {AGENCY_ID}")


def _check_size(field: str, value: bytes, size: int) -> None:
    """An exact number of bytes."""
    if len(value) != size:
        raise FrameMalformed(field, f"expected {size} bytes, got {len(value)}")


def _check_range(field: str, value: int, low: int, high: int) -> None:
    """A number within a closed range."""
    if not low <= value <= high:
        raise FrameMalformed(field, f"expected {low}..{high}, got {value}")
