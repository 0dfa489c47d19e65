"""Our published vectors of studies, made anew from docs/protocol.md alone, and met by the program.

`other_...` below is how another implementation works them out: nothing of it but the text, hashes and RFCs.
How to read the file: every value is named as in docs/protocol.md, "Studies"; bytes are hex; `payload` is the
text that was signed; numbers beyond 2^53 are texts. `masks` holds one pair of members, `sum` a whole opening.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import struct
from fractions import Fraction
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from elsewhere.fields import Fields
from elsewhere.research.question import Question
from elsewhere.securesum.accounting import charge_nrho
from elsewhere.securesum.masks import mask, open_total, pair_key
from elsewhere.securesum.noise import query_rho, share_scale
from elsewhere.securesum.prepare import read_prepare, roster_hash
from tests.vectors.test_oprf_vectors import read_vectors

STUDY = read_vectors("own_study")


def other_hkdf(secret: bytes, info: bytes) -> bytes:
    """RFC 5869 with no salt, for 32 bytes."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def other_words(key: bytes, count: int) -> list[int]:
    """RFC 8439 §2.4 with counter and nonce 0, as little-endian words of 64 bits."""
    stream = b"".join(other_block(key, number) for number in range(-(-count // 8)))
    return [int.from_bytes(stream[8 * at : 8 * at + 8], "little") for at in range(count)]


def other_block(key: bytes, counter: int) -> bytes:
    """RFC 8439 §2.3: twenty rounds, in columns and diagonals by turns."""
    start = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key), counter, 0, 0, 0]
    state = list(start)
    for _ in range(10):
        for shift in (0, 1):
            for one in range(4):
                other_quarter(state, *(4 * row + (one + row * shift) % 4 for row in range(4)))
    return struct.pack("<16I", *((one + two) % 2**32 for one, two in zip(state, start, strict=True)))


def other_quarter(state: list[int], a: int, b: int, c: int, d: int) -> None:
    """RFC 8439 §2.1."""
    for target, added, mixed, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[target] = (state[target] + state[added]) % 2**32
        turned = state[mixed] ^ state[target]
        state[mixed] = (turned << by | turned >> (32 - by)) % 2**32


def other_info(rh: bytes, one: str, other: str) -> bytes:
    parts = (b"elsewhere/study/mask/v1", rh, *(name.encode() for name in sorted((one, other))))
    return b"".join(struct.pack(">H", len(part)) + part for part in parts)


def other_roster(qid: bytes, colluding: int, payloads: list[bytes]) -> bytes:
    ordered = sorted(payloads, key=lambda payload: str(json.loads(payload)["agency"]).encode())
    parts = (b"elsewhere/study/roster/v1", qid, struct.pack(">I", colluding), *ordered)
    return hashlib.sha256(b"".join(struct.pack(">I", len(part)) + part for part in parts)).digest()


def octets(case: dict[str, Any], *names: str) -> list[bytes]:
    return [bytes.fromhex(case[name]) for name in names]


@pytest.mark.parametrize("case", STUDY["rosters"], ids=lambda case: case["what"])
def test_a_roster_has_the_published_digest(case: dict[str, Any]) -> None:
    (qid,) = octets(case, "qid")
    payloads = [text.encode() for text in case["payloads"]]
    prepares = [read_prepare(payload) for payload in payloads]

    assert [prepare.payload for prepare in prepares] == payloads
    assert roster_hash(qid, case["colluding"], prepares).hex() == case["rh"]
    assert other_roster(qid, case["colluding"], payloads).hex() == case["rh"]


@pytest.mark.parametrize("case", STUDY["masks"], ids=lambda case: case["what"])
def test_a_pair_has_the_published_key_and_words(case: dict[str, Any]) -> None:
    private, public, shared, drawn, rh = octets(case, "private", "peer_epk", "shared", "drawn", "rh")
    exchanged = X25519PrivateKey.from_private_bytes(private).exchange(
        X25519PublicKey.from_public_bytes(public)
    )
    one, other, words = case["me"], case["peer"], [int(word) for word in case["words"]]

    assert exchanged == shared
    assert pair_key(shared, drawn, rh, one, other).hex() == case["key"]
    assert other_hkdf(shared + drawn, other_info(rh, one, other)).hex() == case["key"]
    assert other_words(bytes.fromhex(case["key"]), len(words)) == words
    sign = 1 if one < other else -1
    masked = mask([0] * len(words), one, {other: bytes.fromhex(case["key"])})
    assert masked == b"".join((sign * word % 2**64).to_bytes(8, "little") for word in words)


def test_the_published_bodies_are_masked_as_said_and_open_to_the_totals() -> None:
    case = STUDY["sum"]
    values = {agency: [int(value) for value in found] for agency, found in case["values"].items()}
    keys = {frozenset(pair["of"]): bytes.fromhex(pair["key"]) for pair in case["keys"]}
    totals = [int(total) for total in case["totals"]]

    for me, mine in values.items():
        of_me = {other: keys[frozenset((me, other))] for other in values if other != me}
        words = list(mine)
        for other, key in of_me.items():
            sign = 1 if me < other else -1
            words = [word + sign * pad for word, pad in zip(words, other_words(key, len(words)), strict=True)]
        written = struct.pack(f"<{len(words)}Q", *(word % 2**64 for word in words))
        assert written.hex() == case["bodies"][me] == mask(mine, me, of_me).hex()
    bodies = [bytes.fromhex(body) for body in case["bodies"].values()]
    assert open_total(bodies, len(totals)) == totals == [sum(c) for c in zip(*values.values(), strict=True)]


@pytest.mark.parametrize("case", STUDY["costs"], ids=lambda case: case["what"])
def test_a_question_has_the_published_sensitivity_and_cost(case: dict[str, Any]) -> None:
    question = Question.from_fields(Fields(case["question"]))
    square, sigma, k, most = (case[name] for name in ("sensitivity_squared", "sigma_micro", "k", "K"))

    assert (question.width, question.clamp) == (case["width"], case["clamp"])
    assert question.sensitivity_squared == square
    assert charge_nrho(query_rho(sigma / 1e6, square), holders=k, most_agencies=most) == case["charge_nrho"]
    exact = Fraction(square * 10**12, 2 * sigma**2)
    assert case["charge_nrho"] - (math.ceil(most * k * exact * 10**9) + 1) in (0, 1)  # OpenDP's map rounds up


@pytest.mark.parametrize("case", STUDY["shares"], ids=lambda case: case["what"])
def test_a_share_has_the_published_scale(case: dict[str, Any]) -> None:
    found = share_scale(
        sigma=case["sigma_micro"] / 1e6,
        sensitivity_squared=case["sensitivity_squared"],
        operators=case["n"],
        colluding=case["c"],
        floor_nrho=case["floor_nrho"],
    )

    assert round(found * 1e6) == case["scale_micro"]
