"""Sealed messages open for one key, in one place of the protocol, and are all of one size."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elsewhere.errors import MalformedKey, MessageTooLarge, SealBroken
from elsewhere.sealing import (
    EVALUATE_REPLY,
    EVALUATE_REQUEST,
    OVERHEAD_BYTES,
    PRIVATE_BYTES,
    PUBLIC_BYTES,
    Context,
    SealingKey,
    SealingPublic,
    open_sealed,
    pad,
    seal,
    sealed_size,
    unpad,
)

KEY = SealingKey.generate(Random(1).randbytes)
OTHER = SealingKey.generate(Random(2).randbytes)
CONTEXT = Context(1, "police", "nhs-trust", "request", b"\x07" * 16, 1)


def test_a_message_opens_for_its_key_and_context() -> None:
    sealed = seal(KEY.public, b"hello", context=CONTEXT, size=EVALUATE_REQUEST)

    assert open_sealed(KEY, sealed, context=CONTEXT) == b"hello"


def test_another_key_opens_nothing() -> None:
    sealed = seal(KEY.public, b"hello", context=CONTEXT, size=256)

    with pytest.raises(SealBroken):
        open_sealed(OTHER, sealed, context=CONTEXT)


@pytest.mark.parametrize(
    "other",
    [
        replace(CONTEXT, protocol_version=2),
        replace(CONTEXT, sender="polic", receiver="enhs-trust"),
        replace(CONTEXT, sender="school"),
        replace(CONTEXT, receiver="school"),
        replace(CONTEXT, direction="reply"),
        replace(CONTEXT, lookup=b"\x08" * 16),
        replace(CONTEXT, round=2),
        Context.for_catalogue_key(
            protocol_version=1, sender="police", receiver="nhs-trust", catalogue=b"\x07" * 16
        ),
    ],
    ids=["version", "shifted", "sender", "receiver", "direction", "lookup", "round", "catalogue"],
)
def test_a_message_opens_nowhere_else_in_the_protocol(other: Context) -> None:
    sealed = seal(KEY.public, b"hello", context=CONTEXT, size=256)

    with pytest.raises(SealBroken):
        open_sealed(KEY, sealed, context=other)


@given(st.integers(0, sealed_size(64) - 1), st.integers(0, 7))
def test_no_bit_of_a_sealed_message_can_be_flipped(index: int, bit: int) -> None:
    sealed = bytearray(seal(KEY.public, b"hello", context=CONTEXT, size=64))
    sealed[index] ^= 1 << bit

    with pytest.raises(SealBroken):
        open_sealed(KEY, bytes(sealed), context=CONTEXT)


@given(st.binary(max_size=2000))
def test_bytes_that_were_never_sealed_are_refused(sealed: bytes) -> None:
    with pytest.raises(SealBroken):
        open_sealed(KEY, sealed, context=CONTEXT)


@given(st.binary(max_size=60))
def test_every_message_of_a_kind_has_one_size_and_comes_back(message: bytes) -> None:
    sealed = seal(KEY.public, message, context=CONTEXT, size=64)

    assert len(sealed) == sealed_size(64) == 64 + OVERHEAD_BYTES
    assert open_sealed(KEY, sealed, context=CONTEXT) == message


def test_request_and_reply_have_the_measured_size_on_the_wire() -> None:
    assert sealed_size(EVALUATE_REQUEST) == sealed_size(EVALUATE_REPLY) == 5232
    assert len(seal(KEY.public, b"", context=CONTEXT, size=EVALUATE_REQUEST)) == 5232


def test_one_message_sealed_twice_shares_no_eight_bytes() -> None:
    first, second = (seal(KEY.public, b"hello", context=CONTEXT, size=256) for _ in range(2))
    windows = {first[i : i + 8] for i in range(len(first) - 7)}

    assert not any(second[i : i + 8] in windows for i in range(len(second) - 7))


def test_a_message_over_its_size_is_refused_before_sealing() -> None:
    assert len(pad(bytes(252), 256)) == 256
    with pytest.raises(MessageTooLarge):
        seal(KEY.public, bytes(253), context=CONTEXT, size=256)


@pytest.mark.parametrize(
    "padded",
    [b"", b"\0\0\0", b"\0\0\0\1", b"\0\0\0\1ab", b"\0\0\0\0\0\1", b"\xff\xff\xff\xffabc"],
)
def test_padding_other_than_zeros_is_refused(padded: bytes) -> None:
    with pytest.raises(SealBroken):
        unpad(padded)


def test_keys_survive_their_files_and_print_no_secret() -> None:
    again = SealingKey.from_bytes(KEY.to_bytes())

    assert len(KEY.to_bytes()) == PRIVATE_BYTES
    assert len(KEY.public.to_bytes()) == PUBLIC_BYTES
    assert again.public == KEY.public == SealingPublic.from_bytes(KEY.public.to_bytes())
    assert KEY.key_id in repr(KEY)
    assert repr(KEY.secret) not in repr(KEY)


@pytest.mark.parametrize("encoded", [b"", bytes(1215), bytes(1217), b"\xff" * 1216])
def test_bytes_that_are_no_public_key_are_refused(encoded: bytes) -> None:
    with pytest.raises(MalformedKey):
        SealingPublic.from_bytes(encoded)


def test_a_private_key_of_another_length_is_refused() -> None:
    with pytest.raises(MalformedKey):
        SealingKey.from_bytes(bytes(95))


def test_a_public_key_that_gives_no_shared_secret_is_refused() -> None:
    low_order = SealingPublic.from_bytes(KEY.public.to_bytes()[:1184] + bytes(32))

    with pytest.raises(MalformedKey):
        seal(low_order, b"hello", context=CONTEXT, size=64)


@pytest.mark.parametrize(
    "change",
    [
        {"sender": ""},
        {"receiver": ""},
        {"lookup": b""},
        {"lookup": bytes(256)},
        {"round": 0},
        {"round": 3},
        {"direction": "sideways"},
        {"direction": "catalogue-key"},
        {"protocol_version": -1},
        {"protocol_version": 2**32},
    ],
    ids=str,
)
def test_an_impossible_context_cannot_be_made(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        replace(CONTEXT, **change)  # type: ignore[arg-type]


names = st.text(st.characters(codec="ascii", categories=["Ll"]), min_size=1, max_size=4)
contexts = st.builds(
    Context,
    st.integers(0, 3),
    names,
    names,
    st.sampled_from(["request", "reply"]),
    st.binary(min_size=1, max_size=4),
    st.integers(1, 2),
)


@given(st.lists(contexts, min_size=2, max_size=6, unique=True))
def test_two_contexts_never_share_an_encoding(found: list[Context]) -> None:
    assert all(a.info() != b.info() for a, b in combinations(found, 2))
