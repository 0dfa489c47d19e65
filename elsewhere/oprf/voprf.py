"""Tags from match keys: blind, evaluate, prove, unblind, and tag directly where the key is at hand.

Holds:    an `OprfKey` only as long as its caller does; nothing is kept between calls.
Sees:     the searcher's side sees inputs and blinds; the custodian's side blinded elements, 32 bytes each,
          uniformly random whatever was asked.
Refuses:  batches over MAX_BATCH; bytes that are no canonical element; the identity; a proof that fails.
Source:   RFC 9497 §3.3.2 (verifiable mode), suite ristretto255-SHA512 (§4.1).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from elsewhere.errors import (
    BatchSizeWrong,
    BatchTooLarge,
    MalformedElement,
    MalformedKey,
    MalformedScalar,
    ProofInvalid,
)
from elsewhere.oprf import dleq, group
from elsewhere.random import RandomBytes

MAX_BATCH = 256
TAG_SIZE = 32  # a tag is the first half of an output: 256 bits are ample for a catalogue
SEED_SIZE = 32

_GROUP_DOMAIN = b"HashToGroup-" + dleq.CONTEXT
_KEY_DOMAIN = b"DeriveKeyPair" + dleq.CONTEXT  # the RFC has no hyphen here
# hashInput = I2OSP(len(input), 2) || input || I2OSP(len(unblinded), 2) || unblinded || "Finalize"
_ELEMENT_LENGTH = group.ELEMENT_SIZE.to_bytes(2)
_MAX_INPUT = 2**16 - 1


@dataclass(frozen=True, slots=True, eq=False)
class OprfKey:
    """Secret scalar of one collection and epoch, 32 bytes little-endian, below the order. Prints nothing."""

    scalar: bytes = field(repr=False)

    def __post_init__(self) -> None:
        try:
            group.check_scalar(self.scalar)
        except MalformedScalar:
            raise MalformedKey("expected an OPRF key: 32 bytes, not zero, below the group order") from None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A batch evaluated: as many elements as were sent, in their order, and the proof for all of them."""

    elements: tuple[bytes, ...]
    proof: bytes

    def __post_init__(self) -> None:
        check_count(len(self.elements))
        for index, element in enumerate(self.elements):
            if len(element) != group.ELEMENT_SIZE:
                raise MalformedElement(index, f"{len(element)} bytes came")
        if len(self.proof) != dleq.PROOF_SIZE:
            raise ProofInvalid(f"expected a proof of {dleq.PROOF_SIZE} bytes; {len(self.proof)} came")


def check_count(count: int) -> None:
    """Check that a batch has 1..MAX_BATCH members.

    Raises:
        BatchTooLarge: over MAX_BATCH; split the batch.
        BatchSizeWrong: it is empty.
    """
    if count > MAX_BATCH:
        raise BatchTooLarge(f"expected at most {MAX_BATCH} elements; {count} came")
    if count == 0:
        raise BatchSizeWrong(expected=None, got=0)


def derive_key(seed: bytes, info: bytes) -> OprfKey:
    """Derive a key from a secret seed; the same seed and info give the same key.

    Args:
        seed: 32 bytes from a good random source.
        info: public; names what the key is for, up to 65,535 bytes.

    Raises:
        MalformedKey: a seed or info of another length, or (never seen) no scalar but zero was found.

    Source: RFC 9497 §3.2.1 DeriveKeyPair.
    """
    if len(seed) != SEED_SIZE or len(info) > _MAX_INPUT:
        raise MalformedKey(f"expected a seed of {SEED_SIZE} bytes and info of at most {_MAX_INPUT}")
    # deriveInput = seed || I2OSP(len(info), 2) || info
    derive_input = seed + len(info).to_bytes(2) + info
    for counter in range(256):
        scalar = group.hash_to_scalar(derive_input + bytes([counter]), _KEY_DOMAIN)
        if scalar != bytes(group.SCALAR_SIZE):
            return OprfKey(scalar)
    raise MalformedKey("no key can be derived from this seed; draw another")


def generate_key(random: RandomBytes) -> OprfKey:
    """Draw a fresh key.

    Raises:
        MalformedKey: the random source gave a multiple of the group order, so it is broken.
    """
    return OprfKey(group.reduce_scalar(random(group.UNIFORM_SIZE)))


def public_key(key: OprfKey) -> bytes:
    """Give the element, 32 bytes, by which others check that this key was used."""
    return group.multiply_base(key.scalar)


def scalar_from_uniform(uniform: bytes) -> bytes:
    """Turn 64 uniform bytes into a blind.

    Raises:
        MalformedScalar: not 64 bytes, or a multiple of the group order (never, for uniform bytes).
    """
    scalar = group.reduce_scalar(uniform)
    group.check_scalar(scalar)
    return scalar


def blind(inputs: Sequence[bytes], blinds: Sequence[bytes]) -> list[bytes]:
    """Hide each input behind its blind: the element sent is uniformly random, whatever the input.

    Args:
        inputs: up to 65,535 bytes each.
        blinds: one fresh scalar for each input; a blind used twice would link two questions.

    Returns:
        Blinded elements in the order of `inputs`, 32 bytes each.

    Raises:
        MalformedScalar: a blind is not a scalar in 1..order-1.

    Source: RFC 9497 §3.3.2 Blind.
    """
    _check_inputs(inputs)
    return group.multiply_pairs(blinds, group.hash_to_group(inputs, _GROUP_DOMAIN))


