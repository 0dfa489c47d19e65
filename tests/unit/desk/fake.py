"""A node's desk for tests alone: the real service on a real socket, saying what the test wrote down."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import grpc

from elsewhere.asking import (
    Ask,
    CustodianAnswer,
    DeskStatus,
    Done,
    Event,
    MemberStatus,
    Note,
    Started,
    State,
    coverage_of,
    summarise,
)
from elsewhere.errors import ElsewhereError
from elsewhere.lookup import Contact, Flag
from elsewhere.noticing import Notice, NoticeDone, NoticeGone
from elsewhere.reviewing import MAX_REVIEWS, ReviewDecision, ReviewGone, WaitingReview
from elsewhere.secondlook import SamePerson, SecondLook, SecondOpinion
from elsewhere.wire.convert.desk import ask_from_wire, event_to_wire, status_to_wire
from elsewhere.wire.convert.desk_notice import done_from_wire, notices_to_wire
from elsewhere.wire.convert.desk_review import decision_from_wire, reviews_to_wire
from elsewhere.wire.convert.desk_second import looks_to_wire, opinion_from_wire
from elsewhere.wire.desk_status import to_desk_status
from elsewhere.wire.socket_path import SocketAddress
from elsewhere.wire.v1 import desk_pb2, desk_pb2_grpc

LOOKUP_ID = "00112233445566778899aabbccddeeff"
NOTE = Note("postcode.pseudo", "postcode", "stands for 'no address' and will not be used")
POLICE = CustodianAnswer(
    "police",
    "Northshire Police",
    State.KNOWN_CURRENT,
    strength="STRONG",
    tier="R3",
    contact=Contact("Child Abuse Investigation", "0000 000 001", "0000 000 002"),
    last_contact_band="<30d",
    flags=(Flag("CP_PLAN", "2026-01-05"), Flag("LOOKED_AFTER", "2024-02-01", "2025-02-01")),
    source_age_days=1,
    call_reference="A1B2C3D4",
    receipt=b'{"payload":"e30=","payloadType":"t","signatures":[]}',
    elapsed_ms=41,
)
SCHOOL = CustodianAnswer(
    "school", "Northshire Schools", State.NOTHING_RETURNED, source_age_days=0, call_reference="Z9Y8X7W6"
)
TRUST = CustodianAnswer(
    "trust",
    "Northshire NHS Trust",
    State.UNREACHABLE,
    code="unreachable",
    remedy="Call its duty desk; ask again later.",
    since=datetime(2026, 9, 1, 9, 14, tzinfo=UTC),
    duty_contact="0000 000 003",
)


def whole(*answers: CustodianAnswer, notes: tuple[Note, ...] = ()) -> list[Event]:
    """A lookup from beginning to end, as a node would stream it."""
    started = Started(LOOKUP_ID, notes, tuple(answer.custodian for answer in answers))
    return [started, *answers, Done(coverage_of(answers), summarise(answers))]


class FakeDesk(desk_pb2_grpc.DeskServiceServicer):
    """Answers with `script`: events to send, an error to refuse with, or "hang" to wait until the end."""

    def __init__(self) -> None:
        self.script: Sequence[Event | BaseException | str] = whole(POLICE, SCHOOL)
        self.asked: list[Ask] = []
        self.cancelled = threading.Event()
        self.end = threading.Event()
        self.is_ready = True
        self.reviews: Sequence[WaitingReview] = ()
        self.decided: list[ReviewDecision] = []
        self.looks: Sequence[SecondLook] = ()
        self.opinions: list[SecondOpinion] = []
        self.notices: Sequence[Notice] = ()
        self.done: list[NoticeDone] = []

    def Ask(  # noqa: N802
        self, request: desk_pb2.AskRequest, context: grpc.ServicerContext
    ) -> Iterator[desk_pb2.AskResponse]:
        """Follow the script."""
        context.add_callback(self.cancelled.set)
        try:
            self.asked.append(ask_from_wire(request))
        except ElsewhereError as err:
            self._refuse(err, context)
        for step in self.script:
            if isinstance(step, ElsewhereError):
                self._refuse(step, context)
            elif isinstance(step, BaseException):
                raise step
            elif isinstance(step, str):
                self.end.wait()
            else:
                yield event_to_wire(step)

    def ListReviews(  # noqa: N802
        self, request: desk_pb2.ListReviewsRequest, context: grpc.ServicerContext
    ) -> desk_pb2.ListReviewsResponse:
        """Give the questions that the test lets wait."""
        return reviews_to_wire(self.reviews[:MAX_REVIEWS])

    def DecideReview(  # noqa: N802
        self, request: desk_pb2.DecideReviewRequest, context: grpc.ServicerContext
    ) -> desk_pb2.DecideReviewResponse:
        """Take one decision about each of them."""
        decision = decision_from_wire(request)
        if decision.number not in [one.number for one in self.reviews]:
            self._refuse(ReviewGone("expected the number of a question that waits"), context)
        self.decided.append(decision)
        return desk_pb2.DecideReviewResponse()

    def ListSecondLooks(  # noqa: N802
        self, request: desk_pb2.ListSecondLooksRequest, context: grpc.ServicerContext
    ) -> desk_pb2.ListSecondLooksResponse:
        """Give the questions that the test lets wait."""
        return looks_to_wire(self.looks)

    def GiveSecondLook(  # noqa: N802
        self, request: desk_pb2.GiveSecondLookRequest, context: grpc.ServicerContext
    ) -> desk_pb2.GiveSecondLookResponse:
        """Take an opinion from anybody but whoever asked."""
        opinion = opinion_from_wire(request)
        if opinion.by in [one.asker for one in self.looks]:
            self._refuse(SamePerson("expected another person than the one who asked"), context)
        self.opinions.append(opinion)
        return desk_pb2.GiveSecondLookResponse()

    def ListNotices(  # noqa: N802
        self, request: desk_pb2.ListNoticesRequest, context: grpc.ServicerContext
    ) -> desk_pb2.ListNoticesResponse:
        """Give the messages that the test lets wait."""
        return notices_to_wire(self.notices)

    def FinishNotice(  # noqa: N802
        self, request: desk_pb2.FinishNoticeRequest, context: grpc.ServicerContext
    ) -> desk_pb2.FinishNoticeResponse:
        """Take one off the list."""
        done = done_from_wire(request)
        if done.reference not in [one.reference for one in self.notices]:
            self._refuse(NoticeGone("expected a message that waits for the duty desk"), context)
        self.done.append(done)
        return desk_pb2.FinishNoticeResponse()

    def Status(  # noqa: N802
        self, request: desk_pb2.StatusRequest, context: grpc.ServicerContext
    ) -> desk_pb2.StatusResponse:
        """Say whether the test calls this node ready."""
        members = (
            MemberStatus("school", "Northshire Schools", True, 7),
            MemberStatus("trust", "Northshire NHS Trust", self.is_ready, 3 if self.is_ready else 0),
        )
        waiting = len(self.reviews)
        return status_to_wire(DeskStatus("police", self.is_ready, members, reviews_waiting=waiting))

    def History(  # noqa: N802
        self, request: desk_pb2.HistoryRequest, context: grpc.ServicerContext
    ) -> desk_pb2.HistoryResponse:
        """Keep nothing."""
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "not in the script")

    @staticmethod
    def _refuse(error: ElsewhereError, context: grpc.ServicerContext) -> None:
        status, message, trailers = to_desk_status(error)
        context.set_trailing_metadata(trailers)
        context.abort(status, message)


class RunningDesk:
    """A fake desk that listens; `stop` ends it."""

    def __init__(self, folder: Path, desk: FakeDesk) -> None:
        self.folder, self.desk = folder, desk
        self._address = SocketAddress(folder / "desk.sock")
        self._server = grpc.server(ThreadPoolExecutor(4))
        desk_pb2_grpc.add_DeskServiceServicer_to_server(desk, self._server)
        self._server.add_insecure_port(self._address.target)
        self._server.start()
        os.chmod(folder / "desk.sock", 0o600)

    def stop(self) -> None:
        """End at once, calls with it."""
        self.desk.end.set()
        self._server.stop(None).wait()
        self._address.close()
