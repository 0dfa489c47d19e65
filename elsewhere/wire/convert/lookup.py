"""Lookup messages between bytes and checked values. The gateway must never import this module.

Refuses:  bytes that do not parse, unknown enumerations, and what `elsewhere.lookup` refuses.
Source:   proto/elsewhere/wire/v1/lookup.proto.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError, Message

from elsewhere import lookup as value
from elsewhere.errors import LookupMalformed
from elsewhere.wire.v1 import common_pb2, lookup_pb2

_STRENGTHS = {"": 0, "WEAK": 1, "STRONG": 2, "IDENTIFIER": 3}
_STRENGTH_NAMES = {number: name for name, number in _STRENGTHS.items()}


def evaluate_request_to_wire(request: value.EvaluateRequest) -> bytes:
    """Encode round one's question."""
    terms, documents = request.terms, request.documents
    return lookup_pb2.EvaluateRequest(
        protocol_version=request.protocol_version,
        lookup_id=request.lookup_id,
        searcher=request.searcher,
        custodian=request.custodian,
        collection=request.collection,
        epoch=request.epoch,
        match_key_version=request.match_key_version,
        held=_head_to_wire(request.held),
        purpose=terms.purpose,
        basis=terms.basis,
        urgency=terms.urgency,
        role=terms.role,
        pseudonym=terms.pseudonym,
        case_reference=terms.case_reference,
        commitment=request.commitment,
        agreement_digest=documents.agreement_digest,
        roster_version=documents.roster_version,
        statement_digest=documents.statement_digest,
        issued_ms=request.issued_ms,
        nonce=request.nonce,
        reply_key=request.reply_key,
        elements=request.elements,
    ).SerializeToString(deterministic=True)


def evaluate_request_from_wire(data: bytes) -> value.EvaluateRequest:
    """Decode and check round one's question; raises LookupMalformed."""
    found = lookup_pb2.EvaluateRequest()
    _parse(found, data)
    return value.EvaluateRequest(
        protocol_version=found.protocol_version,
        lookup_id=found.lookup_id,
        searcher=found.searcher,
        custodian=found.custodian,
        collection=found.collection,
        epoch=found.epoch,
        match_key_version=found.match_key_version,
        held=_head_from_wire(found.held),
        terms=value.Terms(
            found.purpose, found.basis, found.urgency, found.role, found.pseudonym, found.case_reference
        ),
        commitment=found.commitment,
        documents=value.Documents(found.agreement_digest, found.roster_version, found.statement_digest),
        issued_ms=found.issued_ms,
        nonce=found.nonce,
        reply_key=found.reply_key,
        elements=tuple(found.elements),
    )


def evaluate_reply_to_wire(reply: value.EvaluateReply) -> bytes:
    """Encode round one's reply."""
    ruling = reply.ruling
    return lookup_pb2.EvaluateReply(
        request_digest=reply.request_digest,
        decision=lookup_pb2.Decision.ValueType(ruling.decision.value),
        code=ruling.code,
        clause=ruling.clause,
        remedy=ruling.remedy,
        expected_by_ms=ruling.expected_by_ms,
        elements=reply.elements,
        proof=reply.proof,
        published=_head_to_wire(reply.published),
        others=[
            lookup_pb2.CollectionHead(collection=collection, epoch=epoch, head=_head_to_wire(head))
            for collection, epoch, head in reply.others
        ],
    ).SerializeToString(deterministic=True)


def evaluate_reply_from_wire(data: bytes) -> value.EvaluateReply:
    """Decode and check round one's reply; raises LookupMalformed."""
    found = lookup_pb2.EvaluateReply()
    _parse(found, data)
    try:
        decision = value.Decision(found.decision)
    except ValueError:
        raise LookupMalformed("a lookup message has a decision outside what the protocol allows") from None
    return value.EvaluateReply(
        request_digest=found.request_digest,
        ruling=value.Ruling(decision, found.code, found.clause, found.remedy, found.expected_by_ms),
        elements=tuple(found.elements),
        proof=found.proof,
        published=_head_from_wire(found.published),
        others=tuple((o.collection, o.epoch, _head_from_wire(o.head)) for o in found.others),
    )


