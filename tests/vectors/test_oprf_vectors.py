"""The published vectors of the group and of the OPRF, run on both copies of libsodium."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from elsewhere.errors import MalformedElement, MalformedKey, MalformedScalar
from elsewhere.oprf import group, voprf

DATA = Path(__file__).parent


def read_vectors(name: str) -> Any:
    """Give the vectors of a file whose stated sha256 still fits them, so that no edit goes unnoticed."""
    document = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    assert set(document) == {"source", "section", "date", "sha256", "vectors"}
    compact = json.dumps(document["vectors"], sort_keys=True, separators=(",", ":")).encode()
    assert hashlib.sha256(compact).hexdigest() == document["sha256"]
    return document["vectors"]


OPRF = read_vectors("rfc9497_voprf_ristretto255")
GROUP = read_vectors("rfc9496_ristretto255")
OWN = read_vectors("own_malformed")
CASES = pytest.mark.parametrize("case", OPRF["cases"], ids=lambda case: case["section"])


@pytest.fixture(autouse=True, params=[pytest.param("system", marks=pytest.mark.needs("libsodium")), "rbcl"])
def _library(request: pytest.FixtureRequest) -> Iterator[None]:
    before = group.library().origin
    group.use_library(request.param)
    assert group.library().origin == request.param
    yield
    group.use_library(before)


def unhex(values: list[str]) -> list[bytes]:
    return [bytes.fromhex(value) for value in values]


def test_the_key_pair_derives_as_published() -> None:
    key = voprf.derive_key(bytes.fromhex(OPRF["derive_seed"]), bytes.fromhex(OPRF["key_info"]))

    assert key.scalar.hex() == OPRF["secret_key"]
    assert voprf.public_key(key).hex() == OPRF["public_key"]


@CASES
def test_blinding_gives_the_published_elements(case: dict[str, Any]) -> None:
    assert voprf.blind(unhex(case["inputs"]), unhex(case["blinds"])) == unhex(case["blinded"])


@CASES
def test_evaluation_gives_the_published_elements_and_proof(case: dict[str, Any]) -> None:
    key = voprf.OprfKey(bytes.fromhex(OPRF["secret_key"]))
    uniform = bytes.fromhex(case["proof_scalar"]).ljust(64, b"\0")  # reduces to the published scalar

    evaluation = voprf.blind_evaluate(key, unhex(case["blinded"]), random=lambda n: uniform[:n])

    assert list(evaluation.elements) == unhex(case["evaluated"])
    assert evaluation.proof.hex() == case["proof"]


@CASES
def test_finalising_checks_the_published_proof_and_gives_the_published_outputs(case: dict[str, Any]) -> None:
    evaluation = voprf.Evaluation(tuple(unhex(case["evaluated"])), bytes.fromhex(case["proof"]))
    inputs, blinds, blinded = (unhex(case[part]) for part in ("inputs", "blinds", "blinded"))
    public = bytes.fromhex(OPRF["public_key"])

    assert voprf.finalise(inputs, blinds, blinded, evaluation, public) == unhex(case["outputs"])
    assert voprf.unblind_tags(inputs, blinds, evaluation.elements) == [
        output[:32] for output in unhex(case["outputs"])
    ]


@CASES
def test_direct_evaluation_gives_the_published_outputs(case: dict[str, Any]) -> None:
    key = voprf.OprfKey(bytes.fromhex(OPRF["secret_key"]))

    assert voprf.evaluate(key, unhex(case["inputs"])) == unhex(case["outputs"])
    assert voprf.tag_each(key, unhex(case["inputs"])) == [out[:32] for out in unhex(case["outputs"])]


def test_multiples_of_the_generator_are_as_published() -> None:
    multiples = unhex(GROUP["multiples"])

    assert multiples[0] == group.IDENTITY
    for n, expected in enumerate(multiples[1:], 1):
        assert group.multiply_base(n.to_bytes(32, "little")) == expected
        assert group.add(multiples[n - 1], multiples[1]) == expected
    assert group.sum_elements(multiples[1:6]) == multiples[15]


def test_elements_derive_from_hashes_as_published() -> None:
    for case in GROUP["derived"]:
        uniform = hashlib.sha512(case["sha512_of"].encode("ascii")).digest()
        assert group.from_uniform(uniform).hex() == case["element"]


@pytest.mark.parametrize(
    "encoded",
    [bytes.fromhex(value) for kind in GROUP["invalid"].values() for value in kind]
    + [bytes.fromhex(case["element"]) for case in OWN["malformed"]],
    ids=lambda encoded: encoded.hex()[:12],
)
def test_every_bad_encoding_is_refused_by_every_door(encoded: bytes) -> None:
    good = bytes.fromhex(GROUP["multiples"][1])
    one, two = (n.to_bytes(32, "little") for n in (1, 2))

    assert not group.is_element(encoded)
    with pytest.raises(MalformedElement) as refusal:
        group.check_batch([good, encoded])
    assert refusal.value.index == 1
    with pytest.raises(MalformedElement) as refusal:
        group.multiply_each(two, [good, encoded])
    assert refusal.value.index == 1
    with pytest.raises(MalformedElement) as refusal:
        group.multiply_pairs([one, two], [good, encoded])
    assert refusal.value.index == 1
    with pytest.raises(MalformedElement) as refusal:
        voprf.blind_evaluate(voprf.OprfKey(two), [good, encoded], random=bytes)
    assert refusal.value.index == 1
    with pytest.raises(MalformedKey):
        voprf.check_proof(encoded, [good], voprf.Evaluation((good,), bytes(64)))
    if encoded != group.IDENTITY:  # the identity may be added, though never sent
        with pytest.raises(MalformedElement):
            group.add(good, encoded)


@pytest.mark.parametrize("case", OWN["bad_scalars"], ids=lambda case: case["why"])
def test_every_bad_scalar_is_refused_as_key_and_as_blind(case: dict[str, str]) -> None:
    scalar = bytes.fromhex(case["scalar"])

    with pytest.raises(MalformedScalar):
        group.check_scalar(scalar)
    with pytest.raises(MalformedKey):
        voprf.OprfKey(scalar)
    with pytest.raises(MalformedScalar):
        voprf.blind([b"input"], [scalar])
    with pytest.raises(MalformedScalar):
        group.invert_scalars([(1).to_bytes(32, "little"), scalar])
    assert not voprf.opens(b"input", scalar, bytes.fromhex(GROUP["multiples"][1]))
