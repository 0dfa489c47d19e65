"""Questions that wait for a person, as desk messages and as values.

Refuses:  numbers, codes and times out of form.
"""

from __future__ import annotations

from collections.abc import Sequence

from elsewhere.errors import DeskMalformed, DocumentInvalid
from elsewhere.fields import as_instant, format_instant
from elsewhere.reviewing import MAX_REVIEWS, ReviewDecision, WaitingReview
from elsewhere.wire.v1 import desk_pb2


def reviews_to_wire(found: Sequence[WaitingReview]) -> desk_pb2.ListReviewsResponse:
    """Encode those that wait."""
    return desk_pb2.ListReviewsResponse(
        reviews=[
            desk_pb2.Review(
                number=one.number,
                searcher=one.searcher,
                purpose=one.purpose,
                basis=one.basis,
                urgency=one.urgency,
                role=one.role,
                pseudonym=one.pseudonym,
                case_code=one.case,
                clause=one.clause,
                asked=format_instant(one.asked_utc.replace(microsecond=0)),
                expected_by=format_instant(one.expected_by.replace(microsecond=0)),
                lapses=format_instant(one.lapses_utc.replace(microsecond=0)),
            )
            for one in found
        ]
    )


def reviews_from_wire(message: desk_pb2.ListReviewsResponse) -> tuple[WaitingReview, ...]:
    """Read and check those that wait.

    Raises:
        DeskMalformed: more than there can be, or one out of bounds.
    """
    if len(message.reviews) > MAX_REVIEWS:
        raise DeskMalformed("a desk message has a number of reviews outside what desk.proto allows")
    try:
        return tuple(
            WaitingReview(
                number=one.number,
                searcher=one.searcher,
                purpose=one.purpose,
                basis=one.basis,
                urgency=one.urgency,
                role=one.role,
                pseudonym=one.pseudonym,
                case=one.case_code,
                clause=one.clause,
                asked_utc=as_instant(one.asked, "asked"),
                expected_by=as_instant(one.expected_by, "expected_by"),
                lapses_utc=as_instant(one.lapses, "lapses"),
            )
            for one in message.reviews
        )
    except DocumentInvalid as err:
        raise DeskMalformed(f"a desk message has a {err.key} outside what desk.proto allows") from None


def decision_to_wire(decision: ReviewDecision) -> desk_pb2.DecideReviewRequest:
    """Encode a decision."""
    return desk_pb2.DecideReviewRequest(
        number=decision.number,
        releases=decision.releases,
        reason=decision.reason,
        reviewer=decision.reviewer,
    )


def decision_from_wire(message: desk_pb2.DecideReviewRequest) -> ReviewDecision:
    """Read and check a decision; raises ReviewInvalid."""
    return ReviewDecision(message.number, message.releases, message.reason, message.reviewer)