def redeem_request_to_wire(request: value.RedeemRequest) -> bytes:
    """Encode round two's question."""
    return lookup_pb2.RedeemRequest(
        request_digest=request.request_digest,
        nonce=request.nonce,
        reveals=[lookup_pb2.Reveal(slot=r.slot, tag=r.tag, blind=r.blind) for r in request.reveals],
        names_asked=request.names_asked,
    ).SerializeToString(deterministic=True)


def redeem_request_from_wire(data: bytes) -> value.RedeemRequest:
    """Decode and check round two's question; raises LookupMalformed."""
    found = lookup_pb2.RedeemRequest()
    _parse(found, data)
    return value.RedeemRequest(
        request_digest=found.request_digest,
        nonce=found.nonce,
        reveals=tuple(value.Reveal(r.slot, r.tag, r.blind) for r in found.reveals),
        names_asked=found.names_asked,
    )


def redeem_reply_to_wire(reply: value.RedeemReply) -> bytes:
    """Encode round two's reply."""
    answer = reply.answer
    return lookup_pb2.RedeemReply(
        redeem_digest=reply.redeem_digest,
        answer=lookup_pb2.Answer(
            state=lookup_pb2.AnswerState.ValueType(answer.state.value),
            strength=lookup_pb2.Strength.ValueType(_STRENGTHS[answer.strength]),
            tier=answer.tier,
            service=answer.contact.service,
            contact_in_hours=answer.contact.in_hours,
            contact_out_of_hours=answer.contact.out_of_hours,
            last_contact_band=answer.last_contact_band,
            flags=[
                lookup_pb2.Flag(code=f.code, start_date=f.start_date, end_date=f.end_date)
                for f in answer.flags
            ],
            source_age_days=answer.source_age_days,
            source_stale=answer.source_stale,
        ),
        receipt=reply.receipt,
        call_reference=reply.call_reference,
    ).SerializeToString(deterministic=True)


def redeem_reply_from_wire(data: bytes) -> value.RedeemReply:
    """Decode and check round two's reply; raises LookupMalformed."""
    found = lookup_pb2.RedeemReply()
    _parse(found, data)
    return value.RedeemReply(
        redeem_digest=found.redeem_digest,
        answer=_answer_from_wire(found.answer),
        receipt=found.receipt,
        call_reference=found.call_reference,
    )


def signed_to_wire(payload: bytes, signature: bytes) -> bytes:
    """Encode a payload with its signature."""
    return common_pb2.Signed(payload=payload, signature=signature).SerializeToString(deterministic=True)


def signed_from_wire(data: bytes) -> tuple[bytes, bytes]:
    """Decode into payload and signature, of which nothing has been verified; raises LookupMalformed."""
    found = common_pb2.Signed()
    _parse(found, data)
    return found.payload, found.signature


def _answer_from_wire(found: lookup_pb2.Answer) -> value.Answer:
    """Decode and check the answer inside a redeem reply."""
    try:
        state = value.AnswerState(found.state)
        strength = _STRENGTH_NAMES[found.strength]
    except (ValueError, KeyError):
        raise LookupMalformed("a lookup message has an answer outside what the protocol allows") from None
    return value.Answer(
        state=state,
        strength=strength,
        tier=found.tier,
        contact=value.Contact(found.service, found.contact_in_hours, found.contact_out_of_hours),
        last_contact_band=found.last_contact_band,
        flags=tuple(value.Flag(f.code, f.start_date, f.end_date) for f in found.flags),
        source_age_days=found.source_age_days,
        source_stale=found.source_stale,
    )


def _head_to_wire(head: value.Head) -> common_pb2.CatalogueHead:
    return common_pb2.CatalogueHead(version=head.version, root=head.root)


def _head_from_wire(found: common_pb2.CatalogueHead) -> value.Head:
    return value.Head(found.version, found.root)


def _parse(into: Message, data: bytes) -> None:
    """Parse, or refuse without quoting what came."""
    try:
        into.ParseFromString(data)
    except DecodeError:
        raise LookupMalformed("expected a message of the lookup protocol; the bytes do not parse") from None
