"""Checks of every frame of a study, for both ends.

Sees:     agency ids, signed documents, sealed keys.
Refuses:  a frame that breaks a rule of study.proto.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from elsewhere.errors import FrameMalformed
from elsewhere.roster import AGENCY_ID
from elsewhere.sealing import STUDY, sealed_size
from elsewhere.wire.v1 import study_pb2

QID_BYTES = 32
MAX_QUERY_BYTES = 64 * 1024
MAX_PREPARE_BYTES = 64 * 1024
MAX_SHARE_BYTES = 1024 * 1024
MAX_PARTICIPANTS = 100
REFUSAL = re.compile(r"refused\.[a-z_]{1,40}")

_AGENCY = re.compile(AGENCY_ID)


def answered_qid(frame: study_pb2.AttendRequest) -> bytes:
    """What a node's frame is about; empty for a frame of a later version."""
    kind = frame.WhichOneof("frame")
    return bytes(getattr(frame, kind).qid) if kind is not None else b""


def check_from_node(frame: study_pb2.AttendRequest) -> None:
    """Return only if a frame that a node sent keeps every rule; raises FrameMalformed."""
    kind = frame.WhichOneof("frame")
    if kind is None:
        return
    _check_qid(getattr(frame, kind).qid)
    if kind == "prepared":
        _check_bytes("prepare", frame.prepared.prepare, MAX_PREPARE_BYTES)
        _check_seals(frame.prepared.seals)
    elif kind == "shared":
        _check_bytes("share", frame.shared.share, MAX_SHARE_BYTES)
    elif kind == "refused":
        if REFUSAL.fullmatch(frame.refused.code) is None:
            raise FrameMalformed("code", "expected a code that begins with refused.")
    elif kind == "budget":
        _check_bytes("budget", frame.budget.budget, MAX_PREPARE_BYTES)


def check_from_gateway(frame: study_pb2.AttendResponse) -> None:
    """Return only if a frame of the gateway keeps every rule; raises FrameMalformed."""
    kind = frame.WhichOneof("frame")
    if kind is None:
        return
    _check_qid(getattr(frame, kind).qid)
    if kind == "prepare":
        _check_bytes("query", frame.prepare.query, MAX_QUERY_BYTES)
    elif kind == "commit":
        _check_bytes("query", frame.commit.query, MAX_QUERY_BYTES)
        if not 2 <= len(frame.commit.prepares) <= MAX_PARTICIPANTS:
            raise FrameMalformed("prepares", f"expected 2..{MAX_PARTICIPANTS}")
        for prepare in frame.commit.prepares:
            _check_bytes("prepares", prepare, MAX_PREPARE_BYTES)
        _check_seals(frame.commit.seals)
    elif kind == "budget":
        _check_bytes("request", frame.budget.request, MAX_QUERY_BYTES)


def _check_seals(seals: Sequence[study_pb2.Seal]) -> None:
    """At most one for each other participant, of one constant size."""
    if len(seals) >= MAX_PARTICIPANTS or len({seal.agency for seal in seals}) != len(seals):
        raise FrameMalformed("seals", "expected one for each other participant at most")
    for seal in seals:
        if _AGENCY.fullmatch(seal.agency) is None:
            raise FrameMalformed("agency", f"expected an agency id of the form {AGENCY_ID}")
        if len(seal.sealed) != sealed_size(STUDY):
            raise FrameMalformed("sealed", f"expected {sealed_size(STUDY)} bytes, got {len(seal.sealed)}")


def _check_qid(qid: bytes) -> None:
    if len(qid) != QID_BYTES:
        raise FrameMalformed("qid", f"expected {QID_BYTES} bytes, got {len(qid)}")


def _check_bytes(field: str, value: bytes, most: int) -> None:
    """Some bytes, within their bound."""
    if not 1 <= len(value) <= most:
        raise FrameMalformed(field, f"expected 1..{most} bytes, got {len(value)}")
