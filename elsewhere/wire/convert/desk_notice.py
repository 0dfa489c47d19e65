"""Messages to the duty desk, as desk messages and as values.

Refuses:  references, words and times out of form.
"""

from __future__ import annotations

from collections.abc import Sequence

from elsewhere.errors import DeskMalformed, DocumentInvalid
from elsewhere.fields import as_instant, format_instant
from elsewhere.noticing import MAX_NOTICES, Notice, NoticeDone
from elsewhere.wire.v1 import desk_pb2


def notices_to_wire(found: Sequence[Notice]) -> desk_pb2.ListNoticesResponse:
    """Encode those that wait."""
    return desk_pb2.ListNoticesResponse(
        notices=[
            desk_pb2.Notice(
                reference=one.reference,
                searcher=one.searcher,
                purpose=one.purpose,
                urgency=one.urgency,
                state=one.state,
                tier=one.tier,
                told=format_instant(one.told_utc.replace(microsecond=0)),
                records=[desk_pb2.NoticeRecord(source=source, id=id) for source, id in one.records],
            )
            for one in found
        ]
    )


def notices_from_wire(message: desk_pb2.ListNoticesResponse) -> tuple[Notice, ...]:
    """Read and check those that wait.

    Raises:
        DeskMalformed: more than there can be, or one out of bounds.
    """
    if len(message.notices) > MAX_NOTICES:
        raise DeskMalformed("a desk message has a number of notices outside what desk.proto allows")
    try:
        return tuple(
            Notice(
                one.reference,
                one.searcher,
                one.purpose,
                one.urgency,
                one.state,
                one.tier,
                as_instant(one.told, "told"),
                tuple((record.source, record.id) for record in one.records),
            )
            for one in message.notices
        )
    except DocumentInvalid as err:
        raise DeskMalformed(f"a desk message has a {err.key} outside what desk.proto allows") from None


def done_to_wire(done: NoticeDone) -> desk_pb2.FinishNoticeRequest:
    """Encode that one was dealt with."""
    return desk_pb2.FinishNoticeRequest(reference=done.reference, by=done.by)


def done_from_wire(message: desk_pb2.FinishNoticeRequest) -> NoticeDone:
    """Read and check that one was dealt with; raises NoticeGone."""
    return NoticeDone(message.reference, message.by)
