"""Questions that wait for a second person, as desk messages and as values.

Refuses:  numbers, texts and times out of form.
"""

from __future__ import annotations

from collections.abc import Sequence

from elsewhere.errors import DeskMalformed, DocumentInvalid
from elsewhere.fields import as_instant, format_instant
from elsewhere.secondlook import MAX_LOOKS, SecondLook, SecondOpinion
from elsewhere.wire.v1 import desk_pb2


def looks_to_wire(found: Sequence[SecondLook]) -> desk_pb2.ListSecondLooksResponse:
    """Encode those that wait."""
    return desk_pb2.ListSecondLooksResponse(
        looks=[
            desk_pb2.SecondLook(
                lookup_id=one.lookup_id,
                asker=one.asker,
                purpose=one.purpose,
                reason=one.reason,
                asked=format_instant(one.asked_utc.replace(microsecond=0)),
                due=format_instant(one.due_utc),
            )
            for one in found
        ]
    )


def looks_from_wire(message: desk_pb2.ListSecondLooksResponse) -> tuple[SecondLook, ...]:
    """Read and check those that wait.

    Raises:
        DeskMalformed: more than there can be, or one out of bounds.
    """
    if len(message.looks) > MAX_LOOKS:
        raise DeskMalformed("a desk message has a number of looks outside what desk.proto allows")
    try:
        return tuple(
            SecondLook(
                one.lookup_id,
                one.asker,
                one.purpose,
                one.reason,
                as_instant(one.asked, "asked"),
                as_instant(one.due, "due"),
            )
            for one in message.looks
        )
    except DocumentInvalid as err:
        raise DeskMalformed(f"a desk message has a {err.key} outside what desk.proto allows") from None


def opinion_to_wire(opinion: SecondOpinion) -> desk_pb2.GiveSecondLookRequest:
    """Encode an opinion."""
    return desk_pb2.GiveSecondLookRequest(
        lookup_id=opinion.lookup_id, justified=opinion.justified, note=opinion.note, by=opinion.by
    )


def opinion_from_wire(message: desk_pb2.GiveSecondLookRequest) -> SecondOpinion:
    """Read and check an opinion; raises SecondLookGone, ReasonMissing."""
    return SecondOpinion(message.lookup_id, message.justified, message.note, message.by)
