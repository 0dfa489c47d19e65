"""Signatures bind a payload to its kind and its signer."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elsewhere import signing
from elsewhere.errors import MalformedKey, NotCanonical, SignatureInvalid
from elsewhere.signing import (
    MAX_ENVELOPE_BYTES,
    MAX_SIGNATURES,
    SPARE_TRIALS,
    SigningKey,
    check_signature,
    key_id,
    open_document,
    open_envelope,
    pae,
    sign_bytes,
    sign_document,
)

TYPE = "application/vnd.elsewhere.test+json"
ALICE, BOB, CAROL = (SigningKey.from_seed(bytes([n]) * 32) for n in (1, 2, 3))


def test_a_signature_holds_for_its_payload_type_and_key_only() -> None:
    signature = sign_bytes(ALICE, TYPE, b"hello")

    check_signature(ALICE.public, TYPE, b"hello", signature)
    for public, kind, payload, given_signature in [
        (BOB.public, TYPE, b"hello", signature),
        (ALICE.public, TYPE + "x", b"hello", signature),
        (ALICE.public, TYPE, b"hellp", signature),
        (ALICE.public, TYPE, b"hello", signature[:-1]),
        (ALICE.public, TYPE, b"hello", bytes([signature[0] ^ 1]) + signature[1:]),
        (ALICE.public[:-1], TYPE, b"hello", signature),
        (b"", TYPE, b"hello", b""),
    ]:
        with pytest.raises(SignatureInvalid):
            check_signature(public, kind, payload, given_signature)


def test_a_signing_key_prints_its_id_and_no_secret() -> None:
    shown = repr(ALICE)

    assert ALICE.key_id in shown
    assert ALICE.seed.hex() not in shown
    assert repr(ALICE.seed) not in shown
    assert ALICE.key_id == key_id(ALICE.public)


def test_a_signing_key_of_another_length_is_refused() -> None:
    with pytest.raises(MalformedKey):
        SigningKey.from_seed(bytes(31))


def test_generate_uses_the_randomness_it_is_handed() -> None:
    assert SigningKey.generate(lambda n: b"\x01" * n).public == ALICE.public


def test_a_document_opens_to_its_value_for_any_listed_signer() -> None:
    envelope = sign_document([ALICE], TYPE, {"b": 1, "a": [True]})

    assert open_document(envelope, TYPE, [BOB.public, ALICE.public]) == {"a": [True], "b": 1}
    assert open_envelope(envelope, TYPE, [ALICE.public]) == b'{"a":[true],"b":1}'


def test_a_quorum_counts_different_listed_keys() -> None:
    envelope = sign_document([ALICE, CAROL], TYPE, {})

    open_document(envelope, TYPE, [ALICE.public, BOB.public, CAROL.public], 2)
    for publics, quorum in [
        ([ALICE.public, BOB.public], 2),
        ([ALICE.public, ALICE.public], 2),
        ([ALICE.public, BOB.public, CAROL.public], 3),
        ([ALICE.public], 0),
        ([], 1),
    ]:
        with pytest.raises(SignatureInvalid):
            open_document(envelope, TYPE, publics, quorum)


def _signed(payload: bytes, signatures: list[tuple[object, bytes]]) -> bytes:
    """An envelope of any signatures, under any names."""
    listed = [{"keyid": name, "sig": base64.b64encode(made).decode()} for name, made in signatures]
    return json.dumps(
        {"payload": base64.b64encode(payload).decode(), "payloadType": TYPE, "signatures": listed}
    ).encode()


@pytest.mark.parametrize("name", [ALICE.key_id, "0" * 16, None, ["no", "name"]], ids=str)
def test_bad_signatures_take_no_more_trials_than_there_are_keys_and_a_few(
    monkeypatch: pytest.MonkeyPatch, name: object
) -> None:
    tried: list[bytes] = []
    verifies = signing._verifies

    def counting(public: bytes, message: bytes, signature: bytes) -> bool:
        tried.append(public)
        return verifies(public, message, signature)

    monkeypatch.setattr(signing, "_verifies", counting)
    publics = [SigningKey.from_seed(bytes([n, n]) * 16).public for n in range(99)] + [ALICE.public]
    envelope = _signed(b"{}", [(name, bytes([n]) * 64) for n in range(MAX_SIGNATURES)])
    with pytest.raises(SignatureInvalid):
        open_document(envelope, TYPE, publics)
    assert len(tried) <= len(publics) + SPARE_TRIALS


def test_a_good_signature_is_found_among_bad_ones_by_its_name_and_without_one_among_a_few() -> None:
    good = sign_bytes(ALICE, TYPE, b"{}")
    bad: list[tuple[object, bytes]] = [("0" * 16, bytes(64))] * (MAX_SIGNATURES - 1)

    assert open_document(_signed(b"{}", [*bad, (ALICE.key_id, good)]), TYPE, [BOB.public, ALICE.public]) == {}
    few = bad[: SPARE_TRIALS // 2]
    assert open_document(_signed(b"{}", [*few, (None, good)]), TYPE, [BOB.public, ALICE.public]) == {}
    with pytest.raises(SignatureInvalid):
        open_document(_signed(b"{}", [*bad, (None, good)]), TYPE, [BOB.public, ALICE.public])


def test_an_envelope_over_the_limit_of_its_kind_is_refused() -> None:
    envelope = sign_document([ALICE], TYPE, {})

    assert open_document(envelope, TYPE, [ALICE.public], limit=len(envelope)) == {}
    with pytest.raises(SignatureInvalid):
        open_document(envelope, TYPE, [ALICE.public], limit=len(envelope) - 1)


def test_a_document_of_another_type_is_refused_though_signed() -> None:
    envelope = sign_document([ALICE], TYPE, {})

    with pytest.raises(SignatureInvalid):
        open_document(envelope, TYPE + "x", [ALICE.public])


def test_a_signed_payload_that_is_not_canonical_is_refused() -> None:
    payload = b'{"a":1,"a":2}'
    signature = ALICE.sign(pae(TYPE, payload))
    envelope = json.dumps(
        {
            "payloadType": TYPE,
            "payload": "eyJhIjoxLCJhIjoyfQ==",
            "signatures": [{"sig": base64.b64encode(signature).decode()}],
        }
    ).encode()

    with pytest.raises(NotCanonical):
        open_document(envelope, TYPE, [ALICE.public])


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b"{}",
        b'{"payload":1,"payloadType":"t","signatures":[]}',
        b'{"payload":"","payloadType":1,"signatures":[]}',
        b'{"payload":"","payloadType":"t","signatures":{}}',
        b'{"payload":"","payloadType":"t","signatures":[1]}',
        b'{"payload":"","payloadType":"t","signatures":[{"sig":null}]}',
        b'{"payload":"","payloadType":"t","signatures":[{"sig":"*"}]}',
        b'{"payload":"","payloadType":"t","signatures":[' + b",".join([b'{"sig":""}'] * 257) + b"]}",
        b"[" * 100_000,
        b" " * (MAX_ENVELOPE_BYTES + 1),
    ],
    ids=lambda envelope: repr(envelope[:60]),
)
def test_bytes_that_are_no_envelope_are_refused_with_our_own_error(envelope: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        open_document(envelope, "t", [ALICE.public])


def test_signing_twice_with_one_key_or_with_none_is_our_own_mistake() -> None:
    for keys in ([], [ALICE, ALICE]):
        with pytest.raises(ValueError, match="different signers"):
            sign_document(keys, TYPE, {})


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_no_single_bit_of_an_envelope_can_be_flipped_and_change_the_value(index: int, bit: int) -> None:
    envelope = bytearray(sign_document([ALICE], TYPE, {"a": "value"}))
    envelope[index % len(envelope)] ^= 1 << bit

    try:
        value = open_document(bytes(envelope), TYPE, [ALICE.public])
    except SignatureInvalid:
        return
    assert value == {"a": "value"}  # only the unauthenticated keyid, or base64's spare bits, were touched
