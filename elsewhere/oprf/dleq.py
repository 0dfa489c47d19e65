"""The proof that one key was used for a whole batch, without showing the key.

Sees:     the batch before and after; the prover also its secret key.
Refuses:  a proof for another key, another batch or another order; scalars that are not reduced.
Source:   RFC 9497 §2.2.1 (GenerateProof), §2.2.2 (VerifyProof).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from elsewhere.errors import MalformedElement, MalformedScalar, ProofInvalid
from elsewhere.oprf import group

PROOF_SIZE = 2 * group.SCALAR_SIZE

# contextString = "OPRFV1-" || I2OSP(mode, 1) || "-" || identifier, with modeVOPRF = 0x01 (§3.1)
CONTEXT = b"OPRFV1-\x01-ristretto255-SHA512"
_SEED_DOMAIN = b"Seed-" + CONTEXT
_SCALAR_DOMAIN = b"HashToScalar-" + CONTEXT


def generate_proof(
    secret: bytes, before: Sequence[bytes], after: Sequence[bytes], proof_scalar: bytes
) -> bytes:
    """Prove that `after` is `before` times the secret, element by element.

    Args:
        secret: the key's scalar.
        before: the blinded elements.
        after: the evaluated elements, same order.
        proof_scalar: a fresh uniform scalar, never used before: reusing one gives the key away.

    Returns:
        64 bytes: c, then s.

    Source: RFC 9497 §2.2.1 GenerateProof.
    """
    public = group.multiply_base(secret)
    weights = _weights(public, before, after)
    # ComputeCompositesFast: M is the sum of di * Ci, and Z = k * M.
    m = group.sum_elements(group.multiply_pairs(weights, before))
    z = group.multiply_each(secret, [m])[0]
    # The commitments: t2 = r * A and t3 = r * M.
    t2 = group.multiply_base(proof_scalar)
    t3 = group.multiply_each(proof_scalar, [m])[0]
    c = _challenge(public, (m, z, t2, t3))
    # The response: s = r - c * k.
    return c + group.scalar_subtract(proof_scalar, group.scalar_multiply(c, secret))


def verify_proof(public: bytes, before: Sequence[bytes], after: Sequence[bytes], proof: bytes) -> None:
    """Check a batch's proof against the public key its sender has published.

    Raises:
        ProofInvalid: the proof, an evaluated element or their number is wrong. Use none of the batch.

    Source: RFC 9497 §2.2.2 VerifyProof.
    """
    if len(proof) != PROOF_SIZE or not before or len(before) != len(after):
        raise ProofInvalid("expected one evaluated element for each blinded one, and a proof of 64 bytes")
    c, s = proof[: group.SCALAR_SIZE], proof[group.SCALAR_SIZE :]
    try:
        group.check_scalar(c)
        group.check_scalar(s)
        weights = _weights(public, before, after)
        # ComputeComposites: M is the sum of di * Ci, Z that of di * Di.
        m = group.sum_elements(group.multiply_pairs(weights, before))
        z = group.sum_elements(group.multiply_pairs(weights, after))
        # The commitments again: t2 = (s * A) + (c * B) and t3 = (s * M) + (c * Z).
        t2 = group.add(group.multiply_base(s), group.multiply_each(c, [public])[0])
        t3 = group.add(*group.multiply_pairs((s, c), (m, z)))
    except (MalformedElement, MalformedScalar) as err:
        raise ProofInvalid("the proof or an evaluated element is malformed") from err
    # c is recomputed from our own view of the batch, so a proof made for another batch fails.
    if not hmac.compare_digest(c, _challenge(public, (m, z, t2, t3))):
        raise ProofInvalid("the batch was not evaluated with the published key")


def _weights(public: bytes, before: Sequence[bytes], after: Sequence[bytes]) -> list[bytes]:
    """Derive the factor of each position, so that no error in one can cancel that of another."""
    # seedTranscript = I2OSP(len(Bm), 2) || Bm || I2OSP(len(seedDST), 2) || seedDST
    seed = hashlib.sha512(_prefixed(public) + _prefixed(_SEED_DOMAIN)).digest()
    # compositeTranscript = I2OSP(len(seed), 2) || seed || I2OSP(i, 2)
    #                       || I2OSP(len(Ci), 2) || Ci || I2OSP(len(Di), 2) || Di || "Composite"
    start = _prefixed(seed)
    transcripts = [
        start + index.to_bytes(2) + _prefixed(c_i) + _prefixed(d_i) + b"Composite"
        for index, (c_i, d_i) in enumerate(zip(before, after, strict=True))
    ]
    return group.hash_to_public_scalars(transcripts, _SCALAR_DOMAIN)


def _challenge(public: bytes, transcript: Sequence[bytes]) -> bytes:
    """Hash the prover's commitments to the challenge c."""
    # challengeTranscript = I2OSP(len(Bm), 2) || Bm || I2OSP(len(a0), 2) || a0 || ... || "Challenge"
    joined = b"".join(map(_prefixed, (public, *transcript)))
    return group.hash_to_scalar(joined + b"Challenge", _SCALAR_DOMAIN)


def _prefixed(value: bytes) -> bytes:
    """Write a value behind its length in two bytes."""
    return len(value).to_bytes(2) + value
