"""Receipts: signed by the custodian alone, bound to one question and one answer, and holding no child."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from elsewhere.errors import DocumentInvalid, NotCanonical, ReceiptMismatch, SignatureInvalid
from elsewhere.lookup import (
    REPLY_KEY_BYTES,
    SLOTS,
    Answer,
    AnswerState,
    Contact,
    Decision,
    Documents,
    EvaluateRequest,
    Flag,
    Head,
    RedeemReply,
    Ruling,
    Terms,
    elements_digest,
)
from elsewhere.receipt import (
    RECEIPT_TYPE,
    Asked,
    Receipt,
    answer_digest,
    answer_to_json,
    check_receipt,
    is_call_reference,
    open_member_receipt,
    open_receipt,
    sign_receipt,
)
from elsewhere.roster import Member
from elsewhere.signing import SigningKey, sign_bytes, sign_document
from tests.partnership import first_roster

KEY, OTHER = SigningKey.from_seed(b"\x01" * 32), SigningKey.from_seed(b"\x02" * 32)
NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
ANSWER = Answer(
    AnswerState.KNOWN_CURRENT,
    strength="STRONG",
    tier="R3",
    contact=Contact("Family Hub", "0000 000 001", "0000 000 002"),
    last_contact_band="<30d",
    flags=(Flag("CP_PLAN", "2026-01-05"),),
)
REQUEST = EvaluateRequest(
    lookup_id=b"i" * 16,
    searcher="police",
    custodian="trust",
    collection="involvement",
    epoch=1,
    match_key_version="1",
    held=Head(0),
    terms=Terms("S47_ENQUIRY", "A6E", "RED", "practitioner", b"p" * 32, b"c" * 32),
    commitment=b"m" * 32,
    documents=Documents(b"a" * 32, 1, b"s" * 32),
    issued_ms=1,
    nonce=b"n" * 16,
    reply_key=bytes(REPLY_KEY_BYTES),
    elements=tuple(bytes([n]) * 32 for n in range(SLOTS)),
)
DIGEST = hashlib.sha256(b"the signed request").digest()
RECEIPT = Receipt(
    custodian="trust",
    searcher="police",
    commitment=REQUEST.commitment.hex(),
    elements=elements_digest(REQUEST.elements),
    request_digest=DIGEST.hex(),
    decision="PERMIT",
    clause="rule 4: s47 enquiries",
    tier="R3",
    released=answer_digest(ANSWER),
    leaf="0" * 64,
    call_reference="A1B2C3D4",
    time_utc=NOW,
)
STRANGER = SigningKey.from_seed(b"\x03" * 32)
ROSTER = first_roster(
    Member("trust", "NHS Trust", "NHS_TRUST", "NHS Trust", "suspended", KEY.public),
    Member("police", "Police", "POLICE", "Police", "active", OTHER.public),
    issued=NOW,
    until=NOW + timedelta(days=90),
)
ASKED = Asked(REQUEST, DIGEST, Ruling(Decision.PERMIT, clause=RECEIPT.clause))
REPLY = RedeemReply(b"r" * 32, ANSWER, sign_receipt(KEY, RECEIPT), "A1B2C3D4")


def test_a_receipt_comes_back_as_the_custodian_signed_it() -> None:
    assert open_receipt(sign_receipt(KEY, RECEIPT), KEY.public) == RECEIPT


def test_a_receipt_of_another_agency_proves_nothing() -> None:
    with pytest.raises(SignatureInvalid):
        open_receipt(sign_receipt(OTHER, RECEIPT), KEY.public)


def test_a_receipt_from_a_case_file_is_read_by_the_member_it_names() -> None:
    receipt, member = open_member_receipt(sign_receipt(KEY, RECEIPT), ROSTER)

    assert (receipt, member.name, member.state) == (RECEIPT, "NHS Trust", "suspended")


@pytest.mark.parametrize(
    ("signer", "receipt"),
    [
        (OTHER, RECEIPT),
        (STRANGER, RECEIPT),
        (KEY, replace(RECEIPT, custodian="nobody")),
    ],
    ids=["another member", "no member", "names nobody"],
)
def test_a_receipt_that_its_custodian_did_not_sign_proves_nothing(
    signer: SigningKey, receipt: Receipt
) -> None:
    with pytest.raises(SignatureInvalid):
        open_member_receipt(sign_receipt(signer, receipt), ROSTER)


def test_a_document_of_another_kind_is_no_receipt() -> None:
    envelope = sign_document([KEY], "application/vnd.elsewhere.roster.v1+json", RECEIPT.to_json())

    with pytest.raises(SignatureInvalid):
        open_receipt(envelope, KEY.public)


def test_a_signed_receipt_in_another_spelling_is_refused() -> None:
    spaced = b'{ "custodian": "trust" }'
    signature = sign_bytes(KEY, RECEIPT_TYPE, spaced)
    envelope = sign_document([KEY], RECEIPT_TYPE, RECEIPT.to_json())
    document = json.loads(envelope)
    document["payload"] = base64.b64encode(spaced).decode()
    document["signatures"][0]["sig"] = base64.b64encode(signature).decode()

    with pytest.raises(NotCanonical):
        open_receipt(json.dumps(document).encode(), KEY.public)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("custodian", "Not An Id"),
        ("searcher", ""),
        ("commitment", "ab"),
        ("request_digest", "A" * 64),
        ("decision", "MAYBE"),
        ("clause", "x" * 201),
        ("clause", "two\nlines"),
        ("tier", "R4"),
        ("released", None),
        ("leaf", "0" * 63),
        ("elements", "0" * 63),
        ("call_reference", "short"),
        ("time_utc", NOW + timedelta(microseconds=1)),
        ("time_utc", datetime(2026, 9, 1)),
    ],
)
def test_a_receipt_outside_its_form_cannot_be_held(field: str, value: object) -> None:
    with pytest.raises(DocumentInvalid) as refusal:
        replace(RECEIPT, **{field: value})  # type: ignore[arg-type]

    assert refusal.value.key == field


@pytest.mark.parametrize("change", [{"unknown": 1}, {"clause": 3}, {"decision": "permit"}])
def test_a_signed_payload_outside_the_form_is_refused(change: dict[str, object]) -> None:
    envelope = sign_document([KEY], RECEIPT_TYPE, {**RECEIPT.to_json(), **change})  # type: ignore[dict-item]

    with pytest.raises(DocumentInvalid):
        open_receipt(envelope, KEY.public)


def test_a_receipt_of_this_question_and_answer_passes() -> None:
    check_receipt(RECEIPT, asked=ASKED, reply=REPLY, now=NOW)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("custodian", "school"),
        ("searcher", "school"),
        ("commitment", "1" * 64),
        ("request_digest", "1" * 64),
        ("tier", "R1"),
        ("released", "1" * 64),
        ("elements", "1" * 64),
        ("call_reference", "ZZZZZZZZ"),
        ("decision", "DENY"),
        ("clause", "rule 5: another"),
        ("time_utc", NOW - timedelta(minutes=7)),
        ("time_utc", NOW + timedelta(minutes=7)),
    ],
)
def test_a_receipt_about_anything_else_is_refused(field: str, value: object) -> None:
    other = replace(RECEIPT, **{field: value})  # type: ignore[arg-type]

    with pytest.raises(ReceiptMismatch) as refusal:
        check_receipt(other, asked=ASKED, reply=REPLY, now=NOW)

    assert refusal.value.field == field


def test_every_field_of_an_answer_changes_its_digest() -> None:
    others = [
        replace(ANSWER, state=AnswerState.KNOWN_PAST),
        replace(ANSWER, strength="WEAK"),
        replace(ANSWER, tier="R2"),
        replace(ANSWER, contact=replace(ANSWER.contact, service="Other")),
        replace(ANSWER, contact=replace(ANSWER.contact, in_hours="Other")),
        replace(ANSWER, contact=replace(ANSWER.contact, out_of_hours="Other")),
        replace(ANSWER, last_contact_band="<7d"),
        replace(ANSWER, flags=()),
        replace(ANSWER, source_age_days=1),
        replace(ANSWER, source_stale=True),
    ]

    assert len({answer_digest(answer) for answer in (ANSWER, *others)}) == 11
    assert len(answer_to_json(ANSWER)) == 10


def test_a_receipt_holds_nothing_of_the_answer_but_its_digest() -> None:
    text = str(RECEIPT.to_json())

    assert "Family Hub" not in text
    assert "CP_PLAN" not in text


def test_a_receipt_leaves_room_in_the_reply_of_constant_size() -> None:
    assert len(sign_receipt(KEY, replace(RECEIPT, clause="x" * 200, decision="RATE_LIMITED"))) < 1800


def test_a_call_reference_is_eight_letters_and_digits() -> None:
    assert is_call_reference("A1B2C3D4")
    assert not is_call_reference("A1B2C3D")
    assert not is_call_reference("A1B2 3D4")


def test_an_answer_that_was_not_permitted_is_refused_though_round_one_was_lost() -> None:
    receipt = replace(RECEIPT, decision="DENY")

    with pytest.raises(ReceiptMismatch) as refusal:
        check_receipt(receipt, asked=replace(ASKED, ruling=None), reply=REPLY, now=NOW)

    assert refusal.value.field == "decision"
