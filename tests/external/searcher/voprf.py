"""The searcher's half of the keyed function.

Source:   RFC 9497 §2.2 and §3.3.2, VOPRF mode, ristretto255-SHA512; docs/protocol.md "The keyed function".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from searcher import ristretto
from searcher.refusal import require

CONTEXT = b"OPRFV1-\x01-ristretto255-SHA512"


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def hash_to_group(message: bytes) -> bytes:
    return ristretto.hash_to_group(message, b"HashToGroup-" + CONTEXT)


def _hash_to_scalar(message: bytes) -> int:
    return ristretto.hash_to_scalar(message, b"HashToScalar-" + CONTEXT)


def verify_proof(public: bytes, asked: Sequence[bytes], evaluated: Sequence[bytes], proof: bytes) -> None:
    """Refuse evaluations that were not made with the key of `public`.

    Source: RFC 9497 §2.2.2 VerifyProof, with A the generator and B `public`.
    """
    require(len(proof) == 64, "proof.invalid", "a proof of 64 bytes")
    c, s = (int.from_bytes(part, "little") for part in (proof[:32], proof[32:]))
    require(c < ristretto.ORDER and s < ristretto.ORDER, "proof.invalid", "reduced scalars")
    # §2.2.1 ComputeComposites
    seed = hashlib.sha512(_framed(public) + _framed(b"Seed-" + CONTEXT)).digest()
    m, z = bytes(32), bytes(32)
    for index, (before, after) in enumerate(zip(asked, evaluated, strict=True)):
        ristretto.check_element(after)
        composite = _framed(seed) + index.to_bytes(2, "big") + _framed(before) + _framed(after) + b"Composite"
        d = _hash_to_scalar(composite)
        m = ristretto.add(m, ristretto.multiply(d, before))
        z = ristretto.add(z, ristretto.multiply(d, after))
    t2 = ristretto.add(ristretto.multiply_base(s), ristretto.multiply(c, public))
    t3 = ristretto.add(ristretto.multiply(s, m), ristretto.multiply(c, z))
    transcript = b"".join(_framed(part) for part in (public, m, z, t2, t3)) + b"Challenge"
    expected = _hash_to_scalar(transcript).to_bytes(32, "little")
    require(hmac.compare_digest(expected, proof[:32]), "proof.invalid", "a proof of the published key")


def finalise(message: bytes, blind: int, evaluated: bytes) -> bytes:
    """The tag: the first 32 bytes of Finalize."""
    unblinded = ristretto.multiply(ristretto.invert(blind), evaluated)
    return hashlib.sha512(_framed(message) + _framed(unblinded) + b"Finalize").digest()[:32]
