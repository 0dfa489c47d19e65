"""What the OPRF refuses, proves and keeps to itself."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

import pytest

from elsewhere.errors import (
    BatchSizeWrong,
    BatchTooLarge,
    MalformedElement,
    MalformedKey,
    MalformedScalar,
    ProofInvalid,
    SodiumMissing,
)
from elsewhere.oprf import dleq, group, voprf
from elsewhere.random import RandomBytes


def fixed_random(label: bytes) -> RandomBytes:
    """Give a stream of bytes that depends on the label alone."""
    drawn = 0

    def draw(n: int) -> bytes:
        nonlocal drawn
        drawn += 1
        return hashlib.shake_256(label + drawn.to_bytes(4)).digest(n)

    return draw


KEY_SEED = b"k" * 32
INPUTS = [f"input {n}".encode() for n in range(40)]


@pytest.fixture
def key() -> voprf.OprfKey:
    return voprf.derive_key(KEY_SEED, b"tests")


@pytest.fixture
def blinds() -> list[bytes]:
    draw = fixed_random(b"blinds")
    return [voprf.scalar_from_uniform(draw(64)) for _ in INPUTS]


@pytest.fixture
def blinded(blinds: list[bytes]) -> list[bytes]:
    return voprf.blind(INPUTS, blinds)


@pytest.fixture
def evaluation(key: voprf.OprfKey, blinded: list[bytes]) -> voprf.Evaluation:
    return voprf.blind_evaluate(key, blinded, random=fixed_random(b"proof"))


def test_a_batch_of_forty_gives_the_tags_of_direct_evaluation(
    key: voprf.OprfKey, blinds: list[bytes], blinded: list[bytes], evaluation: voprf.Evaluation
) -> None:
    voprf.check_proof(voprf.public_key(key), blinded, evaluation)

    assert voprf.unblind_tags(INPUTS, blinds, evaluation.elements) == voprf.tag_each(key, INPUTS)
    assert voprf.finalise(INPUTS, blinds, blinded, evaluation, voprf.public_key(key)) == voprf.evaluate(
        key, INPUTS
    )


def test_a_key_prints_nothing_of_itself(key: voprf.OprfKey) -> None:
    assert repr(key) == "OprfKey()"


@pytest.mark.parametrize("count", [0, 39, 41])
def test_another_number_of_elements_than_forty_is_refused(blinded: list[bytes], count: int) -> None:
    batch = (blinded + voprf.blind([b"one more"], [voprf.scalar_from_uniform(b"m" * 64)]))[:count]

    with pytest.raises(BatchSizeWrong) as refusal:
        group.check_batch(batch, size=40)

    assert (refusal.value.expected, refusal.value.got) == (40, count)


def test_exactly_forty_distinct_elements_are_accepted(blinded: list[bytes]) -> None:
    group.check_batch(blinded, size=40)


def test_an_empty_batch_is_refused_whatever_the_size(key: voprf.OprfKey) -> None:
    with pytest.raises(BatchSizeWrong):
        group.check_batch([])
    with pytest.raises(BatchSizeWrong):
        voprf.blind_evaluate(key, [], random=fixed_random(b""))


def test_a_repeated_element_is_refused_by_position(blinded: list[bytes]) -> None:
    with pytest.raises(MalformedElement, match="repeats") as refusal:
        group.check_batch([*blinded[:39], blinded[3]], size=40)

    assert refusal.value.index == 39


def test_a_repeat_in_disguise_is_refused(blinded: list[bytes]) -> None:
    # libsodium ignores the top bit, so these bytes decode to the same element there.
    disguised = blinded[3][:31] + bytes([blinded[3][31] | 0x80])

    with pytest.raises(MalformedElement) as refusal:
        group.check_batch([*blinded[:39], disguised], size=40)

    assert refusal.value.index == 39


def test_a_batch_over_the_limit_is_refused_before_any_work(key: voprf.OprfKey, blinded: list[bytes]) -> None:
    with pytest.raises(BatchTooLarge):
        voprf.blind_evaluate(key, blinded[:1] * (voprf.MAX_BATCH + 1), random=fixed_random(b""))


def flipped(value: bytes, at: int) -> bytes:
    return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]


@pytest.mark.parametrize(
    "tamper",
    [
        lambda e, k: voprf.Evaluation(e.elements, flipped(e.proof, 0)),
        lambda e, k: voprf.Evaluation(e.elements, flipped(e.proof, 32)),
        lambda e, k: voprf.Evaluation(e.elements, b"\xff" * 32 + e.proof[32:]),
        lambda e, k: voprf.Evaluation(e.elements, e.proof[:32] + b"\xff" * 32),
        lambda e, k: voprf.Evaluation(e.elements, bytes(64)),
        lambda e, k: voprf.Evaluation((e.elements[1], e.elements[0], *e.elements[2:]), e.proof),
        lambda e, k: voprf.Evaluation((b"\xff" * 32, *e.elements[1:]), e.proof),
        lambda e, k: voprf.Evaluation((bytes(32), *e.elements[1:]), e.proof),
        lambda e, k: voprf.Evaluation(e.elements[:39], e.proof),
        lambda e, k: voprf.Evaluation((*e.elements, e.elements[0]), e.proof),
    ],
    ids=[
        "challenge altered", "response altered", "challenge not reduced", "response not reduced", "all zero",
        "two elements swapped", "an element malformed", "an element the identity", "one missing", "one more",
    ],
)  # fmt: skip
def test_a_wrong_proof_is_refused(
    key: voprf.OprfKey,
    blinded: list[bytes],
    evaluation: voprf.Evaluation,
    tamper: Callable[[voprf.Evaluation, voprf.OprfKey], voprf.Evaluation],
) -> None:
    with pytest.raises(ProofInvalid):
        voprf.check_proof(voprf.public_key(key), blinded, tamper(evaluation, key))


def test_a_key_made_for_one_agency_is_caught(
    key: voprf.OprfKey, blinds: list[bytes], blinded: list[bytes]
) -> None:
    marked = voprf.derive_key(KEY_SEED, b"a key for one searcher only")
    evaluation = voprf.blind_evaluate(marked, blinded, random=fixed_random(b"proof"))

    with pytest.raises(ProofInvalid):
        voprf.finalise(INPUTS, blinds, blinded, evaluation, voprf.public_key(key))


def test_one_element_evaluated_with_another_key_spoils_the_batch(
    key: voprf.OprfKey, blinded: list[bytes]
) -> None:
    other = voprf.derive_key(KEY_SEED, b"other")
    elements = group.multiply_each(key.scalar, blinded)
    elements[17] = group.multiply_each(other.scalar, [blinded[17]])[0]
    proof = dleq.generate_proof(key.scalar, blinded, elements, voprf.scalar_from_uniform(b"r" * 64))

    with pytest.raises(ProofInvalid):
        voprf.check_proof(voprf.public_key(key), blinded, voprf.Evaluation(tuple(elements), proof))


def test_a_proof_for_another_batch_is_refused(
    key: voprf.OprfKey, blinded: list[bytes], evaluation: voprf.Evaluation
) -> None:
    with pytest.raises(ProofInvalid):
        voprf.check_proof(voprf.public_key(key), blinded[::-1], evaluation)


@pytest.mark.parametrize("proof", [b"", bytes(63), bytes(65)])
def test_a_proof_of_another_length_cannot_be_held(evaluation: voprf.Evaluation, proof: bytes) -> None:
    with pytest.raises(ProofInvalid):
        voprf.Evaluation(evaluation.elements, proof)
    with pytest.raises(ProofInvalid):
        dleq.verify_proof(evaluation.elements[0], evaluation.elements, evaluation.elements, proof)


def test_an_evaluated_element_of_another_length_cannot_be_held(evaluation: voprf.Evaluation) -> None:
    with pytest.raises(MalformedElement) as refusal:
        voprf.Evaluation((*evaluation.elements[:5], b"short"), evaluation.proof)

    assert refusal.value.index == 5


@pytest.mark.parametrize(("seed", "info"), [(bytes(31), b""), (bytes(33), b""), (bytes(32), bytes(2**16))])
def test_a_seed_or_info_of_the_wrong_length_makes_no_key(seed: bytes, info: bytes) -> None:
    with pytest.raises(MalformedKey):
        voprf.derive_key(seed, info)


def test_a_broken_random_source_makes_no_key_and_no_blind() -> None:
    with pytest.raises(MalformedKey):
        voprf.generate_key(bytes)  # bytes(n) is n zeros
    with pytest.raises(MalformedScalar):
        voprf.scalar_from_uniform(bytes(64))
    with pytest.raises(MalformedScalar):
        voprf.scalar_from_uniform(b"short")


def test_generated_keys_differ() -> None:
    draw = fixed_random(b"keys")

    assert voprf.generate_key(draw).scalar != voprf.generate_key(draw).scalar


def test_an_element_opens_with_its_own_input_and_blind_only(
    blinds: list[bytes], blinded: list[bytes]
) -> None:
    assert voprf.opens(INPUTS[0], blinds[0], blinded[0])
    assert not voprf.opens(INPUTS[1], blinds[0], blinded[0])
    assert not voprf.opens(INPUTS[0], blinds[1], blinded[0])
    assert not voprf.opens(INPUTS[0], blinds[0], blinded[1])
    assert not voprf.opens(INPUTS[0], blinds[0][:31], blinded[0])
    assert not voprf.opens(INPUTS[0], blinds[0], b"")


def test_lengths_are_checked_before_bytes_reach_c(blinds: list[bytes]) -> None:
    with pytest.raises(MalformedScalar):
        group.scalar_multiply(blinds[0], b"short")
    with pytest.raises(MalformedScalar):
        group.scalar_subtract(b"short", blinds[0])
    with pytest.raises(MalformedScalar):
        group.from_uniform(bytes(63))
    with pytest.raises(ValueError, match="65535"):
        voprf.blind([bytes(2**16)], blinds[:1])
    with pytest.raises(ValueError, match="domain"):
        group.hash_to_group([b""], b"")


def test_empty_batches_of_our_own_are_harmless(key: voprf.OprfKey) -> None:
    assert voprf.tag_each(key, []) == []
    assert voprf.tag_under([key, key], []) == [[], []]
    assert voprf.tag_under([], INPUTS) == []
    assert voprf.blind([], []) == []
    assert group.invert_scalars([]) == []
    assert group.sum_elements([]) == group.IDENTITY


def test_a_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    before = group.library()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    group._opened.cache_clear()

    with pytest.raises(SodiumMissing, match="rbcl"):
        group.use_library("rbcl")

    assert group.library() == before


def test_the_wheel_stands_in_where_the_system_has_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "_SONAMES", ("libabsent.so.0",))
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    monkeypatch.setattr(group, "_in_use", [])
    group._opened.cache_clear()

    assert group.library().origin == "rbcl"
    group._opened.cache_clear()


def test_the_library_in_use_is_named_with_version_and_file() -> None:
    used = group.library()

    assert used.version.startswith("1.0.")
    assert "sodium" in used.path


def test_evaluation_in_threads_gives_the_same_tags(key: voprf.OprfKey) -> None:
    expected = voprf.tag_each(key, INPUTS)
    found: list[list[bytes]] = []
    threads = [threading.Thread(target=lambda: found.append(voprf.tag_each(key, INPUTS))) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [expected] * 8
