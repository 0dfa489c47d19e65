"""Sealing: a message that only one agency can open, in one place of the protocol, at one constant size.

Holds:    sealing private keys, inside `SealingKey` only; they change weekly and the old ones are destroyed.
Sees:     plaintext protocol messages of this node; a relay sees a constant number of random-looking bytes.
Refuses:  a message altered, for another receiver, from another sender, or of another round or lookup.
Source:   RFC 9180 §5.1.1 base mode; KEM MLKEM768-X25519 (draft-ietf-hpke-pq), HKDF-SHA256, AES-256-GCM.
          Encapsulation draws from the operating system inside `cryptography`; it cannot be handed a source.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from elsewhere.errors import MalformedKey, MessageTooLarge, SealBroken
from elsewhere.random import RandomBytes

MLKEM_SEED_BYTES, MLKEM_PUBLIC_BYTES, X25519_BYTES = 64, 1184, 32
PRIVATE_BYTES = MLKEM_SEED_BYTES + X25519_BYTES
PUBLIC_BYTES = MLKEM_PUBLIC_BYTES + X25519_BYTES

# Padded plaintext sizes, the 4-byte length included: one per kind of message, whatever it says.
EVALUATE_REQUEST = 4096
EVALUATE_REPLY = 4096
REDEEM_REQUEST = 2048
REDEEM_REPLY = 8192
CATALOGUE_KEY = 256
STUDY = 64  # half of the secret that two members' masks in a study come from

LENGTH_BYTES = 4
OVERHEAD_BYTES = 1136  # 1,088 ML-KEM ciphertext, 32 X25519 share, 16 AES-GCM tag

Direction = Literal["request", "reply", "catalogue-key", "study"]

_SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


@dataclass(frozen=True, slots=True)
class SealingPublic:
    """Public sealing key: 1,184 bytes of ML-KEM-768, then 32 of X25519."""

    encoded: bytes = field(repr=False)
    key_id: str = field(init=False)
    _key: hpke.MLKEM768X25519PublicKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.encoded) != PUBLIC_BYTES:
            raise MalformedKey(f"sealing key: expected {PUBLIC_BYTES} public bytes, got {len(self.encoded)}")
        try:
            lattice = MLKEM768PublicKey.from_public_bytes(self.encoded[:MLKEM_PUBLIC_BYTES])
            curve = X25519PublicKey.from_public_bytes(self.encoded[MLKEM_PUBLIC_BYTES:])
        except ValueError:
            raise MalformedKey("sealing key: expected an ML-KEM-768 and an X25519 public key") from None
        object.__setattr__(self, "_key", hpke.MLKEM768X25519PublicKey(lattice, curve))
        object.__setattr__(self, "key_id", hashlib.sha256(self.encoded).hexdigest()[:16])

    @classmethod
    def from_bytes(cls, encoded: bytes) -> SealingPublic:
        """Read the 1,216 public bytes; raises MalformedKey for any other length or an impossible key."""
        return cls(encoded)

    def to_bytes(self) -> bytes:
        """Give the 1,216 public bytes."""
        return self.encoded


@dataclass(frozen=True, slots=True, eq=False)
class SealingKey:
    """Private sealing key: the 64-byte ML-KEM seed, then 32 bytes of X25519. Prints its key id only."""

    secret: bytes = field(repr=False)
    public: SealingPublic = field(init=False, repr=False)
    key_id: str = field(init=False)
    _key: hpke.MLKEM768X25519PrivateKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != PRIVATE_BYTES:
            raise MalformedKey(f"sealing key: expected {PRIVATE_BYTES} secret bytes, got {len(self.secret)}")
        lattice = MLKEM768PrivateKey.from_seed_bytes(self.secret[:MLKEM_SEED_BYTES])
        curve = X25519PrivateKey.from_private_bytes(self.secret[MLKEM_SEED_BYTES:])
        public = SealingPublic(
            lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
        )
        object.__setattr__(self, "_key", hpke.MLKEM768X25519PrivateKey(lattice, curve))
        object.__setattr__(self, "public", public)
        object.__setattr__(self, "key_id", public.key_id)

    @classmethod
    def generate(cls, random: RandomBytes) -> SealingKey:
        """Make a new key from 96 random bytes."""
        return cls(random(PRIVATE_BYTES))

    @classmethod
    def from_bytes(cls, secret: bytes) -> SealingKey:
        """Rebuild the key from its 96 secret bytes."""
        return cls(secret)

    def to_bytes(self) -> bytes:
        """Give the 96 secret bytes, for the key file and nothing else."""
        return self.secret


@dataclass(frozen=True, slots=True)
class Context:
    """The place of one message in the protocol; both ends must name the same or nothing opens."""

    protocol_version: int
    sender: str
    receiver: str
    direction: Direction
    lookup: (
        bytes  # the lookup id of this custodian, 1..255 bytes; a catalogue's name for its key; a query's id
    )
    round: int  # 1 Evaluate, 2 Redeem; 0 for a catalogue's key and for a study

    def __post_init__(self) -> None:
        if not 0 <= self.protocol_version < 2**32:
            raise ValueError(f"expected a protocol version of 32 bits, got {self.protocol_version}")
        if not self.sender or not self.receiver or not 1 <= len(self.lookup) <= 255:
            raise ValueError("expected a sender, a receiver and a lookup id of 1..255 bytes")
        rounds = {"request": (1, 2), "reply": (1, 2), "catalogue-key": (0,), "study": (0,)}.get(
            self.direction, ()
        )
        if self.round not in rounds:
            raise ValueError(f"expected a round in {rounds} for {self.direction!r}, got {self.round}")

    @classmethod
    def for_catalogue_key(
        cls, *, protocol_version: int, sender: str, receiver: str, catalogue: bytes
    ) -> Context:
        """Name the place of the key to one catalogue: whose, for whom, and which."""
        return cls(protocol_version, sender, receiver, "catalogue-key", catalogue, 0)

    @classmethod
    def for_study(cls, *, protocol_version: int, sender: str, receiver: str, qid: bytes) -> Context:
        """Name the place of one half of a mask's secret: who drew it, for whom, and for which query."""
        return cls(protocol_version, sender, receiver, "study", qid, 0)

    def info(self) -> bytes:
        """Encode every field behind its 2-byte length, so that no two contexts share an encoding."""
        fields = (
            b"elsewhere/seal/v1",
            self.protocol_version.to_bytes(4, "big"),
            self.sender.encode("utf-8"),
            self.receiver.encode("utf-8"),
            self.direction.encode("ascii"),
            self.lookup,
            self.round.to_bytes(1, "big"),
        )
        return b"".join(len(item).to_bytes(2, "big") + item for item in fields)


