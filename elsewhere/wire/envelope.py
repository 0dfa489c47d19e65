"""Sign, pad and seal in one step, and the way back: the only path a lookup message takes between agencies.

Sees:     plaintext messages of this agency and of the one it talks to.
Refuses:  what does not open in the place named, or was not signed by the member that should have sent it.
Source:   docs/protocol.md, "Envelope": sign, then pad, then seal; open, then verify, then parse.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from elsewhere.errors import SealBroken
from elsewhere.sealing import Context, SealingKey, SealingPublic, open_sealed, seal
from elsewhere.signing import SigningKey, check_signature, sign_bytes
from elsewhere.wire.convert.lookup import signed_from_wire, signed_to_wire


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of message: its payload type (bound by the signature) and its constant padded size."""

    payload_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A message as it was signed. `digest` is SHA-256 of the payload: how later messages refer to it."""

    payload: bytes = field(repr=False)
    digest: bytes


def wrap(
    payload: bytes, kind: Kind, *, signer: SigningKey, receiver: SealingPublic, context: Context
) -> tuple[bytes, bytes]:
    """Sign and seal a message.

    Returns:
        The sealed bytes, of the one size of this kind; the payload's 32-byte digest.

    Raises:
        MessageTooLarge: longer than its kind allows. Nothing was sealed.
    """
    signed = signed_to_wire(payload, sign_bytes(signer, kind.payload_type, payload))
    sealed = seal(receiver, signed, context=context, size=kind.size)
    return sealed, hashlib.sha256(payload).digest()


def unwrap(
    sealed: bytes, kind: Kind, *, keys: tuple[SealingKey, ...], sender_public: bytes, context: Context
) -> Opened:
    """Open a sealed message and check who signed it.

    Args:
        keys: private keys that it may be sealed to, most likely first; two are live around a rotation.
        sender_public: the sender's signing key, from the roster.

    Raises:
        SealBroken: it opens with none of the keys in this place of the protocol.
        SignatureInvalid: the roster's key for the sender did not sign it.
        LookupMalformed: what was sealed is no signed message.
    """
    payload, signature = signed_from_wire(_open_with_any(sealed, keys, context))
    check_signature(sender_public, kind.payload_type, payload, signature)
    return Opened(payload, hashlib.sha256(payload).digest())


def _open_with_any(sealed: bytes, keys: tuple[SealingKey, ...], context: Context) -> bytes:
    """Try each key in turn; the seal does not name the one it was made for."""
    for key in keys[:-1]:
        try:
            return open_sealed(key, sealed, context=context)
        except SealBroken:
            continue
    return open_sealed(keys[-1], sealed, context=context)
