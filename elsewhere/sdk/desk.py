"""Ask one's own agency's node: `with Desk("/var/lib/elsewhere/police") as desk: desk.ask(...)`.

Sees:     the child asked about and the answers, on the way between a practitioner's system and its node.
Promises: one question, one call; nothing is retried. What has been answered is never lost with the rest.
Refuses:  a socket of another user, a desk without TLS on another machine.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Final, TypeVar, Unpack, cast

import grpc
from google.protobuf.message import Message

from elsewhere.asking import Ask, CustodianAnswer, DeskStatus, Event
from elsewhere.errors import ElsewhereError
from elsewhere.person.identity import Person
from elsewhere.reviewing import ReviewDecision, WaitingReview
from elsewhere.sdk.lookup import Gathering, Lookup
from elsewhere.sdk.question import Question, make_ask
from elsewhere.sdk.target import OPTIONS, ClientCertificate, Target
from elsewhere.secondlook import SecondLook, SecondOpinion
from elsewhere.wire.convert.desk import ask_to_wire, event_from_wire, history_from_wire, status_from_wire
from elsewhere.wire.convert.desk_review import decision_to_wire, reviews_from_wire
from elsewhere.wire.convert.desk_second import looks_from_wire, opinion_to_wire
from elsewhere.wire.desk_status import from_desk_status
from elsewhere.wire.v1 import desk_pb2, desk_pb2_grpc

if TYPE_CHECKING:
    from elsewhere.wire.v1.desk_pb2_grpc import DeskServiceAsyncStub

Token = str | Callable[[], str]  # of the agency's sign-in, or what fetches one that is good now
TIMEOUT_S: Final = 60.0  # the node's own deadline ends a lookup long before
STATUS_TIMEOUT_S: Final = 10.0
T = TypeVar("T")


class Desk:
    """A connection to one's own agency's node; threads may share it.

    Example:
        >>> with Desk("/var/lib/elsewhere/police") as desk:
        ...     found = desk.ask(
        ...         given="Ann", family="Lee", dob="2015-03-02", postcode="AB1 2CD",
        ...         purpose="S47_ENQUIRY", urgency="RED", case="C-1", asker="jsmith",
        ...     )
        >>> for answer in found.hits:
        ...     print(answer.custodian_name, answer.contact.in_hours, answer.call_reference)
        >>> print(found.summary)
    """

    def __init__(
        self,
        target: str | os.PathLike[str],
        *,
        credentials: ClientCertificate | None = None,
        token: Token = "",
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Prepare a connection; nothing is sent yet.

        Args:
            target: a node's folder, its socket, or host:port.
            credentials: with host:port, the certificate that this client shows.
            token: of the agency's sign-in, where the desk asks for one; a function is called each time.
            timeout_s: after which a question without an end is given up.

        Raises:
            DeskUnreachable: no such folder, or host:port without credentials.
        """
        self._target = Target(target, credentials)
        self._token, self._timeout_s = token, timeout_s
        if credentials is None:
            self._channel = grpc.insecure_channel(self._target.name, OPTIONS)
        else:
            self._channel = grpc.secure_channel(self._target.name, credentials.to_grpc(), OPTIONS)
        self.stub = desk_pb2_grpc.DeskServiceStub(self._channel)

    def ask(self, person: Person | None = None, **question: Unpack[Question]) -> Lookup:
        """Ask about one child and wait for the end.

        Args:
            person: the child; or give its fields as keywords (given, family, dob, postcode, nhs_number ...).
            question: `purpose` and `urgency` always; `case`, `basis`, `role`, `asker`, `only` as needed.

        Returns:
            Every agency's answer, or the reason why there is none.

        Raises:
            DeskUnreachable: no node answers. Nobody was asked.
            DeskInterrupted: the node stopped midway; `.answers` holds what came.
            AskInvalid, PersonMalformed, UnknownWord: correct the question. Nobody was asked.
            TokenMissing, TokenInvalid, TokenExpired, RoleMissing: sign in, or send a newer token.
            ReasonMissing, SecondLookOverdue: of a question on vital interests; see docs/break-glass.md.
            NotActive, NotAdmitted, RosterExpired, GatewayUnreachable: the node cannot ask now.
            DeskRefused: the node refused for another reason; `.code` names it.
        """
        gathering = Gathering()
        for _ in self._events(make_ask(person, question), gathering):
            pass
        return gathering.finish()

    def stream(self, person: Person | None = None, **question: Unpack[Question]) -> Iterator[Event]:
        """Ask, as `ask` does, and give each event as it comes: Started, answers, Done.

        Leaving the loop early cancels the call; what the node has already asked stays asked and logged.
        """
        return self.events(make_ask(person, question))

    def events(self, ask: Ask) -> Iterator[Event]:
        """Put a question that is already made, as `stream` does."""
        gathering = Gathering()
        yield from self._events(ask, gathering)
        gathering.finish()

    def status(self) -> DeskStatus:
        """Say whether a lookup could succeed now, at once.

        Raises:
            DeskUnreachable: no node answers.
        """
        self._target.check_reachable()
        try:
            found = self.stub.Status(
                desk_pb2.StatusRequest(), timeout=STATUS_TIMEOUT_S, metadata=_shown(self._token)
            )
        except grpc.RpcError as err:
            raise _failure(err) from None
        return status_from_wire(found)

    def history(self, lookup_id: str) -> tuple[CustodianAnswer, ...]:
        """Give the newest answer of each agency to an earlier question, late ones included.

        Args:
            lookup_id: 32 hex digits, as `Lookup.lookup_id`.

        Returns: none if the node holds no such question.

        Raises:
            DeskUnreachable: no node answers.
        """
        self._target.check_reachable()
        try:
            found = self.stub.History(
                desk_pb2.HistoryRequest(lookup_id=lookup_id),
                timeout=STATUS_TIMEOUT_S,
                metadata=_shown(self._token),
            )
        except grpc.RpcError as err:
            raise _failure(err) from None
        return history_from_wire(found)

    def reviews(self) -> tuple[WaitingReview, ...]:
        """Give the questions of other agencies that wait for a person of this one.

        Raises:
            DeskUnreachable: no node answers.
            RoleMissing: the token gives no role that may review.
        """
        return reviews_from_wire(self.call(self.stub.ListReviews, desk_pb2.ListReviewsRequest()))

    def decide_review(self, decision: ReviewDecision) -> None:
        """Let a question through once, or refuse it.

        Raises:
            DeskUnreachable: no node answers; look at `reviews` before trying again.
            ReviewGone: no such question waits.
            RoleMissing: the token gives no role that may review.
        """
        self.call(self.stub.DecideReview, decision_to_wire(decision))

    def second_looks(self) -> tuple[SecondLook, ...]:
        """Give the questions of this agency that wait for a second person; raises as `reviews`."""
        return looks_from_wire(self.call(self.stub.ListSecondLooks, desk_pb2.ListSecondLooksRequest()))

    def give_second_look(self, opinion: SecondOpinion) -> None:
        """Record what a second person finds.

        Raises:
            DeskUnreachable: no node answers; look at `second_looks` before trying again.
            SecondLookGone: no such question waits.
            SamePerson: it is the asker who looks.
            RoleMissing: the token gives no role that may look.
        """
        self.call(self.stub.GiveSecondLook, opinion_to_wire(opinion))

    def call(self, method: Callable[..., T], request: Message) -> T:
        """Make one call that is answered at once; raises what the node refuses with, DeskUnreachable."""
        self._target.check_reachable()
        try:
            return method(request, timeout=STATUS_TIMEOUT_S, metadata=_shown(self._token))
        except grpc.RpcError as err:
            raise _failure(err) from None

    def close(self) -> None:
        """Give up the connection."""
        self._channel.close()
        self._target.close()

    def __enter__(self) -> Desk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _events(self, ask: Ask, gathering: Gathering) -> Iterator[Event]:
        """Each event once the gathering has taken it."""
        self._target.check_reachable()
        call = self.stub.Ask(ask_to_wire(ask), timeout=self._timeout_s, metadata=_shown(self._token))
        try:
            for message in call:
                event = event_from_wire(message)
                if event is not None:
                    gathering.take(event)
                    yield event
        except grpc.RpcError as err:
            raise gathering.interrupted(_failure(err)) from None
        finally:
            call.cancel()  # type: ignore[no-untyped-call]