def pad(message: bytes, size: int) -> bytes:
    """Bring a message to its constant size: 4 bytes of length, big-endian, the message, zeros.

    Raises:
        MessageTooLarge: longer than `size` - 4. Nothing was sent.
    """
    if len(message) > size - LENGTH_BYTES:
        raise MessageTooLarge(f"expected at most {size - LENGTH_BYTES} bytes, got {len(message)}")
    return (len(message).to_bytes(LENGTH_BYTES, "big") + message).ljust(size, b"\0")


def unpad(padded: bytes) -> bytes:
    """Give back the message; anything but zeros behind it is refused, so nothing can hide there.

    Raises:
        SealBroken: not what `pad` writes.
    """
    end = LENGTH_BYTES + int.from_bytes(padded[:LENGTH_BYTES], "big")
    if len(padded) < LENGTH_BYTES or end > len(padded) or padded.count(0, end) != len(padded) - end:
        raise SealBroken("expected a length, a message and zeros; the padding is something else")
    return padded[LENGTH_BYTES:end]


def sealed_size(size: int) -> int:
    """Tell how many bytes a padded message of `size` bytes has once sealed."""
    return size + OVERHEAD_BYTES


def seal(public: SealingPublic, message: bytes, *, context: Context, size: int) -> bytes:
    """Seal a message for one receiver and one place in the protocol.

    Args:
        public: the receiver's current key, from its signed statement.
        message: at most `size` - 4 bytes.
        context: what `open_sealed` must name again.
        size: the constant of this kind of message, e.g. EVALUATE_REQUEST.

    Returns:
        Exactly `sealed_size(size)` bytes; the same message never seals to the same bytes twice.

    Raises:
        MessageTooLarge: longer than the kind allows. Nothing was sealed.
        MalformedKey: the key is of low order, so that anyone could open what it seals. Nothing was sealed.
    """
    padded = pad(message, size)
    try:
        return _SUITE.encrypt(padded, public._key, context.info())
    except ValueError:
        # RFC 7748 §6.1: an all-zero X25519 result shows a key chosen so that the secret is known.
        raise MalformedKey("sealing key: expected one that gives a shared secret; it gives none") from None


def open_sealed(key: SealingKey, sealed: bytes, *, context: Context) -> bytes:
    """Open a message sealed for this key in exactly this context.

    Args:
        key: the private half of the key it was sealed to.
        sealed: bytes from the wire.
        context: where the receiver stands in the protocol, from its own state.

    Raises:
        SealBroken: altered, for another key, or from another place of the protocol. Do not say which.
    """
    try:
        padded = _SUITE.decrypt(sealed, key._key, context.info())
    except (InvalidTag, ValueError):
        raise SealBroken("expected a message sealed for this key and place; it does not open") from None
    return unpad(padded)
