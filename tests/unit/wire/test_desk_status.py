"""A refused question arrives as the same kind of error; an accident arrives as a number and nothing else."""

from __future__ import annotations

import grpc
import pytest

from elsewhere.errors import (
    AskInvalid,
    CertificateInvalid,
    DeskBusy,
    DeskRefused,
    DeskUnreachable,
    ElsewhereError,
    GatewayUnreachable,
    NotActive,
    PersonMalformed,
    RosterExpired,
    UnknownWord,
)
from elsewhere.wire.desk_status import from_desk_status, internal_desk_status, to_desk_status
from node.errors import LoadRunning


@pytest.mark.parametrize(
    "error",
    [
        AskInvalid("urgency: expected one of RED, AMBER, GREEN"),
        PersonMalformed("names", "expected at most 200 characters"),
        NotActive("police", "suspended"),
        UnknownWord("purpose", ["S47_ENQUIRY", "MASH_TRIAGE"]),
        RosterExpired("expected a time before the roster's end"),
        GatewayUnreachable("no link"),
        DeskBusy("expected at most 32 questions to wait"),
        CertificateInvalid("expected one client certificate, got 2"),
    ],
    ids=lambda error: error.code,
)
def test_an_error_arrives_as_the_same_kind_with_the_same_words(error: ElsewhereError) -> None:
    arrived = from_desk_status(*to_desk_status(error))

    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert arrived.code == error.code
    assert vars(arrived) == vars(error)


def test_a_code_without_a_class_arrives_as_refused_with_that_code() -> None:
    arrived = from_desk_status(*to_desk_status(LoadRunning("a load is running")))

    assert isinstance(arrived, DeskRefused)
    assert (arrived.code, str(arrived)) == ("load.running", "a load is running")


def test_an_accident_shows_an_incident_number_and_nothing_of_what_happened() -> None:
    status, message, trailers = internal_desk_status("7f3a9c")

    arrived = from_desk_status(status, message, trailers)

    assert arrived.code == "internal"
    assert "7f3a9c" in str(arrived)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, DeskUnreachable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeskUnreachable),
        (grpc.StatusCode.CANCELLED, DeskUnreachable),
        (grpc.StatusCode.UNIMPLEMENTED, DeskUnreachable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, DeskRefused),
    ],
)
def test_a_status_of_grpc_alone_says_whether_a_node_answered(
    status: grpc.StatusCode, kind: type[ElsewhereError]
) -> None:
    arrived = from_desk_status(status, "failed to connect to all addresses; someone's path", None)

    assert type(arrived) is kind
    assert "someone's path" not in str(arrived)


def test_an_over_long_message_is_cut() -> None:
    _, message, _ = to_desk_status(AskInvalid("x" * 5000))

    assert len(message) == 1000
