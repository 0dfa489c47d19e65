"""Errors as they cross the hop: a gRPC status and our stable code, and nothing of the message.

Refuses:  to pass on a message text: it may name what only one side should know.
"""

from __future__ import annotations

from typing import Final

import grpc

from elsewhere.errors import (
    CertificateInvalid,
    DocumentInvalid,
    ElsewhereError,
    EnrolmentRefused,
    FrameMalformed,
    GatewayDraining,
    LinkEnded,
    LinkOutOfOrder,
    LinkReplaced,
    LinkSilent,
    LinkSlow,
    NotActive,
    NotCanonical,
    PieceMissing,
    PieceRefused,
    SignatureInvalid,
    StatementRollback,
    VersionsApart,
)
from elsewhere.invitation import AgencyTaken, TokenExpired, TokenUnknown, TokenUsed
from elsewhere.research.errors import (
    AgreementRefused,
    ProjectRefused,
    QueryExpired,
    QuestionInvalid,
    ResearcherRefused,
    RosterChanged,
    TableRefused,
    TermsRefused,
)
from elsewhere.transparency.errors import LogShort, NoteInvalid, ProofBroken

INTERNAL: Final = "internal"


class LinksTaken(LinkEnded):
    """As many processes of the agency are attached as the gateway takes. Stop one, or have it take more."""

    code = "link.too_many"


class FetchesTaken(ElsewhereError):
    """The agency fetches as many catalogues at once as the gateway serves. Wait for one to end."""

    code = "catalogue.busy"


class PiecesTaken(ElsewhereError):
    """The agency publishes so often that all others would do nothing but fetch. Offer the same again."""

    code = "catalogue.too_often"


class StatementsTaken(ElsewhereError):
    """The agency sends documents so often that all others would do nothing but read them. Wait."""

    code = "statement.busy"


class CertificatesTaken(ElsewhereError):
    """The agency asks for TLS certificates all the time. Wait; the one that it has stays good."""

    code = "enrolment.busy"


class StudiesTaken(ElsewhereError):
    """As many studies are under way as the gateway runs at once, or this very one is. Wait for one to end."""

    code = "study.busy"


class NoAuthority(ElsewhereError):
    """This gateway does not have the CA's key and certifies nobody. Ask another gateway of the federation."""

    code = "enrolment.no_authority"


_STATUS: Final[dict[type[ElsewhereError], grpc.StatusCode]] = {
    CertificateInvalid: grpc.StatusCode.UNAUTHENTICATED,
    AgencyTaken: grpc.StatusCode.ALREADY_EXISTS,
    CertificatesTaken: grpc.StatusCode.RESOURCE_EXHAUSTED,
    DocumentInvalid: grpc.StatusCode.INVALID_ARGUMENT,
    EnrolmentRefused: grpc.StatusCode.INVALID_ARGUMENT,
    FetchesTaken: grpc.StatusCode.RESOURCE_EXHAUSTED,
    FrameMalformed: grpc.StatusCode.INVALID_ARGUMENT,
    GatewayDraining: grpc.StatusCode.UNAVAILABLE,
    LinkOutOfOrder: grpc.StatusCode.FAILED_PRECONDITION,
    LinkReplaced: grpc.StatusCode.ABORTED,
    LinkSilent: grpc.StatusCode.UNAVAILABLE,
    LinkSlow: grpc.StatusCode.RESOURCE_EXHAUSTED,
    LinksTaken: grpc.StatusCode.RESOURCE_EXHAUSTED,
    LogShort: grpc.StatusCode.NOT_FOUND,
    NoAuthority: grpc.StatusCode.FAILED_PRECONDITION,
    NotActive: grpc.StatusCode.PERMISSION_DENIED,
    NotCanonical: grpc.StatusCode.INVALID_ARGUMENT,
    NoteInvalid: grpc.StatusCode.INVALID_ARGUMENT,
    PieceMissing: grpc.StatusCode.NOT_FOUND,
    PieceRefused: grpc.StatusCode.FAILED_PRECONDITION,
    PiecesTaken: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ProofBroken: grpc.StatusCode.FAILED_PRECONDITION,
    SignatureInvalid: grpc.StatusCode.PERMISSION_DENIED,
    StatementRollback: grpc.StatusCode.FAILED_PRECONDITION,
    StatementsTaken: grpc.StatusCode.RESOURCE_EXHAUSTED,
    AgreementRefused: grpc.StatusCode.FAILED_PRECONDITION,
    ProjectRefused: grpc.StatusCode.FAILED_PRECONDITION,
    QueryExpired: grpc.StatusCode.FAILED_PRECONDITION,
    QuestionInvalid: grpc.StatusCode.INVALID_ARGUMENT,
    ResearcherRefused: grpc.StatusCode.PERMISSION_DENIED,
    RosterChanged: grpc.StatusCode.FAILED_PRECONDITION,
    TableRefused: grpc.StatusCode.PERMISSION_DENIED,
    TermsRefused: grpc.StatusCode.INVALID_ARGUMENT,
    StudiesTaken: grpc.StatusCode.RESOURCE_EXHAUSTED,
    TokenExpired: grpc.StatusCode.FAILED_PRECONDITION,
    TokenUnknown: grpc.StatusCode.NOT_FOUND,
    TokenUsed: grpc.StatusCode.ALREADY_EXISTS,
    VersionsApart: grpc.StatusCode.FAILED_PRECONDITION,
}


def to_status(error: ElsewhereError) -> tuple[grpc.StatusCode, str]:
    """Give the status and the details for an error: the details are its code alone."""
    return _STATUS.get(type(error), grpc.StatusCode.UNKNOWN), error.code


def code_of(error: grpc.RpcError) -> str:
    """Read our code from a failed call; `internal` when the other side or the network gave none of ours.

    A status without a code of ours is gRPC's own: the connection failed, or a message was over its bound.
    """
    details = getattr(error, "details", None)
    text = details() if callable(details) else None
    known = {kind.code for kind in _STATUS}
    return text if isinstance(text, str) and text in known else INTERNAL
