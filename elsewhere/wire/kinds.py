"""The four kinds of lookup message: payload type, constant size, and the place in the protocol of each.

Source:   docs/protocol.md, "Envelope".
"""

from __future__ import annotations

from typing import Final

from elsewhere import sealing
from elsewhere.lookup import PROTOCOL_VERSION
from elsewhere.sealing import Context
from elsewhere.wire.envelope import Kind

EVALUATE_REQUEST: Final = Kind("application/vnd.elsewhere.evaluate-request.v1", sealing.EVALUATE_REQUEST)
EVALUATE_REPLY: Final = Kind("application/vnd.elsewhere.evaluate-reply.v1", sealing.EVALUATE_REPLY)
REDEEM_REQUEST: Final = Kind("application/vnd.elsewhere.redeem-request.v1", sealing.REDEEM_REQUEST)
REDEEM_REPLY: Final = Kind("application/vnd.elsewhere.redeem-reply.v1", sealing.REDEEM_REPLY)


def request_context(searcher: str, custodian: str, lookup_id: bytes, round_: int) -> Context:
    """The place of a message from searcher to custodian in round 1 or 2."""
    return Context(PROTOCOL_VERSION, searcher, custodian, "request", lookup_id, round_)


def reply_context(searcher: str, custodian: str, lookup_id: bytes, round_: int) -> Context:
    """The place of a message from custodian back to searcher in round 1 or 2."""
    return Context(PROTOCOL_VERSION, custodian, searcher, "reply", lookup_id, round_)
