"""One question about one child: 40 blinded elements that look alike, and a commitment to open later.

Holds:    the inputs, blinds and seed of one lookup, in memory, at the searching agency only.
Sees:     the match keys of the child asked about.
Refuses:  more keys than slots; keys that repeat or could be taken for fillers.

Everything follows from the person's match keys and one secret seed, so an auditor who is shown person,
salt and seed derives all elements and the commitment again, and sees that the question was about one
child. Until then a custodian sees 40 uniformly random elements, and a hash that the salt hides.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from elsewhere.errors import OpeningInvalid, TooManyKeys
from elsewhere.lookup import SLOTS
from elsewhere.oprf import group, voprf

SECRET_SIZE = 32  # of salt and of seed, each
COMMITMENT_SIZE = 32
DOMAIN = b"elsewhere/question/v1"
FILLER_PREFIX = DOMAIN + b"/filler:"  # no match key may start so; a filler is this and 32 random bytes

_RANK_SIZE = 16  # 128 bits for each item, so equal ranks do not happen


@dataclass(frozen=True, slots=True, eq=False)
class QuestionSecrets:
    """What a question commits to and is opened by: canonical person, match-key version, salt, seed."""

    person: bytes = field(repr=False)
    key_version: str
    salt: bytes = field(repr=False)
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.salt) != SECRET_SIZE or len(self.seed) != SECRET_SIZE:
            raise ValueError(f"salt and seed have {SECRET_SIZE} bytes each")
        if not self.person or not self.key_version:
            raise ValueError("a question needs a person and a match-key version")


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A question in slot order. Only `blinded` and `commitment` may leave the agency; no other part prints.

    `key_of_slot` gives the index of the match key asked in a slot, or None where the slot is a filler.
    """

    inputs: tuple[bytes, ...] = field(repr=False)
    key_of_slot: tuple[int | None, ...] = field(repr=False)
    blinds: tuple[bytes, ...] = field(repr=False)
    blinded: tuple[bytes, ...] = field(repr=False)
    commitment: bytes
    _inverses: list[bytes] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        parts = (self.inputs, self.key_of_slot, self.blinds, self.blinded)
        if any(len(part) != SLOTS for part in parts) or len(self.commitment) != COMMITMENT_SIZE:
            raise ValueError(f"a question has {SLOTS} slots and a commitment of {COMMITMENT_SIZE} bytes")

    def inverses(self) -> list[bytes]:
        """The inverse of each blind, worked out once for all custodians; best while the question travels."""
        if not self._inverses:
            self._inverses[:] = group.invert_scalars(self.blinds)
        return self._inverses

    def unblind(self, elements: Sequence[bytes]) -> list[bytes]:
        """Take the blinds off one custodian's elements, once their proof has passed: its tags, in slot order.

        Raises:
            MalformedElement: `.index` names an element that could not have passed the proof.
        """
        return voprf.unblind_with(self.inputs, self.inverses(), elements)


def build_question(keys: Sequence[bytes], secrets: QuestionSecrets) -> Question:
    """Build the question that these keys and secrets determine; an auditor rebuilds it the same way.

    Args:
        keys: 0..SLOTS distinct match keys of one person, as canonical bytes.
        secrets: salt and seed must be fresh for each question: one used twice links two questions.

    Returns:
        Exactly SLOTS slots. Fillers are hashed and blinded as keys are, so every slot costs the same.

    Raises:
        TooManyKeys: more keys than slots; drop the least useful ones before asking.
    """
    if len(keys) > SLOTS:
        raise TooManyKeys(f"expected at most {SLOTS} match keys; {len(keys)} came")
    if len(set(keys)) != len(keys) or any(key.startswith(FILLER_PREFIX) for key in keys):
        raise ValueError("match keys must be distinct and must not look like fillers")
    stream = _Stream(secrets.seed)
    items = [*keys, *(FILLER_PREFIX + stream.take(b"filler", n, 32) for n in range(len(keys), SLOTS))]
    # Sorting by random ranks is a uniform shuffle, and simpler to write again than one by swaps.
    ranks = [stream.take(b"shuffle", n, _RANK_SIZE) for n in range(SLOTS)]
    order = sorted(range(SLOTS), key=ranks.__getitem__)
    inputs = tuple(items[n] for n in order)
    blinds = tuple(
        voprf.scalar_from_uniform(stream.take(b"blind", slot, group.UNIFORM_SIZE)) for slot in range(SLOTS)
    )
    return Question(
        inputs=inputs,
        key_of_slot=tuple(n if n < len(keys) else None for n in order),
        blinds=blinds,
        blinded=tuple(voprf.blind(inputs, blinds)),
        commitment=commit(secrets),
    )


def commit(secrets: QuestionSecrets) -> bytes:
    """Give the 32-byte commitment: SHA-256 over domain, salt, person, seed and match-key version.

    Each part stands behind its length in four bytes, so that no two openings share one encoding. The
    256-bit salt keeps a custodian from confirming a guessed person.
    """
    digest = hashlib.sha256()
    for part in (DOMAIN, secrets.salt, secrets.person, secrets.seed, secrets.key_version.encode("utf-8")):
        digest.update(len(part).to_bytes(4) + part)
    return digest.digest()


def rebuild_question(keys: Sequence[bytes], secrets: QuestionSecrets, commitment: bytes) -> Question:
    """Give, as an auditor, the question that was asked if it was about this person and nobody else.

    Args:
        keys: what the person yields under the stated match-key version, derived by the auditor.
        secrets: what the searcher opens.
        commitment: the commitment on record.

    Raises:
        OpeningInvalid: the commitment does not follow from what was opened.
        TooManyKeys: the keys fill more than one question.
    """
    rebuilt = build_question(keys, secrets)
    if not hmac.compare_digest(rebuilt.commitment, commitment):
        raise OpeningInvalid("the commitment is for another person, seed or match-key version")
    return rebuilt


class _Stream:
    """Independent bytes for each (label, number), all from one seed: HKDF-SHA256 (RFC 5869)."""

    __slots__ = ("_prk",)

    def __init__(self, seed: bytes) -> None:
        # RFC 5869 §2.2 HKDF-Extract with DOMAIN as salt: PRK = HMAC-Hash(salt, IKM).
        self._prk = hmac.digest(DOMAIN, seed, "sha256")

    def take(self, label: bytes, number: int, size: int) -> bytes:
        """Expand for one label and number; info is the label, a colon and the number in two bytes."""
        info = label + b":" + number.to_bytes(2)
        # RFC 5869 §2.3: T(i) = HMAC-Hash(PRK, T(i-1) | info | i); OKM = first L octets of T(1) | T(2) | ...
        block = okm = hmac.digest(self._prk, info + b"\x01", "sha256")
        for counter in range(2, -(-size // 32) + 1):
            block = hmac.digest(self._prk, block + info + bytes([counter]), "sha256")
            okm += block
        return okm[:size]
