"""Parsers of studies: what researchers sign, what members sign, and the frames that carry them."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from elsewhere.agreement.studies import Research
from elsewhere.canonical import canonical_json
from elsewhere.errors import ElsewhereError
from elsewhere.fields import Fields
from elsewhere.research.budget import (
    BudgetRequest,
    BudgetStatement,
    open_budget,
    open_budget_request,
    sign_budget,
    sign_budget_request,
)
from elsewhere.research.query import Asking, Query, check_terms, make_query, open_query, sign_query
from elsewhere.sdk.researcher.kept import Kept
from elsewhere.securesum.masks import open_total
from elsewhere.securesum.prepare import Prepare, open_prepare, read_prepare, sign_prepare
from elsewhere.securesum.share import Share, open_share, read_share, sign_share
from elsewhere.signing import SigningKey
from elsewhere.wire.convert import study
from elsewhere.wire.v1 import study_pb2
from tests.fuzz.mutation import as_json
from tests.fuzz.parser import Parser, document, message_of, wire
from tests.summing import roster_of
from tests.unit.node import study_world as world

AGREEMENT = world.agreement_of(world.research())
ROSTER = roster_of(world.NAMES)
KEY = SigningKey(b"n" * 32)
QID = hashlib.sha256(b"query").digest()


def _query() -> Query:
    asking = Asking("early-help", "ana", 12_000_000, b"n" * 16, world.NOW + timedelta(minutes=5))
    return make_query(world.QUESTION, asking, AGREEMENT, ROSTER)


def _terms(value: object) -> None:
    """A query that a person of the project has signed: its content may be anything."""
    check_terms(Query.from_fields(Fields(value)), AGREEMENT, ROSTER, now=world.NOW)


def _research(value: object) -> None:
    """The research part of an agreement."""
    found = Research.from_fields(Fields(value, "research"))
    assert Research.from_fields(Fields(found.to_json(), "research")) == found


def _opened(data: bytes) -> None:
    """A body beside an honest one: any bytes of that length make some total."""
    open_total([bytes(16), (data + bytes(16))[:16]], 2)


def study_parsers() -> tuple[Parser, ...]:
    """Everything that is read of others in a study."""
    query, part = _query(), world.research().to_json()
    prepare = Prepare("police", QID, b"e" * 32, {"schools": b"d" * 32}, 123_456_789)
    bare = Prepare("police", QID, b"e" * 32, {}, 900_000_001)
    share = Share("police", QID, b"r" * 32, bytes(16), b"l" * 32)
    kept = Kept(
        query=sign_query(world.RESEARCHER, query),
        prepares=(sign_prepare(KEY, prepare),),
        shares={"police": sign_share(KEY, share)},
        chain=(b"{}",),
        roster=b"{}",
        agreement=b"{}",
    )
    request = BudgetRequest("early-help", "ana", b"n" * 16, world.NOW + timedelta(minutes=5))
    stated = BudgetStatement("police", QID, 1, 2, 3)
    sent = (
        study_pb2.AttendRequest(prepared=study_pb2.Prepared(qid=QID, prepare=sign_prepare(KEY, prepare))),
        study_pb2.AttendRequest(shared=study_pb2.Shared(qid=QID, share=sign_share(KEY, share))),
        study_pb2.AttendRequest(refused=study_pb2.StudyRefused(qid=QID, code="refused.budget")),
    )
    got = (
        study_pb2.AttendResponse(prepare=study_pb2.PrepareCall(qid=QID, query=b"{}")),
        study_pb2.AttendResponse(commit=study_pb2.CommitCall(qid=QID, query=b"{}", prepares=[b"1", b"2"])),
    )
    signed = as_json(canonical_json)
    return (
        document("study_terms", _terms, canonical_json(query.to_json())),
        document("study_agreed", _research, canonical_json(part)),
        Parser(
            "study_query",
            lambda data: open_query(data, AGREEMENT),
            (sign_query(world.RESEARCHER, query),),
            signed,
        ),
        Parser(
            "study_budget_request",
            lambda data: open_budget_request(data, AGREEMENT),
            (sign_budget_request(world.RESEARCHER, request),),
            signed,
        ),
        Parser(
            "study_budget", lambda data: open_budget(data, KEY.public), (sign_budget(KEY, stated),), signed
        ),
        Parser("study_prepare", read_prepare, (prepare.payload, bare.payload), signed),
        Parser(
            "study_prepare_signed",
            lambda data: open_prepare(data, KEY.public),
            (sign_prepare(KEY, prepare),),
            signed,
        ),
        Parser("study_share", read_share, (canonical_json(share.to_json()),), signed),
        Parser(
            "study_share_signed", lambda data: open_share(data, KEY.public), (sign_share(KEY, share),), signed
        ),
        Parser(
            "study_file", Kept.from_bytes, (kept.to_bytes(),), as_json(lambda v: canonical_json(v) + b"\n")
        ),
        Parser("study_body", _opened, (bytes(16),), refusals=(ElsewhereError,)),
        wire(
            "study_from_node",
            study_pb2.AttendRequest,
            message_of(study_pb2.AttendRequest, study.check_from_node),
            *(frame.SerializeToString() for frame in sent),
        ),
        wire(
            "study_from_gateway",
            study_pb2.AttendResponse,
            message_of(study_pb2.AttendResponse, study.check_from_gateway),
            *(frame.SerializeToString() for frame in got),
        ),
    )