class AsyncDesk:
    """`Desk` for asyncio; make and use it within one event loop.

    Example:
        >>> async with AsyncDesk("/var/lib/elsewhere/police") as desk:
        ...     async for event in desk.stream(person, purpose="S47_ENQUIRY", urgency="RED"):
        ...         print(event)
    """

    def __init__(
        self,
        target: str | os.PathLike[str],
        *,
        credentials: ClientCertificate | None = None,
        token: Token = "",
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Prepare a connection as `Desk` does."""
        self._target = Target(target, credentials)
        self._token, self._timeout_s = token, timeout_s
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(self._target.name, OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(self._target.name, credentials.to_grpc(), OPTIONS)
        self._stub: DeskServiceAsyncStub = desk_pb2_grpc.DeskServiceStub(self._channel)

    async def ask(self, person: Person | None = None, **question: Unpack[Question]) -> Lookup:
        """Ask about one child and wait for the end; as `Desk.ask`."""
        gathering = Gathering()
        async for _ in self._events(make_ask(person, question), gathering):
            pass
        return gathering.finish()

    def stream(self, person: Person | None = None, **question: Unpack[Question]) -> AsyncIterator[Event]:
        """Ask about one child and give each event as it comes; as `Desk.stream`."""
        return self.events(make_ask(person, question))

    async def events(self, ask: Ask) -> AsyncIterator[Event]:
        """Put a question that is already made; as `Desk.events`."""
        gathering = Gathering()
        async with aclosing(self._events(ask, gathering)) as events:
            async for event in events:
                yield event
        gathering.finish()

    async def status(self) -> DeskStatus:
        """Say whether a lookup could succeed now; as `Desk.status`."""
        self._target.check_reachable()
        try:
            found = await self._stub.Status(
                desk_pb2.StatusRequest(), timeout=STATUS_TIMEOUT_S, metadata=_shown(self._token)
            )
        except grpc.RpcError as err:
            raise _failure(err) from None
        return status_from_wire(found)

    async def history(self, lookup_id: str) -> tuple[CustodianAnswer, ...]:
        """Give the newest answers to an earlier question; as `Desk.history`."""
        self._target.check_reachable()
        try:
            found = await self._stub.History(
                desk_pb2.HistoryRequest(lookup_id=lookup_id),
                timeout=STATUS_TIMEOUT_S,
                metadata=_shown(self._token),
            )
        except grpc.RpcError as err:
            raise _failure(err) from None
        return history_from_wire(found)

    async def reviews(self) -> tuple[WaitingReview, ...]:
        """Give the questions that wait for a person; as `Desk.reviews`."""
        self._target.check_reachable()
        request, metadata = desk_pb2.ListReviewsRequest(), _shown(self._token)
        try:
            found = await self._stub.ListReviews(request, timeout=STATUS_TIMEOUT_S, metadata=metadata)
        except grpc.RpcError as err:
            raise _failure(err) from None
        return reviews_from_wire(found)

    async def decide_review(self, decision: ReviewDecision) -> None:
        """Let a question through once, or refuse it; as `Desk.decide_review`."""
        self._target.check_reachable()
        request, metadata = decision_to_wire(decision), _shown(self._token)
        try:
            await self._stub.DecideReview(request, timeout=STATUS_TIMEOUT_S, metadata=metadata)
        except grpc.RpcError as err:
            raise _failure(err) from None

    async def second_looks(self) -> tuple[SecondLook, ...]:
        """Give the questions that wait for a second person; as `Desk.second_looks`."""
        self._target.check_reachable()
        request, metadata = desk_pb2.ListSecondLooksRequest(), _shown(self._token)
        try:
            found = await self._stub.ListSecondLooks(request, timeout=STATUS_TIMEOUT_S, metadata=metadata)
        except grpc.RpcError as err:
            raise _failure(err) from None
        return looks_from_wire(found)

    async def give_second_look(self, opinion: SecondOpinion) -> None:
        """Record what a second person finds; as `Desk.give_second_look`."""
        self._target.check_reachable()
        request, metadata = opinion_to_wire(opinion), _shown(self._token)
        try:
            await self._stub.GiveSecondLook(request, timeout=STATUS_TIMEOUT_S, metadata=metadata)
        except grpc.RpcError as err:
            raise _failure(err) from None

    async def close(self) -> None:
        """Give up the connection."""
        await self._channel.close(None)
        self._target.close()

    async def __aenter__(self) -> AsyncDesk:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _events(self, ask: Ask, gathering: Gathering) -> AsyncGenerator[Event, None]:
        """Each event once the gathering has taken it."""
        self._target.check_reachable()
        call = self._stub.Ask(ask_to_wire(ask), timeout=self._timeout_s, metadata=_shown(self._token))
        try:
            async for message in call:
                event = event_from_wire(message)
                if event is not None:
                    gathering.take(event)
                    yield event
        except grpc.RpcError as err:
            raise gathering.interrupted(_failure(err)) from None
        finally:
            call.cancel()


def _shown(token: Token) -> tuple[tuple[str, str], ...]:
    """The token as a call carries it."""
    found = token if isinstance(token, str) else token()
    return (("authorization", f"Bearer {found}"),) if found else ()


def _failure(error: grpc.RpcError) -> ElsewhereError:
    """What a failed call means to the asker; gRPC's own text, which names addresses, is left out."""
    status = error.code() if callable(getattr(error, "code", None)) else grpc.StatusCode.UNKNOWN
    details = error.details() if callable(getattr(error, "details", None)) else None
    trailers = error.trailing_metadata() if callable(getattr(error, "trailing_metadata", None)) else None
    return from_desk_status(status, details, cast("Iterable[tuple[str, str | bytes]] | None", trailers))