def blind_evaluate(key: OprfKey, blinded: Sequence[bytes], *, random: RandomBytes) -> Evaluation:
    """Evaluate a batch and prove that one key was used for all of it.

    Args:
        key: the key of the epoch the batch was blinded for.
        blinded: 1..MAX_BATCH elements, 32 bytes each.
        random: returns n random bytes; `secrets.token_bytes` outside tests.

    Returns:
        The elements in the order of `blinded`, 32 bytes each; the proof, 64 bytes (c, then s).

    Raises:
        BatchTooLarge: over MAX_BATCH. Nothing was evaluated; split the batch.
        BatchSizeWrong: no element at all.
        MalformedElement: `.index` says which. Do not retry.

    Source: RFC 9497 §3.3.2 BlindEvaluate, proof §2.2.1.
    """
    check_count(len(blinded))
    elements = group.multiply_each(key.scalar, blinded)
    proof_scalar = scalar_from_uniform(random(group.UNIFORM_SIZE))
    return Evaluation(tuple(elements), dleq.generate_proof(key.scalar, blinded, elements, proof_scalar))


def check_proof(public: bytes, blinded: Sequence[bytes], evaluation: Evaluation) -> None:
    """Check that an evaluation was made with the key that its custodian published.

    Args:
        public: the custodian's public key from its key statement, 32 bytes.
        blinded: what was sent, in order.
        evaluation: what came back.

    Raises:
        MalformedKey: `public` is no element, so nothing can be checked against it.
        ProofInvalid: another key, another batch, or malformed elements. Use none of it.

    Source: RFC 9497 §2.2.2 VerifyProof.
    """
    if not group.is_element(public):
        raise MalformedKey("expected a public key of 32 bytes that encodes an element")
    dleq.verify_proof(public, blinded, evaluation.elements, evaluation.proof)


def finalise(
    inputs: Sequence[bytes],
    blinds: Sequence[bytes],
    blinded: Sequence[bytes],
    evaluation: Evaluation,
    public: bytes,
) -> list[bytes]:
    """Check the proof, take the blinds off and hash to the outputs of the function.

    Returns:
        Outputs in the order of `inputs`, 64 bytes each.

    Raises:
        MalformedKey, ProofInvalid: as `check_proof`.
        MalformedScalar: a blind is not a scalar in 1..order-1.

    Source: RFC 9497 §3.3.2 Finalize.
    """
    check_proof(public, blinded, evaluation)
    return _unblind(inputs, group.invert_scalars(blinds), evaluation.elements)


def unblind_tags(inputs: Sequence[bytes], blinds: Sequence[bytes], elements: Sequence[bytes]) -> list[bytes]:
    """Take the blinds off evaluated elements, once `check_proof` has passed for them.

    Returns:
        Tags in the order of `inputs`, 32 bytes each.

    Raises:
        MalformedScalar: a blind is not a scalar in 1..order-1.
        MalformedElement: `.index` names an element that could not have passed the proof.
    """
    return unblind_with(inputs, group.invert_scalars(blinds), elements)


def unblind_with(
    inputs: Sequence[bytes], inverses: Sequence[bytes], elements: Sequence[bytes]
) -> list[bytes]:
    """As `unblind_tags`, by the inverses of the blinds: they serve every custodian's elements."""
    return [output[:TAG_SIZE] for output in _unblind(inputs, inverses, elements)]


def evaluate(key: OprfKey, inputs: Sequence[bytes]) -> list[bytes]:
    """Compute the function directly, where key and inputs are in one hand.

    Returns:
        Outputs in the order of `inputs`, 64 bytes each: those that `finalise` would give.

    Source: RFC 9497 §3.3.2 Evaluate.
    """
    (outputs,) = _evaluate_under([key], inputs)
    return outputs


def tag_each(key: OprfKey, inputs: Sequence[bytes]) -> list[bytes]:
    """Tag a custodian's own match keys: `evaluate`, cut to 32 bytes each."""
    (tags,) = tag_under([key], inputs)
    return tags


def tag_under(keys: Sequence[OprfKey], inputs: Sequence[bytes]) -> list[list[bytes]]:
    """Tag under several keys at once; inputs are hashed to the group, a fifth of the work, only once.

    Returns:
        For each key in order, what `tag_each` gives.
    """
    return [[output[:TAG_SIZE] for output in outputs] for outputs in _evaluate_under(keys, inputs)]


def opens(value: bytes, blind_scalar: bytes, element: bytes) -> bool:
    """Tell whether a blinded element hides this input under this blind; false for malformed values."""
    try:
        expected = blind([value], [blind_scalar])[0]
    except MalformedScalar:
        return False
    return hmac.compare_digest(expected, element)


def _evaluate_under(keys: Sequence[OprfKey], inputs: Sequence[bytes]) -> list[list[bytes]]:
    """Compute the function directly under several keys."""
    _check_inputs(inputs)
    hashed = group.hash_to_group(inputs, _GROUP_DOMAIN)
    return [_outputs(inputs, group.multiply_each(key.scalar, hashed)) for key in keys]


def _unblind(inputs: Sequence[bytes], inverses: Sequence[bytes], elements: Sequence[bytes]) -> list[bytes]:
    """Multiply by the inverse blinds and hash."""
    _check_inputs(inputs)
    return _outputs(inputs, group.multiply_pairs(inverses, elements))


def _outputs(inputs: Sequence[bytes], elements: Sequence[bytes]) -> list[bytes]:
    """Hash each input with its unblinded element."""
    sha512 = hashlib.sha512
    return [
        sha512(len(value).to_bytes(2) + value + _ELEMENT_LENGTH + element + b"Finalize").digest()
        for value, element in zip(inputs, elements, strict=True)
    ]


def _check_inputs(inputs: Sequence[bytes]) -> None:
    """Refuse inputs whose length two bytes cannot say; our own callers never make them."""
    if inputs and max(map(len, inputs)) > _MAX_INPUT:
        raise ValueError(f"an input has at most {_MAX_INPUT} bytes")
