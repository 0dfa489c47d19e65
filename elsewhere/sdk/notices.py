"""Messages to one's own duty desk: `read_notices(desk)`, and `finish_notice(desk, done)` for each dealt with.

Sees:     who was told of a child that this agency knows, and which of its own records that were.
"""

from __future__ import annotations

from elsewhere.noticing import Notice, NoticeDone
from elsewhere.sdk.desk import Desk
from elsewhere.wire.convert.desk_notice import done_to_wire, notices_from_wire
from elsewhere.wire.v1 import desk_pb2


def read_notices(desk: Desk) -> tuple[Notice, ...]:
    """Give the messages that nobody has dealt with yet, the oldest first.

    Raises:
        DeskUnreachable: no node answers.
        RoleMissing: the token gives no role of the duty desk.
    """
    return notices_from_wire(desk.call(desk.stub.ListNotices, desk_pb2.ListNoticesRequest()))


def finish_notice(desk: Desk, done: NoticeDone) -> None:
    """Say that somebody has dealt with one; it leaves the list and is in the log.

    Raises:
        DeskUnreachable: no node answers; look at `read_notices` before trying again.
        NoticeGone: no such message waits.
        RoleMissing: the token gives no role of the duty desk.
    """
    desk.call(desk.stub.FinishNotice, done_to_wire(done))
